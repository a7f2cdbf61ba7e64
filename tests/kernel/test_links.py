"""Wires as the kernel has them after they were laid, read back with ip(8). Needs root."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from testbed.errors import KernelStateError
from testbed.machine import links, netns, rtnetlink
from testbed.machine.links import Port, Route, Wire
from testbed.machine.netns import Netns
from testbed.machine.rtnetlink import Rtnetlink

GATEWAY, GATEWAY_MAC = ip_address("169.254.1.1"), "ee:ee:ee:ee:ee:ee"
POD, POD6, MAC = ip_interface("10.244.0.2/32"), ip_interface("fd00:10:244::2/128"), "0a:58:0a:f4:00:02"
INSIDE = Port(
    5, "eth0", MAC, (POD, POD6),
    (Route(ip_network("0.0.0.0/0"), via=GATEWAY, onlink=True),),
    ((GATEWAY, GATEWAY_MAC),),
)  # fmt: skip
OUTSIDE = Port(
    77, "veth01", GATEWAY_MAC, (), (Route(POD.network), Route(POD6.network)), ((POD.ip, MAC), (POD6.ip, MAC))
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Netns]:
    [made] = netns.create(["node"], tmp_path)
    made.run(["ip", "link", "set", "lo", "up"])
    yield made
    netns.delete(made)


@pytest.fixture
def pod(tmp_path: Path, node: Netns) -> Iterator[Netns]:
    """A namespace with the wire to the node laid."""
    [made] = lay(tmp_path, node, Wire(INSIDE, OUTSIDE))
    yield made
    netns.delete(made)


def lay(folder: Path, node: Netns, wire: Wire, name: str = "pod") -> list[Netns]:
    """As a cluster's network does it: the inner end as the namespace is made, then the outer one."""
    there = node.open()

    def within(_: Netns) -> None:
        with Rtnetlink() as netlink:
            netlink.send(wire.requests_inside(there))

    try:
        made = netns.create([name], folder, within)
    finally:
        os.close(there)
    with node.call(Rtnetlink) as netlink:
        netlink.send(wire.outside.requests())
    return made


def shown(where: Netns, *arguments: str) -> list[dict[str, Any]]:
    """What ip(8) prints as JSON."""
    found: list[dict[str, Any]] = json.loads(where.run(["ip", "-json", *arguments]).stdout or "[]")
    return found


def test_both_ends_are_up_under_their_names_and_numbers(pod: Netns, node: Netns) -> None:
    [inside], [outside] = shown(pod, "link", "show", "eth0"), shown(node, "link", "show", "veth01")
    assert (inside["ifindex"], inside["address"], inside["operstate"]) == (5, MAC, "UP")
    assert (outside["ifindex"], outside["address"], outside["operstate"]) == (77, GATEWAY_MAC, "UP")


def test_addresses_are_usable_at_once(pod: Netns) -> None:
    """An IPv6 address that is still looked for elsewhere (DAD) would be tentative."""
    [device] = shown(pod, "address", "show", "eth0")
    found = {f"{a['local']}/{a['prefixlen']}": a.get("tentative", False) for a in device["addr_info"]}
    assert found == {str(POD): False, str(POD6): False}


def test_routes(pod: Netns, node: Netns) -> None:
    assert [(r["dst"], r["gateway"]) for r in shown(pod, "route")] == [("default", "169.254.1.1")]
    assert [(r["dst"], r["dev"]) for r in shown(node, "route")] == [("10.244.0.2", "veth01")]
    assert {r["dst"] for r in shown(node, "-6", "route", "show", "root", "fd00::/8")} == {"fd00:10:244::2"}


def test_neighbours_are_fixed(pod: Netns, node: Netns) -> None:
    assert [(n["dst"], n["lladdr"], n["state"]) for n in shown(pod, "neigh")] == [
        ("169.254.1.1", GATEWAY_MAC, ["PERMANENT"])
    ]
    assert {n["dst"]: n["state"] for n in shown(node, "neigh")} == {
        "10.244.0.2": ["PERMANENT"],
        "fd00:10:244::2": ["PERMANENT"],
    }


def test_a_packet_passes_both_ways(pod: Netns, node: Netns) -> None:
    node.run(["ip", "address", "add", "192.168.0.1/32", "dev", "lo"])
    assert pod.run(["ping", "-c", "1", "-W", "10", "192.168.0.1"]).status == 0
    assert node.run(["ping", "-c", "1", "-W", "10", "10.244.0.2"]).status == 0


def test_a_bridge_joins_its_ports(node: Netns, tmp_path: Path) -> None:
    with node.call(Rtnetlink) as netlink:
        netlink.send([rtnetlink.bridge(rtnetlink.Device("s1", 2, ""))])
    made = []
    for number in (1, 2):
        inside = Port(2, "eth0", f"0a:58:00:00:00:0{number}", (ip_interface(f"192.168.0.{number}/24"),))
        outside = Port(10 + number, f"s1-h{number}", f"0e:58:00:00:00:0{number}", bridge=2)
        made += lay(tmp_path, node, Wire(inside, outside), f"h{number}")
    assert {p["ifname"] for p in shown(node, "link", "show", "master", "s1")} == {"s1-h1", "s1-h2"}
    assert made[0].run(["ping", "-c", "1", "-W", "10", "192.168.0.2"]).status == 0
    for each in made:
        netns.delete(each)


def test_deleted_both_ends_are_gone(pod: Netns, node: Netns) -> None:
    with node.call(Rtnetlink) as netlink:
        netlink.send(rtnetlink.delete([77]))
    assert [device["ifname"] for device in shown(node, "link")] == ["lo"]
    assert [device["ifname"] for device in shown(pod, "link")] == ["lo"]


def test_what_the_kernel_refuses_is_named(pod: Netns, node: Netns) -> None:
    with node.call(Rtnetlink) as netlink, pytest.raises(KernelStateError, match="10.244.0.9"):
        netlink.send([rtnetlink.route(4711, Route(ip_network("10.244.0.9/32")))])


def test_after_a_refusal_the_socket_goes_on(node: Netns) -> None:
    with node.call(Rtnetlink) as netlink:
        with pytest.raises(KernelStateError):
            netlink.send([rtnetlink.up(4711)])
        netlink.send([rtnetlink.bridge(rtnetlink.Device("s1", 2, ""))])
    assert [device["ifname"] for device in shown(node, "link")] == ["lo", "s1"]


def test_sysctls_are_the_namespaces_own(node: Netns) -> None:
    before = Path("/proc/sys/net/ipv4/conf/default/rp_filter").read_text()
    node.call(lambda: links.sysctl({"net/ipv4/conf/default/rp_filter": "2"}))
    assert node.run(["sysctl", "-n", "net.ipv4.conf.default.rp_filter"]).stdout == "2\n"
    assert Path("/proc/sys/net/ipv4/conf/default/rp_filter").read_text() == before


@pytest.mark.parametrize(
    ("name", "reason"), [("net/ipv4/no_such", "No such file"), ("net/ipv4/ip_forward", "Invalid argument")]
)
def test_a_sysctl_that_cannot_be_written_is_named(node: Netns, name: str, reason: str) -> None:
    with pytest.raises(KernelStateError, match=f"sysctl {name}=x: {reason}"):
        node.call(lambda: links.sysctl({name: "x"}))


@pytest.mark.parametrize(("name", "there"), [("net/ipv4/ip_forward", True), ("net/ipv4/no_such", False)])
def test_a_sysctl_can_be_asked_for(node: Netns, name: str, there: bool) -> None:
    assert node.call(lambda: links.has_sysctl(name)) is there
