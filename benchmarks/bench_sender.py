"""How many packets a second leave a device: by scapy in three ways, and by the fast sender.

Run as root:  .venv/bin/python -m benchmarks.bench_sender [--repeats 11]

Each repeat sends with every way once, in an order drawn anew, over a veth pair between two namespaces of its own.
The ratio is that of the medians; its interval is a percentile bootstrap over repeats, paired.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pyroute2 import IPRoute
from scapy.config import conf
from scapy.packet import Raw
from scapy.sendrecv import sendp

from testbed.bench.traffic.frames import Frames, Headers, build, distinct_ports
from testbed.bench.traffic.sender import Sender
from testbed.machine import netns
from testbed.machine.netns import Netns

MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
COUNTS = {
    "scapy sendp": 500,
    "scapy L2socket.send": 10_000,
    "its socket's send": 20_000,  # what is left of scapy's way without scapy: one system call for each frame
    "fast sender": 60_000,
    "fast, qdisc bypass": 60_000,
}
RESAMPLES = 9_999


@contextmanager
def pair() -> Iterator[Netns]:
    """A namespace whose eth0 leads to another one; gone at the end."""
    with tempfile.TemporaryDirectory(prefix="testbed-bench-") as folder, ExitStack() as stack:
        near, far = netns.create(["near", "far"], folder=Path(folder))
        for space in (near, far):
            stack.callback(netns.delete, space)
        with near.entered(), IPRoute() as route, open(far.path) as there:
            peer = {"ifname": "eth0", "address": MACS[1], "net_ns_fd": there.fileno()}
            route.link("add", ifname="eth0", kind="veth", address=MACS[0], peer=peer)
        for space in (near, far):
            with space.entered(), IPRoute() as route:
                route.link("set", index=route.link_lookup(ifname="eth0")[0], state="up")
        yield near


def ways(near: Netns, frames: Frames, stack: ExitStack) -> Mapping[str, Callable[[int], object]]:
    """Each way to send that many of the frames, with what it needs open already."""
    raw = [frame.tobytes() for frame in frames[: max(COUNTS.values()) // 3]]
    layers = [Raw(frame) for frame in raw]
    with near.entered():
        conf.ifaces.reload()  # scapy knows the devices of the namespace where it was imported
        scapy_socket = conf.L2socket(iface="eth0")
    stack.callback(scapy_socket.close)
    fast = stack.enter_context(Sender(near, "eth0"))
    bypass = stack.enter_context(Sender(near, "eth0", qdisc_bypass=True))

    def by_sendp(count: int) -> None:
        with near.entered():
            sendp(layers[:count], iface="eth0", verbose=False)

    def by_scapy_socket(count: int) -> None:
        for layer in layers[:count]:
            scapy_socket.send(layer)

    def by_socket(count: int) -> None:
        for frame in raw[:count]:
            scapy_socket.outs.send(frame)

    return {
        "scapy sendp": by_sendp,
        "scapy L2socket.send": by_scapy_socket,
        "its socket's send": by_socket,
        "fast sender": lambda count: fast.send(frames[:count]),
        "fast, qdisc bypass": lambda count: bypass.send(frames[:count]),
    }


def rates(repeats: int) -> dict[str, list[float]]:
    """Packets per second of each way in each repeat."""
    headers = Headers(*MACS, "10.0.0.1", "10.0.0.2", 9)
    frames = build(headers, 1, distinct_ports(max(COUNTS.values()), 1))
    draw, found = np.random.default_rng(1), {way: list[float]() for way in COUNTS}
    with pair() as near, ExitStack() as stack:
        senders = ways(near, frames, stack)
        for _ in range(repeats):
            for way in draw.permutation(list(COUNTS)):
                start = time.perf_counter()
                senders[way](COUNTS[way])
                found[way].append(COUNTS[way] / (time.perf_counter() - start))
    return found


def ratio(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Ratio of the medians with its 95 % interval."""
    pairs: npt.NDArray[np.float64] = np.array([ours, theirs])
    picks = np.random.default_rng(1).integers(0, pairs.shape[1], (RESAMPLES, pairs.shape[1]))
    medians = np.median(pairs[:, picks], axis=2)
    low, high = np.quantile(medians[0] / medians[1], [0.025, 0.975])
    return statistics.median(ours) / statistics.median(theirs), float(low), float(high)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=11)
    found = rates(parser.parse_args().repeats)
    print(f"{'way':20} {'packets/s':>10} {'lowest':>10} {'highest':>10}   fast sender is … times faster")
    for way, values in found.items():
        times, low, high = ratio(found["fast sender"], values)
        spread = f"{statistics.median(values):10,.0f} {min(values):10,.0f} {max(values):10,.0f}"
        print(f"{way:20} {spread}   {times:.2f} [{low:.2f}, {high:.2f}]")


if __name__ == "__main__":
    main()
