"""What the iptables datapath adds to the bare tool, programming all Services and one endpoint. And its memory.

    python benchmarks/bench_restore.py --services 1000 5000 10000

Needs root. Each measurement has a fresh network namespace, which goes when the program ends. `bare` is the tool
alone, in turn with ours: for all Services fed with the same rules in kube-proxy's order (chains as they come, then
rules; --noflush), for one endpoint with nothing but the chains that changed.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from workload import FACTS, Node, endpoint_slice, fresh_namespace, objects

from testbed.bench.stats.interval import Comparison, compare
from testbed.datapaths.iptables.datapath import IptablesDatapath, datapath
from testbed.datapaths.iptables.render import is_large, state
from testbed.datapaths.iptables.spelling import Spelling
from testbed.machine import collecting
from testbed.machine.run import run
from testbed.proxier.addresses import parse_with_text
from testbed.proxier.plan import Family, NodePlan
from testbed.proxier.proxier import Change, Proxier

BARE_SERVICES = {"nft": 1000, "legacy": 1 << 30}
"""Beyond so many Services the bare restore is not repeated here: with nft it takes minutes (141 s at 10,000)."""

ROUNDS = 15  # of a row at most,
ROW_SECONDS = 20.0  # as long as there is time for another one,
LEAST_ROUNDS = 3  # and at least
MIB = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the tables."""

    variant: str
    services: int
    endpoints: int


@dataclass(frozen=True, slots=True)
class Steps:
    """Seconds of one round: plan, rendering, the tool; and all of it, as an agent's round takes."""

    plan: float
    render: float
    restore: float
    whole: float
    bare: float = float("nan")


class Bench:
    """An agent's proxier and datapath in a namespace of their own."""

    def __init__(self, variant: str) -> None:
        fresh_namespace()
        self.node, self.proxier = Node(), Proxier(FACTS, {})
        self.datapath: IptablesDatapath = datapath({"variant": variant})

    def round(self, changes: Sequence[Change], *, full: bool) -> Steps:
        """What an agent does when it is told of changes."""
        self.node.inputs.clear()
        with collecting.paused():
            start = time.perf_counter()
            delta = self.proxier.update(changes)
            planned = time.perf_counter()
            applied = self.datapath.apply(self.node, self.proxier.plan, None if full else delta)
            end = time.perf_counter()
        return Steps(planned - start, applied.render_seconds, applied.restore_seconds, end - start)


def rounds() -> Iterator[int]:
    """1, 2, … for as long as a row may take, so that all of them end within six minutes on a busy machine, too."""
    start = time.monotonic()
    for number in range(1, ROUNDS + 1):
        yield number
        taken = time.monotonic() - start
        if number >= LEAST_ROUNDS and taken * (number + 1) > ROW_SECONDS * number:
            return


def first_syncs(case: Case) -> list[Steps]:
    """Program all Services into an empty node, in turn with the bare tool."""
    told = objects(case.services, case.endpoints)
    gc.freeze()
    found = []
    for pair in rounds():
        bare = bare_restore(case, told) if pair % 2 else 0.0
        bench = Bench(case.variant)
        parse_with_text.cache_clear()  # an agent that starts has read no address yet
        steps = bench.round(told, full=True)
        bare = bare or bare_restore(case, told)
        found.append(Steps(steps.plan, steps.render, steps.restore, steps.whole, bare))
    return found


def bare_restore(case: Case, told: Sequence[Change]) -> float:
    """Seconds of the tool alone for the same rules; nan where that takes minutes."""
    if case.services > BARE_SERVICES[case.variant]:
        return float("nan")
    proxier = Proxier(FACTS, {})
    proxier.update(told)
    content = in_kube_proxy_s_order(proxier.plan)
    fresh_namespace()
    argv = [f"iptables-{case.variant}-restore", "--noflush", "--counters"]
    return run(argv, stdin=content).seconds


def in_kube_proxy_s_order(plan: NodePlan) -> str:
    """One input, each table's chains in the order of their Services, then the rules."""
    large = is_large(plan.known_endpoints(Family.IPV4))
    wanted = state(plan, Spelling(Family.IPV4, plan.facts, not large, frozenset()))
    lines = []
    for name, table in wanted.items():
        lines.append(f"*{name}")
        lines += [f":{chain} {table.policies.get(chain, '-')} [0:0]" for chain in table.chains]
        lines += [f"-A {chain} {rule}" for chain, rules in table.chains.items() for rule in rules]
        lines.append("COMMIT")
    return "\n".join(lines) + "\n"


