"""Where everything stands: names, addresses, MACs and routes, as docs/architecture.md has them."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from testbed.cluster import layout
from testbed.cluster.layout import Place
from testbed.kube.controllers import create_nodes
from testbed.kube.objects import ClusterConfig, default_cluster
from testbed.kube.objects.addresses import POD_SUBNETS, SERVICE_SUBNETS, of_family
from testbed.kube.store import Store
from testbed.machine.links import Port, Route

V4_POD, V6_POD = ip_address("10.244.0.5"), ip_address("fd00:10:244::5")


def cluster(family: str = "dual", clients: int = 1) -> ClusterConfig:
    pods, services = of_family(POD_SUBNETS, family), of_family(SERVICE_SUBNETS, family)
    base = default_cluster()
    networking = dataclasses.replace(
        base.networking, ip_family=family, pod_subnets=tuple(pods), service_subnets=tuple(services)
    )
    return dataclasses.replace(base, networking=networking, clients=clients)


def places(config: ClusterConfig) -> list[Place]:
    store = Store()
    create_nodes(store, config)
    return [layout.place_of_node(node) for node in store.list("Node")]


def addresses(place: Place | Port) -> list[str]:
    return [str(address) for address in place.addresses]


def way(port: Port, destination: str) -> Route:
    """The route that the kernel takes: the longest prefix."""
    target = ip_address(destination)
    return max((r for r in port.routes if target in r.to), key=lambda route: route.to.prefixlen)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("dual", ["192.168.0.2/24", "fd00:10:192::2/64"]),
        ("ipv4", ["192.168.0.2/24"]),
        ("ipv6", ["fd00:10:192::2/64"]),
    ],
)
def test_the_second_node(family: str, expected: list[str]) -> None:
    assert addresses(places(cluster(family))[1]) == expected


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("dual", ["203.0.113.12/24", "fd00:10:203::c/64"]),
        ("ipv4", ["203.0.113.12/24"]),
        ("ipv6", ["fd00:10:203::c/64"]),
    ],
)
def test_the_second_client(family: str, expected: list[str]) -> None:
    assert addresses(layout.places_of_clients(cluster(family, clients=2))[1]) == expected


def test_without_clients_there_is_none() -> None:
    assert layout.places_of_clients(cluster(clients=0)) == []


def test_pods_have_a_name_that_no_other_has() -> None:
    assert layout.pod_namespace("default", "web-1") == "default_web-1"
    assert layout.pod_namespace("a-b", "c") != layout.pod_namespace("a", "b-c")


@pytest.mark.parametrize(
    ("address", "mac"), [("10.244.0.5", "0a:58:0a:f4:00:05"), ("192.168.0.1", "0a:58:c0:a8:00:01")]
)
def test_a_mac_is_made_of_the_address(address: str, mac: str) -> None:
    assert layout.mac_of(ip_address(address)) == mac


def test_macs_of_ipv6_differ() -> None:
    macs = {layout.mac_of(ip_network("fd00:10:244::/64")[host]) for host in range(2, 252)}
    assert len(macs) == 250
    assert all(mac.startswith("0a:58:") for mac in macs)


@pytest.mark.parametrize("name", ["node1", "a-node-with-a-long-name-1", "a-node-with-a-long-name-2"])
def test_a_switch_port_has_a_name_that_the_kernel_takes(name: str) -> None:
    assert len(Place(name, "", ()).switch_device) <= 15


def test_switch_ports_of_long_names_differ() -> None:
    names = [Place(f"a-node-with-a-long-name-{number}", "", ()).switch_device for number in range(100)]
    assert len(set(names)) == 100


def test_a_switch_port_has_another_mac_than_its_node() -> None:
    node = places(cluster())[0]
    assert layout.mac_of_switch_port(node)[2:] == node.mac[2:]
    assert layout.mac_of_switch_port(node) != node.mac


@pytest.mark.parametrize(
    ("destination", "via"),
    [
        ("10.244.1.7", "192.168.0.2"),
        ("fd00:10:244:2::7", "fd00:10:192::3"),
        ("203.0.113.11", "None"),
        ("10.96.0.10", "192.168.0.254"),
        ("fd00:10:96::10", "fd00:10:192::fe"),
    ],
)
def test_the_ways_out_of_a_node(destination: str, via: str) -> None:
    nodes = places(cluster())
    port = layout.node_port(nodes[0], nodes, layout.router_addresses(cluster()))
    assert str(way(port, destination).via) == via


def test_a_node_does_not_send_its_own_pods_packets_away() -> None:
    nodes = places(cluster())
    port = layout.node_port(nodes[0], nodes, layout.router_addresses(cluster()))
    assert not [r for r in port.routes if r.to in nodes[0].pod_ranges]


def test_a_node_speaks_to_clients_with_its_own_address() -> None:
    nodes = places(cluster())
    port = layout.node_port(nodes[1], nodes, layout.router_addresses(cluster()))
    assert str(way(port, "203.0.113.11").source) == "192.168.0.2"


@pytest.mark.parametrize(
    ("destination", "via"),
    [
        ("192.168.0.3", "None"),
        ("10.244.1.7", "192.168.0.2"),
        ("10.96.0.10", "192.168.0.1"),
        ("198.51.100.1", "192.168.0.1"),
        ("fd00:10:96::10", "fd00:10:192::1"),
    ],
)
def test_the_ways_out_of_a_client(destination: str, via: str) -> None:
    config = cluster()
    port = layout.client_port(layout.places_of_clients(config)[0], places(config))
    assert str(way(port, destination).via) == via


def test_a_client_of_no_node_has_only_the_link() -> None:
    [client] = layout.places_of_clients(cluster("ipv4"))
    assert [str(r.to) for r in layout.client_port(client, []).routes] == ["192.168.0.0/24"]


def test_a_pods_link_is_point_to_point() -> None:
    wire = layout.pod_wire(places(cluster())[0], "default_web", (V4_POD, V6_POD), 7)
    assert addresses(wire.inside) == ["10.244.0.5/32", "fd00:10:244::5/128"]
    assert [str(way(wire.inside, d).via) for d in ("10.96.0.10", "fd00::1")] == [
        "169.254.1.1",
        "fe80::ecee:eeff:feee:eeee",
    ]
    assert all(route.onlink for route in wire.inside.routes)


def test_neither_end_of_a_pods_link_asks_for_a_neighbour() -> None:
    wire = layout.pod_wire(places(cluster())[0], "default_web", (V4_POD, V6_POD), 7)
    assert {str(who): mac for who, mac in wire.inside.neighbours} == {
        "169.254.1.1": "ee:ee:ee:ee:ee:ee",
        "fe80::ecee:eeff:feee:eeee": "ee:ee:ee:ee:ee:ee",
    }
    assert dict(wire.outside.neighbours) == {V4_POD: wire.inside.mac, V6_POD: wire.inside.mac}


def test_the_nodes_end_has_no_address_and_a_route_with_the_nodes() -> None:
    wire = layout.pod_wire(places(cluster())[0], "default_web", (V4_POD, V6_POD), 7)
    assert (wire.outside.index, wire.outside.addresses) == (7, ())
    assert {str(r.to): str(r.source) for r in wire.outside.routes} == {
        "10.244.0.5/32": "192.168.0.1",
        "fd00:10:244::5/128": "fd00:10:192::1",
    }


def test_a_pod_of_one_family_has_one_way() -> None:
    wire = layout.pod_wire(places(cluster("ipv4"))[0], "default_web", (V4_POD,), 7)
    assert [str(route.to) for route in wire.inside.routes] == ["0.0.0.0/0"]


def test_the_nodes_end_is_named_after_the_pod() -> None:
    names = {layout.host_device(layout.pod_namespace("default", f"web-{n}")) for n in range(1000)}
    assert len(names) == 1000
    assert all(len(name) == 12 and name.startswith("veth") for name in names)


def test_the_router_is_in_the_nodes_network() -> None:
    assert layout.router_addresses(cluster()) == (
        ip_interface("192.168.0.254/24"),
        ip_interface("fd00:10:192::fe/64"),
    )
