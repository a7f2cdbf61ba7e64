"""What no Service has is left alone, both variants: another port, another protocol, another address of the range.

    client 10.244.0.2 ── router, with the rules ── server 10.244.1.2, where the service range is routed to

Whoever has the address out there answers. (kube-proxy's nftables mode rejects and drops here, on purpose.)
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.datapaths.iptables import CHOICES, datapath
from testbed.proxier.proxier import Settings, node_plan
from tests.kernel.routed import SERVICE, Routed, routed
from tests.require import require
from tests.unit.proxier.objects import FACTS, NODE, endpoint, endpoint_slice, service

FREE = "10.96.0.200"
SECONDS = 10.0
UNTOUCHED = {
    "another-port": (SERVICE, 81, socket.SOCK_STREAM),
    "another-protocol": (SERVICE, 80, socket.SOCK_DGRAM),
    "another-address": (FREE, 80, socket.SOCK_STREAM),
}


@pytest.fixture(params=CHOICES, ids=lambda options: options["variant"])
def net(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Routed]:
    """The rules of a Service for TCP port 80, by each variant that this machine has."""
    require(f"iptables-{request.param['variant']}")
    ends = endpoint_slice([endpoint("10.244.1.2", NODE)])
    with routed(tmp_path) as made:
        datapath(request.param).apply(made.router, node_plan(FACTS, Settings(), [service()], [ends]), None)
        made.router.run(["ip", "route", "add", "10.96.0.0/16", "via", "10.244.1.2"])
        for address in (SERVICE, FREE):
            made.servers[0].run(["ip", "address", "add", f"{address}/32", "dev", "lo"])
        yield made


def reached(net: Routed, kind: socket.SocketKind, asked: tuple[str, int], port: int) -> tuple[str, int]:
    """The address that a packet to `asked` has when it comes to the server, where something is bound to `port`."""
    with contextlib.ExitStack() as stack:
        bound = stack.enter_context(net.servers[0].socket(socket.AF_INET, kind))
        client = stack.enter_context(net.client.socket(socket.AF_INET, kind))
        bound.settimeout(SECONDS)
        client.settimeout(SECONDS)
        if kind is socket.SOCK_STREAM:
            bound.bind(("", port))
            bound.listen()
            client.connect(asked)
            host, number = stack.enter_context(bound.accept()[0]).getsockname()
            return host, number
        bound.bind((asked[0], port))
        client.sendto(b"hello", asked)
        assert bound.recv(100) == b"hello"
        return asked[0], port


@pytest.mark.parametrize(("address", "port", "kind"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_no_service_has_is_left_alone(
    net: Routed, address: str, port: int, kind: socket.SocketKind
) -> None:
    assert reached(net, kind, (address, port), port) == (address, port)


def test_what_a_service_has_is_translated(net: Routed) -> None:
    """Guards the test above: the rules are there."""
    assert reached(net, socket.SOCK_STREAM, (SERVICE, 80), 8080) == ("10.244.1.2", 8080)