def changes(case: Case) -> tuple[list[Steps], Steps, int]:
    """Move one endpoint some times; then a full sync that finds nothing to mend; and how many rules there are."""
    bench, told = Bench(case.variant), objects(case.services, case.endpoints)
    gc.freeze()
    bench.round(told, full=True)
    which = case.services // 2
    found = []
    for shift in rounds():
        steps = bench.round(
            [("EndpointSlice", None, endpoint_slice(which, case.endpoints, shift))], full=False
        )
        (argv, content), *_ = bench.node.inputs
        bare = run(argv, stdin=without_deletions(content)).seconds
        found.append(Steps(steps.plan, steps.render, steps.restore, steps.whole, bare))
    again = bench.round([], full=True)
    return found, again, bench.datapath.observe(bench.node).size["rules"]


def without_deletions(content: str) -> str:
    """The same input without the removed chain, which is not there any more."""
    gone = [line.split()[1] for line in content.splitlines() if line.startswith("-X ")]
    lines = [line for line in content.splitlines() if not any(chain in line for chain in gone)]
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of a process: what the objects take, which the store has anyway; what an agent adds; its highest ever."""

    objects: float
    agent: float
    peak: float


def memory(case: Case) -> Memory:
    """An agent's own memory after its first sync, by the growth of this process."""
    begin = resident()
    told = objects(case.services, case.endpoints)
    gc.collect()
    held = resident()
    bench = Bench(case.variant)
    bench.round(told, full=True)
    bench.node.inputs.clear()
    gc.collect()
    return Memory(held - begin, resident() - held, high_water() - held)


def resident() -> float:
    """MiB of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def high_water() -> float:
    """The most that it ever was."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    return int(line.split()[1]) / 1024


def in_child(measure: Callable[[Case], T], case: Case) -> T:
    """Measure in a new child, so that the parent stays where it is and nothing is left of others' memory."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (case,))


def median(steps: Sequence[Steps], name: str) -> float:
    """The median of one step."""
    return float(statistics.median(getattr(each, name) for each in steps))


def ratio(steps: Sequence[Steps]) -> str:
    """Ours to the bare tool's, pair by pair, with its 95 % interval."""
    if np.isnan([each.bare for each in steps]).any():
        return "not repeated"
    found: Comparison = compare(*(np.array([getattr(s, name) for s in steps]) for name in ("whole", "bare")))
    return f"{found.ratio.estimate:.2f} [{found.ratio.low:.2f}, {found.ratio.high:.2f}]"


def row(case: Case) -> str:
    """The start of a line."""
    return f"| {case.variant} | {case.services:,} |"


def print_first_syncs(cases: Sequence[Case]) -> None:
    print("\nAll Services into an empty node, seconds (medians)\n")
    print("| variant | Services | plan | render | restore | whole | bare | whole/bare, 95 % | pairs |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in cases:
        found = in_child(first_syncs, case)
        figures = " | ".join(
            f"{median(found, n):.2f}" for n in ("plan", "render", "restore", "whole", "bare")
        )
        print(row(case), figures, "|", ratio(found), "|", len(found), "|", flush=True)


def print_changes(cases: Sequence[Case]) -> None:
    print(
        "\nOne endpoint moves, milliseconds (medians); and a full sync that finds nothing to mend, seconds\n"
    )
    print(
        "| variant | Services | rules | plan | render | restore | whole | bare | whole/bare, 95 % | pairs "
        "| full again |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in cases:
        found, again, rules = in_child(changes, case)
        small = " | ".join(f"{1e3 * median(found, name):.2f}" for name in ("plan", "render"))
        large = " | ".join(f"{1e3 * median(found, name):.0f}" for name in ("restore", "whole", "bare"))
        figures = f"{rules:,} | {small} | {large} | {ratio(found)} | {len(found)} | {again.whole:.2f} |"
        print(row(case), figures, flush=True)


def print_memory(cases: Sequence[Case]) -> None:
    print(
        "\nMemory of a process, MiB: the objects (the store's), what one agent adds, and at most while it syncs\n"
    )
    print("| variant | Services | objects | agent | agent, at most |")
    print("| --- | --- | --- | --- | --- |")
    for case in cases:
        found = in_child(memory, case)
        print(row(case), f"{found.objects:.0f} | {found.agent:.0f} | {found.peak:.0f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 5000, 10000])
    parser.add_argument("--endpoints", type=int, default=2, help="endpoints of each Service")
    parser.add_argument("--variants", nargs="+", default=["nft", "legacy"], choices=["nft", "legacy"])
    options = parser.parse_args()
    cases = [Case(v, services, options.endpoints) for v in options.variants for services in options.services]
    start = time.monotonic()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print_first_syncs(cases)
    print_changes(cases)
    print_memory([Case(v, max(options.services), options.endpoints) for v in options.variants])
    print(f"\nload average {os.getloadavg()[0]:.1f}; {time.monotonic() - start:.0f} s in all")


if __name__ == "__main__":
    main()
