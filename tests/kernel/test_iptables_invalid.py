"""A connection outlives a segment that conntrack calls INVALID (kubernetes/kubernetes #74839), both variants.

    client 10.244.0.2 ── router, with the rules ── server 10.244.1.2:8080, the endpoint of 10.96.0.10:80

The server sends a segment from far outside of the window. Conntrack does not translate it back, so it would reach
the client with the endpoint's address; the client would answer with a reset, and that ends the connection.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.datapaths.iptables import CHOICES, datapath
from testbed.proxier.proxier import Settings, node_plan
from tests.kernel.routed import SERVICE, Routed, routed
from tests.require import require
from tests.unit.proxier.objects import FACTS, NODE, endpoint, endpoint_slice, service
from tests.waiting import until

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21  # linux/tcp.h
RECEIVED, SENT = 1, 2
FAR = 1 << 30  # outside of any window
SECONDS = 10.0
ACK, PSH = 0x10, 0x08


@dataclass
class Connection:
    """Both ends of a connection by way of the cluster IP, and all TCP that the client's host receives."""

    net: Routed
    variant: str
    client: socket.socket
    server: socket.socket
    heard: socket.socket

    def inject(self) -> None:
        """Send the client a segment that acknowledges what it has sent, from far outside of the window."""
        sent, received = queue_sequences(self.server)
        source, target = self.server.getsockname(), self.server.getpeername()
        with self.net.servers[0].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
            raw.sendto(segment(source, target, (sent + FAR) % (1 << 32), received), (target[0], 0))

    def tells(self, word: bytes) -> bytes:
        """What the client receives when the server sends a word."""
        self.server.sendall(word)
        return self.client.recv(100)

    def sources(self) -> set[str]:
        """Who has sent something to the client since it was asked last."""
        found = set()
        with contextlib.suppress(BlockingIOError):
            while packet := self.heard.recv(2000, socket.MSG_DONTWAIT):
                found.add(socket.inet_ntoa(packet[12:16]))
        return found


def queue_sequences(connected: socket.socket) -> tuple[int, int]:
    """The numbers of the next byte to send and to receive (tcp(7) keeps silent about TCP_REPAIR; CRIU uses it)."""
    found = []
    connected.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    for queue in (SENT, RECEIVED):
        connected.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        (number,) = struct.unpack("I", connected.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ, 4))
        found.append(number)
    connected.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, -1)  # off, and the peer is not told
    return found[0], found[1]


def segment(source: tuple[str, int], target: tuple[str, int], number: int, acknowledged: int) -> bytes:
    """A TCP segment with one byte of data (RFC 9293)."""
    ports = (source[1], target[1])
    pseudo = socket.inet_aton(source[0]) + socket.inet_aton(target[0]) + struct.pack("!BBH", 0, 6, 21)
    blank = struct.pack("!HHLLBBHHH", *ports, number, acknowledged, 5 << 4, ACK | PSH, 1000, 0, 0) + b"!"
    words = struct.unpack("!17H", pseudo + blank + b"\0")
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    check = ~(total + (total >> 16)) & 0xFFFF
    return blank[:16] + struct.pack("!H", check) + blank[18:]


@pytest.fixture(params=CHOICES, ids=lambda options: options["variant"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A connection through the rules of each variant that this machine has."""
    require(f"iptables-{request.param['variant']}")
    ends = endpoint_slice([endpoint("10.244.1.2", NODE)])
    with routed(tmp_path) as net, contextlib.ExitStack() as stack:
        datapath(request.param).apply(net.router, node_plan(FACTS, Settings(), [service()], [ends]), None)
        listening = stack.enter_context(net.servers[0].socket(socket.AF_INET, socket.SOCK_STREAM))
        listening.bind(("", 8080))
        listening.listen()
        heard = net.client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
        client = net.client.socket(socket.AF_INET, socket.SOCK_STREAM)
        stack.enter_context(heard)
        stack.enter_context(client).settimeout(SECONDS)
        client.connect((SERVICE, 80))
        server = stack.enter_context(listening.accept()[0])
        server.settimeout(SECONDS)
        yield Connection(net, request.param["variant"], client, server, heard)


def test_a_connection_outlives_an_invalid_segment(connection: Connection) -> None:
    assert connection.tells(b"before") == b"before"
    connection.inject()
    assert connection.tells(b"after") == b"after"  # comes behind the segment, if that comes at all
    connection.client.sendall(b"and back")
    assert connection.server.recv(100) == b"and back"
    assert connection.sources() == {SERVICE}


def test_without_the_rule_it_would_not(connection: Connection) -> None:
    """Guards the test above: the segment is one that does the harm."""
    assert connection.tells(b"before") == b"before"
    connection.net.router.run([f"iptables-{connection.variant}", "-D", "KUBE-FORWARD", "1"])
    connection.inject()
    until(lambda: "10.244.1.2" in connection.sources(), "the segment under the endpoint's address", SECONDS)
    with pytest.raises(ConnectionResetError):
        connection.server.recv(100)
