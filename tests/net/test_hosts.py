"""What a case leaves in the kernels of its hosts, and that it is taken away again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.machine.netns import Netns
from tests.namespaces import fresh_namespace
from tests.net.hosts import Hosts

TRACKED = ("-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Netns]:
    """A namespace with a device `eth0` that leads nowhere, and connection tracking."""
    with fresh_namespace(tmp_path, "host") as made:
        made.run(["ip", "link", "set", "lo", "up"])
        made.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "nowhere"])
        made.run(["ip", "link", "set", "nowhere", "up"])
        made.run(["ip", "link", "set", "eth0", "up"])
        made.run(["ip", "address", "add", "192.0.2.1/24", "dev", "eth0"])
        made.run(["ip", "address", "add", "2001:db8::1/64", "dev", "eth0", "nodad"])
        made.run(["iptables", *TRACKED])
        made.run(["ip6tables", *TRACKED])
        yield made


@pytest.fixture
def hosts(place: Netns) -> Hosts:
    return Hosts(place.path.parent)


def routes(place: Netns) -> list[str]:
    found = [place.run(["ip", family, "route"]).stdout.splitlines() for family in ("-4", "-6")]
    return sorted(line for lines in found for line in lines)


def tracked(place: Netns) -> int:
    return int(place.run(["sysctl", "-n", "net.netfilter.nf_conntrack_count"]).stdout)


def test_a_route_goes_again(place: Netns, hosts: Hosts) -> None:
    before = routes(place)
    hosts.route("host", "203.0.113.9", "192.0.2.7")
    hosts.route("host", "203.0.113.9", "192.0.2.8")
    hosts.route("host", "2001:db8:1::9", "2001:db8::7")
    assert any(line.startswith("203.0.113.9 via 192.0.2.8 dev eth0 ") for line in routes(place))
    hosts.reset(["host"])
    assert routes(place) == before


def test_an_address_goes_again(hosts: Hosts) -> None:
    before = hosts.addresses(["host"])
    hosts.add_addresses([("host", "192.168.0.200"), ("host", "fd00:10:192::c8")])
    assert hosts.addresses(["host"])["host"] == [*before["host"], "192.168.0.200", "fd00:10:192::c8"]
    hosts.reset(["host"])
    assert hosts.addresses(["host"]) == before


def test_connections_are_forgotten(place: Netns, hosts: Hosts) -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with place.socket(family, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", (address, 9))
    assert tracked(place) == 2
    hosts.reset(["host"])
    assert tracked(place) == 0


def test_refusals_are_not_limited(place: Netns, hosts: Hosts) -> None:
    hosts.prepare(["host"])
    names = ("net.ipv4.icmp_ratemask", "net.ipv6.icmp.ratemask")
    assert place.run(["sysctl", "-n", *names]).stdout.split() == ["0"]  # the second one names no kind
