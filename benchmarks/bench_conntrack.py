"""What it costs a node to look after its UDP flows: our ctnetlink, conntrack(8) and pyroute2, side by side.

    .venv/bin/python benchmarks/bench_conntrack.py [--flows 10000] [--repeats 5]

As root, in a network namespace of its own. Each row: the median over the repeats and the quartiles, in ms. The
kernel walks its whole table of connections for every list, however many flows there are; that is the first row.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import Conntrack as Pyroute2
from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

from testbed.machine import netns
from testbed.machine.conntrack import Conntrack
from testbed.machine.netns import Netns

TRACK = "*filter\n-A OUTPUT -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n"
FIRST_PORT = 2000


@contextmanager
def tracked() -> Iterator[Netns]:
    """A namespace whose loopback traffic is tracked."""
    with tempfile.TemporaryDirectory() as folder:
        (made,) = netns.create(["tracked"], folder=Path(folder))
        try:
            made.run(["ip", "link", "set", "lo", "up"])
            made.run(["iptables-nft-restore"], stdin=TRACK)
            made.run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=600"])
            yield made
        finally:
            netns.delete(made)


def send(node: Netns, flows: int) -> None:
    """Make so many flows."""
    with node.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for port in range(FIRST_PORT, FIRST_PORT + flows):
            sender.sendto(b"x", ("127.0.0.1", port))


def ms(action: Callable[[], object]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def ours(node: Netns, flows: int) -> Iterator[tuple[str, float]]:
    """One repeat with ours: flows are made, listed, deleted."""
    conntrack = node.call(Conntrack)
    try:
        yield "ours: list, with no flow there", ms(lambda: list(conntrack.udp(socket.AF_INET)))
        send(node, flows)
        yield f"ours: list {flows} flows", ms(lambda: list(conntrack.udp(socket.AF_INET)))
        yield "ours: pick out one port", ms(lambda: list(conntrack.udp(socket.AF_INET, FIRST_PORT)))
        found = list(conntrack.udp(socket.AF_INET))
        yield f"ours: delete {flows} flows", ms(lambda: conntrack.delete(socket.AF_INET, found))
    finally:
        conntrack.close()


def others(node: Netns, flows: int) -> Iterator[tuple[str, float]]:
    """One repeat with the others."""
    send(node, flows)
    with node.entered(), Pyroute2() as conntrack:
        wanted = NFCTAttrTuple(proto=socket.IPPROTO_UDP)
        yield f"pyroute2: list {flows} flows", ms(lambda: list(conntrack.dump_entries(tuple_orig=wanted)))
    yield f"conntrack -L: list {flows} flows", ms(lambda: node.run(["conntrack", "-L", "-p", "udp"]))
    yield f"conntrack -D: delete {flows} flows", ms(lambda: node.run(["conntrack", "-D", "-p", "udp"]))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--flows", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    found: dict[str, list[float]] = {}
    with tracked() as node:
        for _ in range(given.repeats):
            for way in (ours, others):
                for what, took in way(node, given.flows):
                    found.setdefault(what, []).append(took)
    for what, times in found.items():
        low, middle, high = statistics.quantiles(times, n=4)
        print(f"{what:40} {middle:9.1f} ms   ({low:.1f} to {high:.1f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
