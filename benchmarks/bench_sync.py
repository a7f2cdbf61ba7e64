"""What it costs to program Services: plan, rendering, iptables-restore; for all, and for one endpoint.

    python benchmarks/bench_sync.py --services 1000 5000

Needs root. Each cell has a fresh network namespace, which goes when the program ends. `bare` is the same tool
fed with nothing but the changed chains: what no implementation on top of it can undercut.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from multiprocessing import get_context
from typing import Any

from testbed.datapaths.iptables.datapath import IptablesDatapath, datapath
from testbed.machine import libc
from testbed.machine.run import Result, run
from testbed.proxier.plan import NodeFacts
from testbed.proxier.proxier import Proxier

FACTS = NodeFacts("node1", (ip_address("192.168.0.1"),), (ip_network("10.244.0.0/16"),))
REPEATS = 7


class Here:
    """The node that this process is in."""

    name = "node1"

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes | None = None,
        check: bool = True,
        timeout: float = 600.0,
    ) -> Result:
        """Run a program here."""
        return run(argv, stdin=stdin, check=check, timeout=timeout)


class Recorder(Here):
    """A node that remembers the last restore, to be run again on its own."""

    def __init__(self) -> None:
        self.argv: Sequence[str] = ()
        self.stdin: str | bytes | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes | None = None,
        check: bool = True,
        timeout: float = 600.0,
    ) -> Result:
        """Run a program here, and remember it if it has input."""
        if stdin is not None:
            self.argv, self.stdin = argv, stdin
        return super().run(argv, stdin=stdin, check=check, timeout=timeout)


def fresh_namespace() -> None:
    """Move this process into a network namespace of its own, with mounts of its own."""
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWNET)


def service(index: int) -> dict[str, Any]:
    """A Service of one TCP port."""
    cluster_ip = str(ip_address("10.96.0.10") + index)
    return {
        "kind": "Service",
        "metadata": {"namespace": "default", "name": f"svc-{index}"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    }


def endpoint_slice(index: int, endpoints: int, shift: int = 0) -> dict[str, Any]:
    """The Service's endpoints; another `shift` moves the last of them to another address."""
    first = ip_address("10.244.0.10") + index * 8 % 60000
    addresses = [str(first + i) for i in range(endpoints - 1)] + [str(first + endpoints - 1 + shift)]
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default",
            "name": f"svc-{index}-1",
            "labels": {"kubernetes.io/service-name": f"svc-{index}"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [a], "nodeName": "node2", "conditions": {"ready": True}} for a in addresses
        ],
    }


@dataclass(frozen=True, slots=True)
class Cell:
    """Seconds of one cell of the table."""

    plan: float
    render: float
    restore: float
    again: float  # the same full pass once more, over its own rules
    change_plan: float
    change: float  # apply as a whole for one changed endpoint, median
    bare: float  # the tool alone, fed with the same changed chains, median
    rules: int


def measure(variant: str, services: int, endpoints: int) -> Cell:
    """Program `services` Services, then change one endpoint some times."""
    node, target = Recorder(), datapath({"variant": variant})
    proxier = Proxier(FACTS, {})
    start = time.perf_counter()
    proxier.update(("Service", None, service(i)) for i in range(services))
    proxier.update(("EndpointSlice", None, endpoint_slice(i, endpoints)) for i in range(services))
    plan_seconds = time.perf_counter() - start
    whole = target.apply(node, proxier.plan, None)
    again = target.apply(node, proxier.plan, None)
    changes = [
        _one_change(proxier, target, node, (services // 2, endpoints, n)) for n in range(1, REPEATS + 1)
    ]
    medians = [statistics.median(column) for column in zip(*changes, strict=True)]
    rules = target.observe(node).size["rules"]
    target.remove(node)
    return Cell(
        plan_seconds, whole.render_seconds, whole.restore_seconds, again.restore_seconds, *medians, rules
    )


def _one_change(
    proxier: Proxier, target: IptablesDatapath, node: Recorder, which: tuple[int, int, int]
) -> tuple[float, float, float]:
    """Move one endpoint: seconds to plan it, to apply it, and of the same restore once more, alone."""
    start = time.perf_counter()
    delta = proxier.update([("EndpointSlice", None, endpoint_slice(*which))])
    planned = time.perf_counter()
    target.apply(node, proxier.plan, delta)
    applied = time.perf_counter()
    chains = _without_deletions(str(node.stdin))
    return planned - start, applied - planned, node.run(node.argv, stdin=chains).seconds


def _without_deletions(content: str) -> str:
    """The same input without the removed chain, which is not there any more."""
    gone = [line.split()[1] for line in content.splitlines() if line.startswith("-X ")]
    lines = [line for line in content.splitlines() if not any(chain in line for chain in gone)]
    return "".join(f"{line}\n" for line in lines)


def in_child(variant: str, services: int, endpoints: int) -> Cell:
    """Measure in a child with a namespace of its own, so that the parent stays where it is."""
    with get_context("fork").Pool(1, initializer=fresh_namespace) as pool:
        return pool.apply(measure, (variant, services, endpoints))


def main() -> None:
    """Print one line for each variant and number of Services."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--endpoints", type=int, default=2, help="endpoints of each Service")
    parser.add_argument("--variants", nargs="+", default=["nft", "legacy"], choices=["nft", "legacy"])
    options = parser.parse_args()
    print("seconds; one change: medians of", REPEATS)
    print("variant services   rules   plan render restore  again | one change: plan  apply   bare  ratio")
    for services in options.services:
        for variant in options.variants:
            c = in_child(variant, services, options.endpoints)
            whole = f"{c.rules:7} {c.plan:6.2f} {c.render:6.2f} {c.restore:7.2f} {c.again:6.2f}"
            change = f"{c.change_plan:16.4f} {c.change:6.3f} {c.bare:6.3f} {c.change / c.bare:6.2f}"
            print(f"{variant:7} {services:8} {whole} | {change}")


if __name__ == "__main__":
    main()
