"""How the fields of Services and EndpointSlices are read."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from testbed.proxier.addresses import parse_address, parse_network
from testbed.proxier.plan import Family, Protocol
from testbed.proxier.services import ServicePort, service_ports
from testbed.proxier.slices import candidates, service_of
from tests.unit.proxier.objects import NODE, Object, endpoint, endpoint_slice, port, service

BOTH = (Family.IPV4, Family.IPV6)
HTTP = ("http", Protocol.TCP, Family.IPV4)
EXTERNAL: dict[str, Any] = {
    "ports": [port(node_port=30080)],
    "type": "LoadBalancer",
    "healthCheckNodePort": 31000,
}


def only(obj: Object) -> ServicePort:
    """The one port of a Service."""
    (found,) = service_ports(obj, BOTH)
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("010.000.007.1", "10.0.7.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("FD00::0001", "fd00::1"),
    ],
)
def test_addresses_are_read_leniently(text: str, expected: str) -> None:
    assert parse_address(text) == ip_address(expected)


@pytest.mark.parametrize(
    "text",
    ["", "10", "10.0.0", "10.0.0.256", "10.0.0.1.2", "web", "10.0.0.1/24", "0x10.0.0.1", "10.0.0.1 "]
    + ["10.0.0.1\n", "10.0.0.1\0", "\uff11\uff10.0.0.1", "\udcff"],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [(" 10.0.0.9/24 ", "10.0.0.0/24"), ("010.0.0.0/8", "10.0.0.0/8"), ("fd00::1/64", "fd00::/64")],
)
def test_networks_are_read_leniently(text: str, expected: str) -> None:
    assert parse_network(text) == ip_network(expected)


@pytest.mark.parametrize("text", ["", "10.0.0.1", "10.0.0.0/33", "all"])
def test_what_is_no_network_is_none(text: str) -> None:
    assert parse_network(text) is None


@pytest.mark.parametrize(
    "obj",
    [
        service(clusterIP="None"),
        service(clusterIP=""),
        service(type="ExternalName", externalName="example.org"),
        service(ports=[]),
        service() | {"metadata": {"name": "web", "labels": {"service.kubernetes.io/headless": ""}}},
        service()
        | {"metadata": {"name": "web", "labels": {"service.kubernetes.io/service-proxy-name": "x"}}},
    ],
    ids=["headless", "no cluster IP yet", "ExternalName", "no ports", "headless label", "other proxy"],
)
def test_services_that_need_nothing_from_a_node(obj: Object) -> None:
    assert service_ports(obj, BOTH) == ()


def test_dual_stack_gives_a_port_in_each_family_with_that_family_s_addresses() -> None:
    obj = service(
        clusterIPs=["10.96.0.10", "fd00:10:96::a"],
        externalIPs=["203.0.113.1", "fd00:10:203::1"],
        loadBalancerSourceRanges=["203.0.113.0/24"],
    )
    v4, v6 = service_ports(obj, BOTH)
    assert (v4.external_ips, v6.external_ips) == (
        (ip_address("203.0.113.1"),),
        (ip_address("fd00:10:203::1"),),
    )
    assert (len(v4.source_ranges), len(v6.source_ranges)) == (1, 0)


def test_ports_of_one_number_and_two_protocols_are_two() -> None:
    found = service_ports(service(ports=[port(53, "dns", "UDP"), port(53, "dns-tcp")]), BOTH)
    assert [(p.key.port, p.key.protocol) for p in found] == [("dns", "UDP"), ("dns-tcp", "TCP")]


def test_defaults_of_a_service_that_no_api_server_has_filled_in() -> None:
    found = only(service(ports=[{"port": 80}]))
    assert (found.key.port, found.key.protocol, found.affinity_seconds) == ("", Protocol.TCP, None)
    assert not found.internal_local
    assert str(found.key) == "default/web"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, None),
        ({"sessionAffinity": "None"}, None),
        ({"sessionAffinity": "ClientIP"}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}, 60),
    ],
)
def test_affinity_seconds(spec: Object, expected: int | None) -> None:
    assert only(service(**spec)).affinity_seconds == expected


@pytest.mark.parametrize(("mode", "count"), [("VIP", 1), ("Proxy", 0), (None, 1)])
def test_a_balancer_that_terminates_itself_is_not_our_address(mode: str | None, count: int) -> None:
    ingress = {"ip": "198.51.100.1"} | ({"ipMode": mode} if mode else {})
    assert len(only(service(ingress=[ingress], **EXTERNAL)).load_balancer_ips) == count


def test_a_balancer_with_a_host_name_has_no_address() -> None:
    assert only(service(ingress=[{"hostname": "lb.example.org"}], **EXTERNAL)).load_balancer_ips == ()


@pytest.mark.parametrize(("policy", "expected"), [("Local", 31000), ("Cluster", None)])
def test_health_check_node_port_needs_policy_local(policy: str, expected: int | None) -> None:
    assert only(service(externalTrafficPolicy=policy, **EXTERNAL)).health_check_node_port == expected


def read(*slices: Object) -> list[str]:
    """The endpoints of port http over some slices."""
    return [str(c.endpoint) for c in candidates(slices, HTTP, NODE)]


def test_slices_of_a_service_are_merged_and_duplicates_collapse() -> None:
    first = endpoint_slice([endpoint("10.244.1.9"), endpoint("10.244.1.5")])
    assert read(first, endpoint_slice([endpoint("10.244.1.5")], name="web-2")) == [
        "10.244.1.5:8080",
        "10.244.1.9:8080",
    ]


def test_an_endpoint_that_one_slice_knows_as_local_is_local() -> None:
    slices = [endpoint_slice([endpoint("10.244.0.5", node)]) for node in ("node2", NODE, "node2")]
    (found,) = candidates(slices, HTTP, NODE)
    assert found.endpoint.local


def test_a_named_target_port_may_differ_between_slices() -> None:
    other = endpoint_slice(
        [endpoint("10.244.1.6")], ports=[{"name": "http", "port": 9090, "protocol": "TCP"}]
    )
    assert read(endpoint_slice([endpoint("10.244.1.5")]), other) == ["10.244.1.5:8080", "10.244.1.6:9090"]


@pytest.mark.parametrize(
    "obj",
    [
        endpoint_slice([endpoint("web.example.org")], family="FQDN"),
        endpoint_slice([endpoint("fd00::5")], family="IPv6"),
        endpoint_slice([endpoint("fd00::5")]),
        endpoint_slice([{"addresses": []}]),
        endpoint_slice([endpoint("10.244.1.5")], ports=[{"name": "http"}]),
        endpoint_slice([endpoint("10.244.1.5")], ports=[{"name": "other", "port": 1}]),
    ],
    ids=["FQDN", "other family", "address of another family", "no address", "all ports", "other port"],
)
def test_slices_that_say_nothing_about_this_port(obj: Object) -> None:
    assert read(obj) == []


def test_only_the_first_address_of_an_endpoint_counts() -> None:
    assert read(endpoint_slice([{"addresses": ["10.244.1.5", "10.244.1.6"]}])) == ["10.244.1.5:8080"]


def test_a_slice_without_the_service_label_is_nobody_s() -> None:
    assert service_of({"metadata": {"name": "x", "namespace": "default"}}) is None


def test_a_slice_of_a_headless_service_is_not_for_proxies() -> None:
    obj = endpoint_slice([])
    obj["metadata"]["labels"]["service.kubernetes.io/headless"] = ""
    assert service_of(obj) is None
