"""What one service port puts into the kernel: which servers with which endpoints, and which sets name them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.items import Manner, show
from testbed.datapaths.ipvs.options import options_of
from testbed.datapaths.ipvs.service import Fragment, fragment, site_of
from testbed.proxier.plan import Protocol
from testbed.proxier.proxier import Settings, node_plan
from tests.unit.proxier.objects import FACTS, NODE, Object, endpoint, endpoint_slice, port, service

HERE, THERE = endpoint("10.244.0.5", NODE), endpoint("10.244.1.5")
NODE_PORT = [port(node_port=30080)]
LOAD_BALANCER: Object = {"type": "LoadBalancer", "ports": NODE_PORT, "ingress": [{"ip": "198.51.100.1"}]}


def made(
    service_: Object,
    endpoints: list[Object],
    told: dict[str, Any] | None = None,
    local: tuple[str, ...] | None = None,
    settings: Settings | None = None,
) -> Fragment:
    """The fragment of a Service's only port."""
    plan = node_plan(FACTS, settings or Settings(), [service_], [endpoint_slice(endpoints)])
    packed = None if local is None else frozenset(ip_address(each).packed for each in local)
    (only,) = plan.services.values()
    return fragment(only, site_of(plan.facts, options_of(told or {}), packed))


def servers(given: Fragment) -> dict[str, list[str]]:
    """Real servers' addresses by virtual server."""
    return {
        f"{show(server.address)}:{server.port}": sorted(show(address) for address, _ in reals)
        for server, (_, reals) in given.servers.items()
    }


def members(given: Fragment) -> set[tuple[str, str]]:
    """The elements as sets' names and text."""
    return {(element.name, str(element)) for element in given.elements}


def test_a_cluster_ip_is_bound_named_and_served() -> None:
    given = made(service(), [HERE, THERE])
    assert servers(given) == {"10.96.0.10:80": ["10.244.0.5", "10.244.1.5"]}
    assert members(given) == {
        (sets.IPVS_IPS, "10.96.0.10"),
        (sets.CLUSTER_IP, "10.96.0.10,tcp:80"),
        (sets.LOOP_BACK, "10.244.0.5,tcp:8080,10.244.0.5"),
    }


@pytest.mark.parametrize(
    ("endpoints", "cluster", "external"),
    [
        ([HERE, THERE], ["10.244.0.5", "10.244.1.5"], ["10.244.0.5"]),
        ([THERE], ["10.244.1.5"], ["10.244.1.5"]),
        ([], [], []),
    ],
    ids=["here", "elsewhere only", "nowhere"],
)
def test_external_policy_local_falls_back_to_the_cluster_s_endpoints(
    endpoints: list[Object], cluster: list[str], external: list[str]
) -> None:
    given = made(
        service(**LOAD_BALANCER, externalTrafficPolicy="Local", healthCheckNodePort=31000), endpoints
    )
    assert servers(given) == {
        "10.96.0.10:80": cluster,
        "198.51.100.1:80": external,
        "192.168.0.1:30080": external,
    }
    assert members(given) >= {
        (sets.LOAD_BALANCER, "198.51.100.1,tcp:80"),
        (sets.LOAD_BALANCER_LOCAL, "198.51.100.1,tcp:80"),
        (sets.NODE_PORT[Protocol.TCP], "30080"),
        (sets.NODE_PORT_LOCAL[Protocol.TCP], "30080"),
        (sets.HEALTH_CHECK, "31000"),
    }


@pytest.mark.parametrize(("kind", "reals"), [("ClusterIP", []), ("NodePort", ["10.244.1.5"])])
def test_internal_policy_local_falls_back_only_if_others_can_reach_the_service(
    kind: str, reals: list[str]
) -> None:
    """UsesClusterEndpoints in kube-proxy's pkg/proxy/serviceport.go."""
    ports = NODE_PORT if kind == "NodePort" else [port()]
    given = made(service(type=kind, ports=ports, internalTrafficPolicy="Local"), [THERE])
    assert servers(given)["10.96.0.10:80"] == reals


@pytest.mark.parametrize(
    ("policy", "name"), [("Local", sets.EXTERNAL_IP_LOCAL), ("Cluster", sets.EXTERNAL_IP)]
)
def test_an_external_ip_is_in_the_set_of_its_policy(policy: str, name: str) -> None:
    given = made(service(externalIPs=["203.0.113.9"], externalTrafficPolicy=policy), [HERE])
    named = {(set_, text) for set_, text in members(given) if "203.0.113.9" in text}
    assert named == {(name, "203.0.113.9,tcp:80"), (sets.IPVS_IPS, "203.0.113.9")}


def test_an_address_of_the_node_itself_is_not_bound() -> None:
    given = made(service(externalIPs=["192.168.0.1"]), [HERE])
    assert "192.168.0.1:80" in servers(given)
    assert (sets.IPVS_IPS, "192.168.0.1") not in members(given)


