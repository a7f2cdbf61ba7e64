"""What a table of Services costs nf_tables: told over netlink by us, or by nft(8) with the same text.

    python benchmarks/bench_nftables.py --services 1000 3000 10000

Needs root. Every size has network namespaces of its own, which go when the program ends. Each Service has a chain
with one rule, two endpoints, and elements in three shared sets, as in kube-proxy's nftables mode. `encode` is our
part of the time, `kernel` the system calls'. The program nft has its own start in its time: that is how it is used.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from multiprocessing import get_context

from workload import fresh_namespace

from testbed.datapaths.nftables.decode import read
from testbed.datapaths.nftables.encode import Changes, Content
from testbed.datapaths.nftables.model import (
    Chain,
    CtStatus,
    DnatToAny,
    Element,
    Field,
    Hook,
    InSet,
    IsProtocol,
    KeyType,
    Map,
    Masquerade,
    Rule,
    Set,
    Table,
    Verdict,
    VerdictOf,
)
from testbed.datapaths.nftables.netlink.transaction import Nftables
from testbed.machine.netlink import NETFILTER
from testbed.machine.run import run
from testbed.proxier.plan import Family

TABLE = Table(Family.IPV4, "kube-proxy", "rules for kube-proxy")
CLUSTER, PODS = IPv4Address("10.96.0.10"), IPv4Address("10.128.0.0")
ADDRESS, PROTOCOL, PORT = KeyType.IPV4, KeyType.PROTOCOL, KeyType.PORT
PART = 1000
"""Requests of one transaction of a whole table: in a longer one the kernel walks through what it has done so far
for each set without a name (__nft_set_trans_bind)."""


@dataclass
class Times:
    """Seconds of each thing that was measured, by its name: as time went by, and on a processor."""

    seconds: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def take(self, what: str, action: Callable[[], object]) -> None:
        start, busy = time.perf_counter(), processor()
        action()
        took = time.perf_counter() - start, processor() - busy
        self.seconds.setdefault(what, []).append(took)


def processor() -> float:
    """Seconds that this process, the kernel for it, and what it started have had."""
    return sum(os.times()[:4])


def frame() -> Iterator[Content]:
    """What is there without any Service."""
    fields = (Field.DADDR, Field.L4PROTO, Field.DPORT)
    yield Set("cluster-ips", (ADDRESS,))
    yield Set("hairpin-connections", (ADDRESS, ADDRESS, PROTOCOL, PORT))
    yield Map("service-ips", (ADDRESS, PROTOCOL, PORT))
    yield from (Chain("services"), Chain("masquerading"))
    for name, hook, priority in (("nat-prerouting", "prerouting", -100), ("nat-output", "output", -100)):
        yield Chain(name, Hook("nat", hook, priority))
        yield Rule(name, (Verdict("jump", "services"),))
    yield Chain("nat-postrouting", Hook("nat", "postrouting", 100))
    yield Rule("nat-postrouting", (Verdict("jump", "masquerading"),))
    yield Rule("services", (VerdictOf(fields, "service-ips"),))
    hairpin = InSet((Field.SADDR, *fields), "hairpin-connections")
    yield Rule("masquerading", (CtStatus("dnat"), hairpin, Masquerade()))


def chain(service: int) -> Chain:
    return Chain(f"service-ABCDEFGH-default/svc-{service}/tcp/http")


def rule(service: int, shift: int = 0) -> Rule:
    """Another `shift` is another second endpoint."""
    endpoints = ((PODS + 4 * service, 8080), (PODS + 4 * service + 1 + shift, 8080))
    return Rule(chain(service).name, (IsProtocol("tcp"), DnatToAny(endpoints)))


def elements(services: range) -> Iterator[Element]:
    """Of one set after the other."""
    yield from (Element("cluster-ips", (CLUSTER + n,)) for n in services)
    pods = [PODS + 4 * n for n in services]
    yield from (Element("hairpin-connections", (pod, pod, "tcp", 8080)) for pod in pods)
    for n in services:
        yield Element("service-ips", (CLUSTER + n, "tcp", 80), Verdict("goto", chain(n).name))


def parts(services: range) -> Iterator[list[bytes]]:
    """A whole table as transactions. Packets meet a Service with its elements, which come last."""
    changes = Changes(TABLE)
    changes.add_table()
    changes.add([*frame(), *map(chain, services)])
    for n in services:
        changes.add([rule(n)])
        if len(changes.requests) >= PART:
            yield changes.requests
            changes.requests = []
    changes.add(elements(services))
    yield changes.requests


def ours(kernel: Nftables, services: range, repeats: int, times: Times) -> None:
    """From empty, read back, and one Service's endpoint after the other."""
    made: list[list[bytes]] = []
    times.take("all: encode", lambda: made.extend(parts(services)))
    times.take("all: kernel", lambda: [kernel.commit(part) for part in made])
    times.take("read back, unexpected", lambda: read(kernel, Family.IPV4, TABLE.name))
    wanted = [rule(n) for n in services]
    times.take("read back, as expected", lambda: read(kernel, Family.IPV4, TABLE.name, wanted))
    for n in range(repeats):
        changes = Changes(TABLE)
        changed = services[n * len(services) // repeats]
        times.take("one: encode", lambda c=changes, s=changed: (c.flush([chain(s)]), c.add([rule(s, 1)])))
        times.take("one: kernel", lambda c=changes: kernel.commit(c.requests))


def others(services: range, times: Times) -> None:
    """The program nft in another namespace, with what it prints of ours."""
    text = run(["nft", "list", "ruleset"]).stdout
    fresh_namespace()
    times.take("nft: all", lambda: run(["nft", "-f", "-"], stdin=text))
    times.take("nft: list", lambda: run(["nft", "list", "ruleset"]))
    for n in range(3):
        name = chain(services[n]).name
        to = f"numgen random mod 2 map {{ 0 : 10.128.0.1 . 80, 1 : 10.128.9.{n} . 80 }}"
        one = f"flush chain ip kube-proxy {name}\nadd rule ip kube-proxy {name} meta l4proto tcp dnat ip to {to}\n"
        times.take("nft: one", lambda one=one: run(["nft", "-f", "-"], stdin=one))


def measured(services: int, repeats: int) -> dict[str, list[tuple[float, float]]]:
    """One size, in a process of its own."""
    fresh_namespace()
    times, kernel = Times(), Nftables(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER))
    ours(kernel, range(services), repeats, times)
    others(range(services), times)
    return times.seconds


def main() -> None:
    """Measure and print. Where others have the processor, the time on it says more than the time that went by."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 3000, 10000])
    parser.add_argument("--repeats", type=int, default=200)
    given = parser.parse_args()
    for services in given.services:
        with get_context("spawn").Pool(1) as pool:
            found = pool.apply(measured, (services, given.repeats))
        for what, seconds in found.items():
            print(f"{services:6} {what:24} {told([wall for wall, _ in seconds])}", end="")
            print(f"   processor {statistics.fmean(busy for _, busy in seconds) * 1000:10.2f} ms")


def told(seconds: list[float]) -> str:
    """The median, and the 99th percentile of what was repeated often."""
    often = len(seconds) > 99
    worst = f"p99 {sorted(seconds)[len(seconds) * 99 // 100] * 1000:8.2f}" if often else " " * 12
    return f"{statistics.median(seconds) * 1000:10.2f} ms   {worst}"


if __name__ == "__main__":
    main()
