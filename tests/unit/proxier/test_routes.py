"""What each address of a Service does with packets, by their source: kube-proxy's packet-flow tables."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from testbed.proxier.plan import NodeFacts, Origin, ServicePlan
from testbed.proxier.proxier import Settings, node_plan
from tests.unit.proxier.objects import FACTS, NODE, Object, endpoint, endpoint_slice, port, service

HERE, THERE = "10.244.0.5:8080", "10.244.1.5:8080"
ENDS = [endpoint("10.244.0.5", NODE), endpoint("10.244.1.5")]
RANGES = ["203.0.113.0/25"]


def external(**spec: Any) -> Object:
    """A Service with an address of every kind."""
    return service(
        ports=[port(node_port=30080)],
        ingress=[{"ip": "198.51.100.1"}],
        type="LoadBalancer",
        externalIPs=["203.0.113.9"],
        **spec,
    )


def plan(
    obj: Object, ends: list[Object], settings: Settings | None = None, facts: NodeFacts = FACTS
) -> ServicePlan:
    """The plan of the one port of a Service."""
    (found,) = node_plan(facts, settings or Settings(), [obj], [endpoint_slice(ends)]).services.values()
    return found


def routes(found: ServicePlan, origin: Origin) -> list[tuple[str, str, bool]]:
    """The routes of an address: source, endpoints or verdict, masquerade."""
    frontend = next(f for f in found.frontends if f.origin is origin)
    return [
        (r.source, ",".join(map(str, r.endpoints)) or r.when_empty, r.masquerade) for r in frontend.routes
    ]


ALL = f"{HERE},{THERE}"
POLICIES = {
    "cluster": ({}, ENDS, [("pods", ALL, False), ("any", ALL, True)]),
    "local": ({"internalTrafficPolicy": "Local"}, ENDS, [("pods", HERE, False), ("any", HERE, True)]),
    "local, none here": (
        {"internalTrafficPolicy": "Local"},
        ENDS[1:],
        [("pods", "drop", False), ("any", "drop", True)],
    ),
    "none anywhere": ({}, [], [("pods", "reject", False), ("any", "reject", True)]),
}


@pytest.mark.parametrize("case", POLICIES)
def test_cluster_ip(case: str) -> None:
    spec, ends, expected = POLICIES[case]
    assert routes(plan(service(**spec), ends), Origin.CLUSTER_IP) == expected


EXTERNAL = {
    "cluster": ("Cluster", ENDS, [("any", ALL, True)]),
    "local": ("Local", ENDS, [("pods", ALL, False), ("node", ALL, True), ("any", HERE, False)]),
    "local, none here": (
        "Local",
        ENDS[1:],
        [("pods", THERE, False), ("node", THERE, True), ("any", "drop", False)],
    ),
    "local, none anywhere": (
        "Local",
        [],
        [("pods", "reject", False), ("node", "reject", True), ("any", "reject", False)],
    ),
}


@pytest.mark.parametrize("origin", [Origin.EXTERNAL_IP, Origin.LOAD_BALANCER, Origin.NODE_PORT])
@pytest.mark.parametrize("case", EXTERNAL)
def test_external_addresses(case: str, origin: Origin) -> None:
    policy, ends, expected = EXTERNAL[case]
    assert routes(plan(external(externalTrafficPolicy=policy), ends), origin) == expected


def test_masquerade_all_masquerades_pods_too() -> None:
    found = plan(service(), ENDS, Settings(masquerade_all=True))
    assert routes(found, Origin.CLUSTER_IP) == [("any", ALL, True)]


@pytest.mark.parametrize(
    ("settings", "facts"),
    [(Settings(detect_local="None"), FACTS), (Settings(), replace(FACTS, pod_ranges=()))],
    ids=["no detector", "no pod range"],
)
def test_without_a_local_detector_nothing_is_off_cluster(settings: Settings, facts: NodeFacts) -> None:
    found = plan(external(externalTrafficPolicy="Local"), ENDS, settings, facts)
    assert routes(found, Origin.CLUSTER_IP) == [("any", ALL, False)]
    assert routes(found, Origin.NODE_PORT) == [("node", ALL, True), ("any", HERE, False)]


def test_internal_policy_does_not_touch_external_addresses() -> None:
    found = plan(external(internalTrafficPolicy="Local"), ENDS)
    assert routes(found, Origin.NODE_PORT) == [("any", ALL, True)]


def test_addresses_come_in_kube_proxy_s_order() -> None:
    origins = [f.origin for f in plan(external(), ENDS).frontends]
    assert origins == [Origin.CLUSTER_IP, Origin.EXTERNAL_IP, Origin.LOAD_BALANCER, Origin.NODE_PORT]


def test_source_ranges_guard_the_load_balancer_s_address_alone() -> None:
    found = plan(external(loadBalancerSourceRanges=RANGES), ENDS)
    assert [[str(n) for n in f.sources] for f in found.frontends] == [[], [], RANGES, []]


def test_a_range_with_the_node_in_it_lets_the_balancer_s_own_address_in() -> None:
    found = plan(external(loadBalancerSourceRanges=["192.168.0.0/24"]), ENDS)
    guarded = next(f for f in found.frontends if f.origin is Origin.LOAD_BALANCER)
    assert [str(n) for n in guarded.sources] == ["192.168.0.0/24", "198.51.100.1/32"]


def test_a_load_balancer_without_node_ports() -> None:
    obj = service(ingress=[{"ip": "198.51.100.1"}], type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    assert [f.origin for f in plan(obj, ENDS).frontends] == [Origin.CLUSTER_IP, Origin.LOAD_BALANCER]


def test_other_kinds_are_passed_over() -> None:
    found = node_plan(FACTS, Settings(), [service()], [endpoint_slice(ENDS, of="other")])
    assert [len(p.endpoints()) for p in found.services.values()] == [0]
