"""What the benchmarks program: Services of one TCP port with some endpoints each, and a node to program.

Knows objects and namespaces; knows no datapath.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from testbed.machine import libc
from testbed.machine.run import Result, run
from testbed.proxier.plan import NodeFacts
from testbed.proxier.proxier import Change

FACTS = NodeFacts("node1", (ip_address("192.168.0.1"),), (ip_network("10.244.0.0/16"),))

Input = tuple[list[str], str]  # a program's arguments and its standard input


class Node:
    """The node that this process is in. Remembers what programs were fed with, to be run again on their own."""

    name = "node1"

    def __init__(self) -> None:
        self.inputs: list[Input] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes | None = None,
        check: bool = True,
        timeout: float = 600.0,
    ) -> Result:
        """Run a program here."""
        if isinstance(stdin, str):
            self.inputs.append((list(argv), stdin))
        return run(argv, stdin=stdin, check=check, timeout=timeout)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives here."""
        return socket.socket(family, kind, protocol)


def fresh_namespace() -> None:
    """Move this process into a network namespace of its own, with mounts of its own.

    Its loopback is up: without any address the kernel has no table of local ones, and IPVS takes no real server.
    """
    libc.unshare(libc.CLONE_NEWNS | libc.CLONE_NEWNET)
    run(["ip", "link", "set", "lo", "up"])


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


def objects(services: int, endpoints: int) -> list[Change]:
    """What a watch tells an agent at its start."""
    made: list[Change] = [("Service", None, service(i)) for i in range(services)]
    return made + [("EndpointSlice", None, endpoint_slice(i, endpoints)) for i in range(services)]