@pytest.mark.parametrize(
    ("ranges", "answering"),
    [
        ((), ["10.244.0.1", "192.168.0.1"]),
        ((ip_network("192.168.0.0/24"),), ["192.168.0.1"]),
        ((ip_network("0.0.0.0/0"),), ["10.244.0.1", "192.168.0.1"]),
        ((ip_network("fd00::/8"),), ["10.244.0.1", "192.168.0.1"]),
        ((ip_network("172.16.0.0/12"),), []),
    ],
)
def test_node_ports_answer_where_node_port_addresses_say(ranges: Any, answering: list[str]) -> None:
    given = made(
        service(type="NodePort", ports=NODE_PORT),
        [HERE],
        local=("192.168.0.1", "10.244.0.1", "fd00::1"),
        settings=Settings(node_port_ranges=ranges),
    )
    there = sorted(place.partition(":")[0] for place in servers(given) if place.endswith(":30080"))
    assert there == answering
    assert ((sets.NODE_PORT[Protocol.TCP], "30080") in members(given)) is bool(answering)


def test_sctp_node_ports_are_named_with_their_addresses() -> None:
    """bitmap:port knows no protocols but those of its name."""
    given = made(
        service(ports=[port(3868, "http", "SCTP", 30868)], type="NodePort"),
        [],
    )
    assert (sets.NODE_PORT[Protocol.SCTP], "192.168.0.1,sctp:30868") in members(given)


def test_source_ranges_without_the_node_guard_against_it() -> None:
    given = made(service(**LOAD_BALANCER, loadBalancerSourceRanges=["203.0.113.0/25"]), [HERE])
    named = {pair for pair in members(given) if pair[0].startswith("LOAD-BALANCER-")}
    assert named == {
        (sets.LOAD_BALANCER_FW, "198.51.100.1,tcp:80"),
        (sets.SOURCE_CIDR, "198.51.100.1,tcp:80,203.0.113.0/25"),
    }
    assert [(show(guard.address), guard.port) for guard in given.guards] == [("198.51.100.1", 80)]


def test_source_ranges_with_the_node_let_the_balancer_s_address_in() -> None:
    ranges = ["192.168.0.0/24", "203.0.113.7/32"]
    given = made(service(**LOAD_BALANCER, loadBalancerSourceRanges=ranges), [HERE])
    named = {pair for pair in members(given) if pair[0].startswith("LOAD-BALANCER-SOURCE")}
    assert named == {
        (sets.SOURCE_CIDR, "198.51.100.1,tcp:80,192.168.0.0/24"),
        (sets.SOURCE_CIDR, "198.51.100.1,tcp:80,203.0.113.7"),
        (sets.SOURCE_IP, "198.51.100.1,tcp:80,198.51.100.1"),
    }
    assert given.guards == []


def test_a_range_of_everything_is_written_as_its_halves() -> None:
    given = made(service(**LOAD_BALANCER, loadBalancerSourceRanges=["0.0.0.0/0"]), [HERE])
    halves = {text.rpartition(",")[2] for name, text in members(given) if name == sets.SOURCE_CIDR}
    assert halves == {"0.0.0.0/1", "128.0.0.0/1"}


@pytest.mark.parametrize(
    ("told", "annotation", "manner"),
    [
        ({}, None, Manner("rr")),
        ({"scheduler": "lc"}, None, Manner("lc")),
        ({"scheduler": "lc"}, "wrr", Manner("wrr")),
        ({}, "mh", Manner("mh", 0x10)),
        ({}, "fastest", Manner("rr")),
    ],
)
def test_a_service_may_choose_its_scheduler(told: Any, annotation: str | None, manner: Manner) -> None:
    """mh takes the source's port into account as well: IP_VS_SVC_F_SCHED_MH_PORT, as kube-proxy sets it."""
    given = service()
    if annotation:
        given["metadata"]["annotations"] = {"testbed.dev/ipvs-scheduler": annotation}
    assert [how for how, _ in made(given, [HERE], told).servers.values()] == [manner]


def test_affinity_is_persistence() -> None:
    ((manner, _),) = made(service(sessionAffinity="ClientIP"), [HERE]).servers.values()
    assert manner == Manner("rr", 0x1, 10800)


def test_a_pod_s_weight_is_its_real_server_s() -> None:
    slice_ = endpoint_slice([HERE, THERE])
    slice_["metadata"]["annotations"] = {"testbed.dev/weights": "10.244.0.5=3,10.244.1.5=0"}
    plan = node_plan(FACTS, Settings(), [service()], [slice_])
    (only,) = plan.services.values()
    ((_, reals),) = fragment(only, site_of(plan.facts, options_of({}))).servers.values()
    assert {show(address): weight for (address, _), weight in reals.items()} == {
        "10.244.0.5": 3,
        "10.244.1.5": 0,
    }
