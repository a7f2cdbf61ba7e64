"""Names, indexes and addresses: pure."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.cluster import layout
from testbed.cluster.layout import Place
from testbed.cluster.network import PodAddresses
from testbed.errors import KernelStateError

NODE = Place(
    "node1", "0a:58:c0:a8:00:01", (ip_interface("192.168.0.1/24"), ip_interface("fd00:10:192::1/64"))
)
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,60}[a-z0-9])?", fullmatch=True)


@given(NAMES)
def test_a_switchs_device_name_fits_and_is_telling_where_it_can_be(name: str) -> None:
    device = Place(name, "", ()).switch_device
    assert len(device) <= 15
    assert device == f"s1-{name}" or len(name) > 12


@given(st.sets(NAMES, min_size=2, max_size=2))
def test_two_names_have_two_devices(names: set[str]) -> None:
    assert len({Place(name, "", ()).switch_device for name in names}) == 2


@given(NAMES, NAMES)
def test_a_pods_device_name_fits(namespace: str, name: str) -> None:
    assert len(layout.host_device(layout.pod_namespace(namespace, name))) <= 15


@pytest.mark.parametrize(
    ("namespace", "name"), [("default", "web-1"), ("default", "a" * 247), ("n" * 63, "a" * 253)]
)
def test_a_pods_namespace_is_a_files_name(namespace: str, name: str) -> None:
    made = layout.pod_namespace(namespace, name)
    assert len(made) <= 255
    assert made == f"{namespace}_{name}" or len(f"{namespace}_{name}") > 255


def test_two_long_names_have_two_namespaces() -> None:
    assert len({layout.pod_namespace("default", "a" * 252 + end) for end in "bc"}) == 2


@given(st.ip_addresses(v=4))
def test_a_mac_is_unicast_local_and_tells_the_address(address: object) -> None:
    mac = bytes.fromhex(layout.mac_of(ip_address(str(address))).replace(":", ""))
    assert mac[0] & 0b11 == 0b10
    assert mac[2:] == ip_address(str(address)).packed


@pytest.mark.parametrize("families", [("10.244.0.2",), ("fd00:10:244::2",), ("10.244.0.2", "fd00:10:244::2")])
def test_each_end_of_a_pods_wire_knows_the_other(families: tuple[str, ...]) -> None:
    ips = [ip_address(ip) for ip in families]
    wire = layout.pod_wire(NODE, "default_web-1", ips, 1000)
    assert [who for who, _ in wire.outside.neighbours] == ips
    assert {mac for _, mac in wire.outside.neighbours} == {wire.inside.mac}
    assert [route.to for route in wire.outside.routes] == [ip_network(ip) for ip in families]
    assert {mac for _, mac in wire.inside.neighbours} == {wire.outside.mac}
    assert [route.via for route in wire.inside.routes] == [who for who, _ in wire.inside.neighbours]


def test_pod_addresses_go_round_and_leave_out_gateway_and_broadcast() -> None:
    addresses = PodAddresses([ip_network("10.244.0.0/29"), ip_network("fd00::/64")])
    given_out = [addresses.take() for _ in range(5)]
    assert [str(v4) for v4, _ in given_out] == [f"10.244.0.{n}" for n in range(2, 7)]
    assert [str(v6) for _, v6 in given_out] == [f"fd00::{n}" for n in range(2, 7)]
    with pytest.raises(KernelStateError, match="no free pod address"):
        addresses.take()
    addresses.give_back(given_out[3])
    assert addresses.take() == given_out[3]


def test_an_address_that_is_free_again_is_taken_last() -> None:
    addresses = PodAddresses([ip_network("10.244.0.0/24")])
    first = addresses.take()
    addresses.give_back(first)
    assert addresses.take() != first
