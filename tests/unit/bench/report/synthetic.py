"""A made-up run for developing and testing the report: samples from laws that are known beforehand.

Never shipped. First packets cost `BASE + SLOPE * services`, established ones are flat, load adds a factor and
a tail, connections fall evenly, and each repeat has a noise of its own. So a test knows what the report must
find.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from testbed.bench.results.facts import Facts
from testbed.bench.results.files import RunFolder
from testbed.bench.results.model import Arm, Block, Run, Scenario, Sync
from testbed.bench.results.samples import Samples

BASE = {"first-packet": 14_000.0, "established": 10_000.0, "connect": 68_000.0}  # ns
SLOPE = {"": 0.0, "legacy": 24.0, "nft": 47.0}  # ns for each Service, on the first packet
LOAD_FACTOR = 1.35
QUESTION = "What do kube-proxy's iptables rules cost a packet, and how does that grow with the Services?"


@dataclass(frozen=True, slots=True)
class Shape:
    """How big the run is, and what is wrong with it."""

    services: tuple[int, ...] = (1, 1000, 5000)
    endpoints: tuple[int, ...] = (10,)
    loads: tuple[float, ...] = (0.0, 20_000.0)
    probes: tuple[str, ...] = ("first-packet", "established", "connect", "distribution")
    repeats: int = 8
    samples: int = 500
    noise: float = 0.05  # of a whole repeat, as the standard deviation of a logarithm
    unmatched: int = 0
    tap_drops: int = 0
    partial: bool = False
    stolen: int = 300  # ticks out of 20,000 that the hypervisor took during the run
    canary_jump: float = 1.0  # of the last block against the others


SMALL = Shape(services=(1, 1000), repeats=4, samples=120)
# three sizes, two variants and the direct path, each with 10 and with 50 endpoints: 18 arms
REALISTIC = Shape(endpoints=(10, 50))


def facts(after: bool, shape: Shape) -> Facts:
    """A machine that looks like a small virtual one."""
    stolen = shape.stolen if after else 0
    ticks = 20_000 if after else 0
    return Facts(
        time="2026-11-23T10:03:07+00:00" if after else "2026-11-23T10:00:12+00:00",
        kernel="6.12.48-amd64",
        architecture="x86_64",
        virtualisation="kvm",
        cpu_model="AMD EPYC 9R14",
        cpus=2,
        caches={"L1d": "32K", "L2": "1024K", "L3": "32768K"},
        memory_bytes=8 << 30,
        memory_available_bytes=(6 << 30) - (300 << 20 if after else 0),
        load=(1.62, 0.80, 0.31) if after else (0.12, 0.20, 0.11),
        cpu_ticks={
            "user": 5_000 + ticks // 4, "nice": 0, "system": 3_000 + ticks // 4,
            "idle": 90_000 + ticks // 2 - stolen, "iowait": 40, "irq": 0, "softirq": 900, "steal": 70 + stolen,
        },
        context_switches=1_400_000 if after else 400_000,
        softirqs={"NET_RX": 9_000_000 if after else 12_000, "NET_TX": 900},
        mitigations={"spectre_v2": "Mitigation: Retpolines", "meltdown": "Not affected"},
        sysctls={"net.core.netdev_tstamp_prequeue": "1", "net.netfilter.nf_conntrack_max": "262144"},
        tools={"iptables-legacy": "iptables v1.8.9 (legacy)", "nft": "nftables v1.0.6 (Lester Gooch #5)"},
        python="3.11.2",
        packages={"numpy": "2.4.6", "scipy": "1.17.1"},
        commit="3f2c9e0d5b7a4c1e8f6a9b0c2d4e6f8a1b3c5d7e",
        dirty=False,
    )  # fmt: skip


def arms(shape: Shape) -> list[Arm]:
    """Direct without any rule, legacy and nft, at each size."""
    found = []
    for endpoints in shape.endpoints:
        for services in shape.services:
            for variant in ("", "legacy", "nft"):
                name = f"{variant or 'direct'}-{services}-{endpoints}"
                datapath = "iptables" if variant else "none"
                rules = {"nat": services * 6 + endpoints * 3, "filter": 12} if variant else {}
                path = "service" if variant else "direct"
                found.append(Arm(name, datapath, variant, path, services, endpoints, rules, name))
    return found


def latencies(rng: np.random.Generator, arm: Arm, probe: str, shape: Shape, load: float) -> np.ndarray:
    """Log-normal latencies with a heavy tail, in ns."""
    grows = 0.0 if probe == "established" else SLOPE[arm.variant]
    centre = BASE[probe] * (1.04 if arm.variant else 1.0) + grows * arm.services
    centre *= np.exp(rng.normal(0, shape.noise)) * (LOAD_FACTOR if load else 1.0)
    body = rng.lognormal(np.log(centre), 0.16, shape.samples)
    late = rng.random(shape.samples) < (0.05 if load else 0.02)
    tail = np.where(late, rng.pareto(1.8, shape.samples) * centre, 0.0)
    return (body + tail).astype(np.int64)


def samples(rng: np.random.Generator, arm: Arm, probe: str, shape: Shape, load: float) -> Samples:
    """One block's samples."""
    if probe == "distribution":
        values = rng.multinomial(shape.samples, [1 / arm.endpoints] * arm.endpoints).astype(np.int64)
        took = np.empty(0, dtype=np.int16)
    else:
        values = latencies(rng, arm, probe, shape, load)
        took = rng.integers(0, arm.endpoints, shape.samples).astype(np.int16)
    return Samples(
        probe=probe,
        unit="packets" if probe == "distribution" else "ns",
        values=values,
        endpoint=took,
        sent=shape.samples + shape.unmatched,
        seen_out=shape.samples + shape.unmatched,
        matched=shape.samples,
        unmatched=shape.unmatched,
        duplicates=0,
        tap_drops=shape.tap_drops,
        warm_up=100,
        rate=2000.0,
        achieved_rate=1996.4,
        seconds=shape.samples / 1996.4,
    )


