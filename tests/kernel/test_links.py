"""Wires laid over netlink, read back with ip(8)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import KernelStateError
from testbed.machine import netns, rtnetlink
from testbed.machine.links import Port, Route, Wire
from testbed.machine.netns import Netns
from testbed.machine.rtnetlink import Device, Rtnetlink
from tests.namespaces import fresh_namespace

GATEWAY4, GATEWAY6 = ip_address("169.254.1.1"), ip_address("fe80::1")
MAC, FAR_MAC = "0a:58:0a:f4:00:02", "ee:ee:ee:ee:ee:ee"
INSIDE = Port(
    2, "eth0", MAC, (ip_interface("10.244.0.2/32"), ip_interface("fd00::2/128")),
    (
        Route(ip_network("0.0.0.0/0"), via=GATEWAY4, onlink=True),
        Route(ip_network("::/0"), via=GATEWAY6, onlink=True),
    ),
    ((GATEWAY4, FAR_MAC), (GATEWAY6, FAR_MAC)),
)  # fmt: skip
OUTSIDE = Port(
    1000, "veth1", FAR_MAC, (), (Route(ip_network("10.244.0.2/32")), Route(ip_network("fd00::2/128"))),
    ((ip_address("10.244.0.2"), MAC), (ip_address("fd00::2"), MAC)),
)  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Netns]:
    with fresh_namespace(tmp_path) as made:
        yield made


def lay(node: Netns, wires: dict[str, Wire]) -> list[Netns]:
    """New namespaces beside the node's, each on its wire."""
    here = node.open()

    def within(made: Netns) -> None:
        with Rtnetlink() as netlink:
            netlink.send(wires[made.name].requests_inside(here))

    try:
        made = netns.create(wires, node.path.parent, within)
    finally:
        os.close(here)
    with node.call(Rtnetlink) as netlink:
        netlink.send(request for wire in wires.values() for request in wire.outside.requests())
    return made


@pytest.fixture
def pod(node: Netns) -> Iterator[Netns]:
    (made,) = lay(node, {"pod": Wire(INSIDE, OUTSIDE)})
    yield made
    netns.delete(made)


def ip(where: Netns, *words: str) -> list[dict[str, Any]]:
    """What `ip -j` answers there."""
    found: list[dict[str, Any]] = json.loads(where.run(["ip", "-j", *words]).stdout or "[]")
    return found


def test_both_ends_are_up_where_they_belong(node: Netns, pod: Netns) -> None:
    (inside,) = ip(pod, "link", "show", "eth0")
    (outside,) = ip(node, "link", "show", "veth1")
    assert (inside["ifindex"], inside["address"], inside["operstate"]) == (2, MAC, "UP")
    assert (outside["ifindex"], outside["address"], outside["operstate"]) == (1000, FAR_MAC, "UP")


def test_the_addresses_and_no_other_are_usable_at_once(pod: Netns) -> None:
    (device,) = ip(pod, "address", "show", "eth0")
    found = {(a["local"], a["prefixlen"]): a for a in device["addr_info"]}
    assert set(found) == {("10.244.0.2", 32), ("fd00::2", 128)}
    assert not any(a.get("tentative") for a in found.values())


@pytest.mark.parametrize(("family", "gateway"), [("-4", GATEWAY4), ("-6", GATEWAY6)])
def test_the_way_out_is_a_gateway_that_nothing_else_leads_to(
    pod: Netns, family: str, gateway: object
) -> None:
    (route,) = ip(pod, family, "route", "show", "default")
    assert (route["gateway"], route["dev"]) == (str(gateway), "eth0")


@pytest.mark.parametrize(("family", "to"), [("-4", "10.244.0.2"), ("-6", "fd00::2")])
def test_the_way_in_is_by_the_other_end(node: Netns, pod: Netns, family: str, to: str) -> None:
    (route,) = ip(node, family, "route", "get", to)
    assert route["dev"] == "veth1"


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_neighbours_are_fixed_on_both_sides(node: Netns, pod: Netns, family: str) -> None:
    told = [ip(where, family, "neigh", "show", "nud", "permanent") for where in (pod, node)]
    assert [[n["lladdr"] for n in side] for side in told] == [[FAR_MAC], [MAC]]


def test_a_packet_gets_through(pod: Netns, node: Netns) -> None:
    with node.call(Rtnetlink) as netlink:
        netlink.send([rtnetlink.up(1), rtnetlink.address(1, ip_interface("192.168.0.1/32"))])
    with pytest.raises(ConnectionRefusedError), node.socket(2, 1) as caller:
        caller.settimeout(10)
        caller.connect(("10.244.0.2", 9))


def test_a_port_of_a_bridge(node: Netns, tmp_path: Path) -> None:
    with node.call(Rtnetlink) as netlink:
        netlink.send([rtnetlink.bridge(Device("s1", 2, ""))])
    (made,) = lay(node, {"host": Wire(INSIDE, Port(3, "s1-host", FAR_MAC, bridge=2))})
    (outside,) = ip(node, "link", "show", "s1-host")
    netns.delete(made)
    assert outside["master"] == "s1"


def test_the_refused_request_is_named(node: Netns) -> None:
    with node.call(Rtnetlink) as netlink:
        with pytest.raises(KernelStateError, match=r"^address 10\.0\.0\.1/24: No such device$"):
            netlink.send(
                [rtnetlink.up(1), rtnetlink.address(99, ip_interface("10.0.0.1/24")), rtnetlink.up(1)]
            )


def test_after_a_refused_request_the_socket_is_as_good_as_before(node: Netns) -> None:
    with node.call(Rtnetlink) as netlink:
        with pytest.raises(KernelStateError):
            netlink.send([rtnetlink.up(99), rtnetlink.up(98)])
        netlink.send([rtnetlink.up(1)])
    (loopback,) = ip(node, "link", "show", "lo")
    assert "UP" in loopback["flags"]


def test_more_requests_than_fit_into_one_message(node: Netns) -> None:
    first = int(ip_address("10.0.0.0"))
    wanted = [Route(ip_network((first + n, 32))) for n in range(3001)]
    with node.call(Rtnetlink) as netlink:
        netlink.send([rtnetlink.up(1), *(rtnetlink.route(1, route) for route in wanted)])
    assert len(ip(node, "-4", "route")) == 3001


def test_nothing_to_send_changes_nothing(node: Netns) -> None:
    before = ip(node, "link")
    with node.call(Rtnetlink) as netlink:
        netlink.send([])
    assert ip(node, "link") == before


def test_devices_go_together_with_their_other_ends_and_others_stay(node: Netns) -> None:
    wires = {f"pod{n}": Wire(INSIDE, Port(1000 + n, f"veth{n}", FAR_MAC)) for n in range(3)}
    pods = lay(node, wires)
    with node.call(Rtnetlink) as netlink:
        netlink.send(rtnetlink.delete([1000, 1002]))
    left = [device["ifname"] for device in ip(node, "link")]
    inside = [[device["ifname"] for device in ip(pod, "link")] for pod in pods]
    for pod in pods:
        netns.delete(pod)
    assert left == ["lo", "veth1"]
    assert inside == [["lo"], ["lo", "eth0"], ["lo"]]


def test_a_taken_name_is_an_error_and_nothing_is_left_of_the_second(node: Netns, pod: Netns) -> None:
    with pytest.raises(KernelStateError, match="new device eth0: File exists"):
        lay(node, {"other": Wire(INSIDE, OUTSIDE)})
    other = Netns("other", node.path.parent)
    assert [device["ifname"] for device in ip(other, "link")] == ["lo"]
    netns.delete(other)
