"""UDP flows in a real kernel's connection tracking: listed, picked out, forgotten. Needs root."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from testbed.errors import KernelStateError
from testbed.machine.conntrack import Conntrack, Flow
from testbed.machine.netns import Netns
from tests.namespaces import fresh_namespace
from tests.require import require

MANY = 10_000
LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
TRACK = "*filter\n-A OUTPUT -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Netns]:
    """A namespace whose loopback traffic is tracked."""
    require("conntrack", "iptables-nft")
    with fresh_namespace(tmp_path) as made:
        made.run(["ip", "link", "set", "lo", "up"])
        for tool in ("iptables-nft-restore", "ip6tables-nft-restore"):
            made.run([tool], stdin=TRACK)
        yield made


@pytest.fixture
def conntrack(node: Netns) -> Iterator[Conntrack]:
    opened = node.call(Conntrack)
    yield opened
    opened.close()


@pytest.fixture(params=LOOPBACK, ids=["IPv4", "IPv6"])
def family(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def sent(node: Netns, family: int, ports: range) -> int:
    """Send a datagram to each port; returns the port that they come from. Answers tell that nobody is there."""
    with node.socket(family, socket.SOCK_DGRAM) as sender:
        for port in ports:
            sender.sendto(b"x", (LOOPBACK[socket.AddressFamily(family)], port))
        return int(sender.getsockname()[1])


def here(family: int) -> bytes:
    return ip_address(LOOPBACK[socket.AddressFamily(family)]).packed


def ports(flows: list[Flow]) -> list[int]:
    return sorted(flow.destination[1] for flow in flows)


def test_a_flow_tells_where_it_was_sent_and_who_answers(
    node: Netns, conntrack: Conntrack, family: int
) -> None:
    sent(node, family, range(2000, 2001))
    [flow] = conntrack.udp(family)
    assert (flow.destination, flow.replier) == ((here(family), 2000), (here(family), 2000))


def test_entries_of_this_namespace_are_counted(node: Netns, conntrack: Conntrack, family: int) -> None:
    assert conntrack.entries() == 0
    sent(node, family, range(2000, 2003))
    assert conntrack.entries() == 3


def test_a_translated_flow_is_answered_by_another(node: Netns, conntrack: Conntrack, family: int) -> None:
    tool, host = ("iptables-nft", "127.0.0.1") if family == socket.AF_INET else ("ip6tables-nft", "[::1]")
    rule = f"-t nat -A OUTPUT -p udp --dport 2000 -j DNAT --to-destination {host}:3000"
    node.run([tool, *rule.split()])
    sent(node, family, range(2000, 2001))
    [flow] = conntrack.udp(family)
    assert (flow.destination, flow.replier) == ((here(family), 2000), (here(family), 3000))


def test_the_kernel_picks_out_a_port(node: Netns, conntrack: Conntrack, family: int) -> None:
    sent(node, family, range(2000, 2010))
    assert ports(list(conntrack.udp(family, 2005))) == [2005]


def test_families_do_not_mix(node: Netns, conntrack: Conntrack) -> None:
    sent(node, socket.AF_INET, range(2000, 2001))
    sent(node, socket.AF_INET6, range(3000, 3001))
    assert ports(list(conntrack.udp(socket.AF_INET))) == [2000]
    assert ports(list(conntrack.udp(socket.AF_INET6))) == [3000]


def test_tcp_is_not_listed(node: Netns, conntrack: Conntrack) -> None:
    with node.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 2000))
        listener.listen()
        with node.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.connect(("127.0.0.1", 2000))
            assert list(conntrack.udp(socket.AF_INET)) == []
    assert "tcp" in node.run(["conntrack", "-L"]).stdout


def test_the_flows_of_another_namespace_are_not_listed(
    node: Netns, conntrack: Conntrack, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with fresh_namespace(tmp_path / "other") as other:
        other.run(["ip", "link", "set", "lo", "up"])
        other.run(["iptables-nft-restore"], stdin=TRACK)
        sent(other, socket.AF_INET, range(2000, 2001))
        assert list(conntrack.udp(socket.AF_INET)) == []


def test_what_is_deleted_is_gone_and_nothing_else(node: Netns, conntrack: Conntrack, family: int) -> None:
    sent(node, family, range(2000, 2010))
    flows = list(conntrack.udp(family))
    assert conntrack.delete(family, [flow for flow in flows if flow.destination[1] < 2003]) == 3
    assert ports(list(conntrack.udp(family))) == list(range(2003, 2010))


def test_what_is_gone_already_does_not_count(node: Netns, conntrack: Conntrack, family: int) -> None:
    sent(node, family, range(2000, 2002))
    flows = list(conntrack.udp(family))
    conntrack.delete(family, flows[:1])
    assert conntrack.delete(family, flows) == 1


def test_ten_thousand_flows(node: Netns, conntrack: Conntrack, family: int) -> None:
    sent(node, family, range(2000, 2000 + MANY))
    flows = list(conntrack.udp(family))
    assert len(flows) == MANY
    assert conntrack.delete(family, flows) == MANY
    assert list(conntrack.udp(family)) == []


def test_without_flows_there_is_nothing_to_do(conntrack: Conntrack, family: int) -> None:
    assert list(conntrack.udp(family)) == []
    assert conntrack.delete(family, []) == 0


def test_a_closed_socket_is_told(node: Netns) -> None:
    closed = node.call(Conntrack)
    closed.close()
    with pytest.raises(KernelStateError, match="asking connection tracking: Bad file descriptor"):
        list(closed.udp(socket.AF_INET))