def syncs(rng: np.random.Generator, arm: Arm, repeat: int) -> Iterator[Sync]:
    """A full sync and a delta; the legacy variant restores slower."""
    if not arm.variant:
        return
    noise = rng.lognormal(0, 0.12, 3)
    each = 8e-5 if arm.variant == "legacy" else 4e-5
    lines = arm.services * 10 + 40
    plan, render = 0.002 + arm.services * 2e-5 * noise[0], 0.001 + arm.services * 1.5e-5 * noise[1]
    yield Sync(
        arm.id, "full", plan, render, 0.008 + arm.services * each * noise[2], lines, lines * 90, repeat
    )
    yield Sync(arm.id, "delta", 0.0004 * noise[0], 0.0003 * noise[1], 0.006 * noise[2], 24, 1900, repeat)


def write(folder: Path, shape: Shape = SMALL, seed: int = 11) -> Run:
    """Write the whole run into `folder`, as a scenario would."""
    rng = np.random.default_rng(seed)
    scenario = Scenario("iptables-cost", "What a Service costs with iptables", QUESTION)
    command = ("testbed", "bench", "scenarios/iptables-cost", "--repeats", str(shape.repeats))
    run = RunFolder(folder, scenario, command, facts(False, shape))
    order = 0
    for arm in arms(shape):
        run.add_arm(arm)
    for repeat in range(shape.repeats):
        for arm in rng.permutation(np.array(arms(shape), dtype=object)):
            for sync in syncs(rng, arm, repeat):
                run.add_sync(sync)
            for load in shape.loads:
                for probe in shape.probes:
                    canary = 2_900.0 * rng.normal(1, 0.03)
                    block = Block(arm.id, repeat, order, load, load * 0.998, canary)
                    run.add_block(block, samples(rng, arm, probe, shape, load))
                    order += 1
    if shape.canary_jump != 1.0:
        block = Block(arm.id, repeat, order, 0.0, 0.0, 2_900.0 * shape.canary_jump)
        run.add_block(block, samples(rng, arm, shape.probes[0], shape, 0.0))
    return run.finish(facts(True, shape), partial=shape.partial)
