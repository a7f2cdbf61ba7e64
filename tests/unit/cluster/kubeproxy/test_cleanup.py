"""Which UDP flows go when a Service changes: the rows of kube-proxy's TestCleanStaleEntries, and what it costs."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any

import pytest

from testbed.cluster.kubeproxy.cleanup import Cleanup
from testbed.cluster.kubeproxy.fake import FakeFlows
from testbed.machine.conntrack import Flow
from testbed.proxier.plan import NodePlan
from tests.unit.cluster.kubeproxy.plans import Node, Object
from tests.unit.proxier.objects import endpoint, endpoint_slice, port, service

CLUSTER_IP, EXTERNAL_IP, BALANCER_IP, NODE_IP = "10.96.0.10", "203.0.113.9", "198.51.100.1", "192.168.0.1"
POD, GONE, OTHER = "10.244.1.5", "10.244.1.9", "10.244.1.6"
NODE_PORT = 30053


def flow(to: str, to_port: int, by: str, by_port: int = 8053) -> Flow:
    """A flow to a service address that `by` answers."""
    destination, replier = (ip_address(to).packed, to_port), (ip_address(by).packed, by_port)
    return Flow(destination, replier, repr((to, to_port, by, by_port)).encode())


def dns(name: str = "dns", protocol: str = "UDP", **spec: Any) -> Object:
    """A Service with every sort of address."""
    given: Object = {"type": "LoadBalancer", "externalIPs": [EXTERNAL_IP], **spec}
    return service(name, [port(53, "dns", protocol, NODE_PORT)], ingress=[{"ip": BALANCER_IP}], **given)


def endpoints(*items: Object, of: str = "dns", protocol: str = "UDP", number: int = 8053) -> Object:
    return endpoint_slice(items, of, ports=[{"name": "dns", "port": number, "protocol": protocol}])


def left(plan: NodePlan, *flows: Flow) -> list[Flow]:
    """The flows that a full pass leaves."""
    there = FakeFlows({socket.AF_INET: list(flows)})
    Cleanup("node1", lambda: there).clean(plan, None)
    return there.flows[socket.AF_INET]


PLACES = [
    pytest.param(CLUSTER_IP, 53, id="ClusterIP"),
    pytest.param(EXTERNAL_IP, 53, id="externalIP"),
    pytest.param(BALANCER_IP, 53, id="LoadBalancer"),
    pytest.param(NODE_IP, NODE_PORT, id="NodePort"),
    pytest.param("127.0.0.1", NODE_PORT, id="NodePort at an address that no object names"),
]


@pytest.mark.parametrize(("address", "number"), PLACES)
def test_a_flow_to_an_endpoint_that_is_gone_goes(address: str, number: int) -> None:
    plan, _ = Node().put(dns(), endpoints(endpoint(POD)))
    assert left(plan, flow(address, number, GONE)) == []


@pytest.mark.parametrize(("address", "number"), PLACES)
def test_a_flow_to_an_endpoint_stays(address: str, number: int) -> None:
    plan, _ = Node().put(dns(), endpoints(endpoint(POD)))
    good = flow(address, number, POD)
    assert left(plan, good) == [good]


@pytest.mark.parametrize(("address", "number"), PLACES)
def test_a_flow_that_began_before_the_service_had_rules_goes(address: str, number: int) -> None:
    """It is untranslated, so its own destination would answer."""
    plan, _ = Node().put(dns(), endpoints(endpoint(POD)))
    assert left(plan, flow(address, number, address, number)) == []


def test_another_port_of_the_same_pod_is_another_endpoint() -> None:
    plan, _ = Node().put(dns(), endpoints(endpoint(POD), number=8054))
    assert left(plan, flow(CLUSTER_IP, 53, POD, 8053)) == []


@pytest.mark.parametrize(
    ("conditions", "stays"),
    [
        ({"ready": True}, True),
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False, "serving": False, "terminating": True}, False),
        ({"ready": False}, False),
    ],
    ids=["ready", "terminating but serving", "terminating", "unready"],
)
def test_serving_counts(conditions: dict[str, bool], stays: bool) -> None:
    plan, _ = Node().put(dns(), endpoints(endpoint(POD), endpoint(OTHER, "node2", **conditions)))
    one = flow(CLUSTER_IP, 53, OTHER)
    assert left(plan, one) == ([one] if stays else [])


def test_traffic_policies_do_not_count() -> None:
    """What policy Local would not choose any more may go on (cleanup.go knows no policies)."""
    plan, _ = Node().put(dns(internalTrafficPolicy="Local"), endpoints(endpoint(POD, "node2")))
    one = flow(CLUSTER_IP, 53, POD)
    assert left(plan, one) == [one]


OTHERS = [
    pytest.param([dns(), endpoints()], id="a Service without endpoints"),
    pytest.param(
        [dns(), endpoints(endpoint(POD, ready=False))], id="a Service with an unready endpoint only"
    ),
    pytest.param([dns(protocol="TCP"), endpoints(endpoint(POD), protocol="TCP")], id="a TCP Service"),
    pytest.param([], id="no Service"),
]


@pytest.mark.parametrize("objects", OTHERS)
def test_what_is_left_alone(objects: list[Object]) -> None:
    plan, _ = Node().put(*objects)
    one = flow(CLUSTER_IP, 53, GONE)
    assert left(plan, one) == [one]


def test_a_flow_to_somebody_elses_address_stays() -> None:
    plan, _ = Node().put(dns(), endpoints(endpoint(POD)))
    others = [flow("8.8.8.8", 53, "8.8.8.8", 53), flow(CLUSTER_IP, 54, GONE)]
    assert left(plan, *others) == others


def test_a_service_address_whose_port_is_another_ones_node_port() -> None:
    """The address decides: the flow is where it should be."""
    same = service("same", [port(NODE_PORT, "dns", "UDP")], clusterIP="10.96.0.20")
    plan, _ = Node().put(dns(), endpoints(endpoint(POD)), same, endpoints(endpoint(OTHER), of="same"))
    one = flow("10.96.0.20", NODE_PORT, OTHER)
    assert left(plan, one) == [one]


def test_both_families_are_looked_at() -> None:
    both = dns(clusterIPs=[CLUSTER_IP, "fd00:10:96::a"], externalIPs=[])
    six = endpoint_slice(
        [endpoint("fd00:10:244:1::5")],
        "dns",
        "dns-6",
        [{"name": "dns", "port": 8053, "protocol": "UDP"}],
        "IPv6",
    )
    plan, _ = Node().put(both, endpoints(endpoint(POD)), six)
    there = FakeFlows({
        socket.AF_INET: [flow(CLUSTER_IP, 53, GONE)],
        socket.AF_INET6: [flow("fd00:10:96::a", 53, "fd00:10:244:1::9")],
    })  # fmt: skip
    done = Cleanup("node1", lambda: there).clean(plan, None)
    assert there.flows == {socket.AF_INET: [], socket.AF_INET6: []}
    assert sorted((each.family, each.deleted) for each in done) == [(4, 1), (6, 1)]


def cluster_only(number: int = 53, name: str = "dns") -> Object:
    """A Service with a cluster IP alone."""
    return service(name, [port(number, "dns", "UDP")])


def asked(node: Node, *objects: Object) -> list[int | None]:
    """The ports that are asked for after a change."""
    there = FakeFlows()
    Cleanup("node1", lambda: there).clean(*node.put(*objects))
    return there.asked


def test_the_flows_of_one_port_are_picked_out_by_the_kernel() -> None:
    assert asked(Node(), cluster_only(), endpoints(endpoint(POD))) == [53]


def test_several_ports_are_one_question() -> None:
    assert asked(Node(), dns(), endpoints(endpoint(POD))) == [None]


def test_a_delta_leaves_the_flows_of_other_services_alone() -> None:
    node = Node()
    others = service("other", [port(53, "dns", "UDP")], clusterIP="10.96.0.99")
    node.put(cluster_only(), endpoints(endpoint(GONE)), others, endpoints(endpoint(OTHER), of="other"))
    there = FakeFlows({socket.AF_INET: [flow(CLUSTER_IP, 53, GONE), flow("10.96.0.99", 53, GONE)]})
    Cleanup("node1", lambda: there).clean(*node.put(endpoints(endpoint(POD))))
    assert there.flows[socket.AF_INET] == [flow("10.96.0.99", 53, GONE)]


LOOKED = [
    pytest.param([endpoint(POD)], [endpoint(POD), endpoint(OTHER)], False, id="one more endpoint"),
    pytest.param([endpoint(POD), endpoint(OTHER)], [endpoint(POD)], True, id="one less"),
    pytest.param([endpoint(POD)], [endpoint(OTHER)], True, id="another one"),
    pytest.param([], [endpoint(POD)], True, id="the first one"),
    pytest.param([endpoint(POD)], [], False, id="the last one goes"),
    pytest.param(
        [endpoint(POD)], [endpoint(POD, ready=False, serving=True, terminating=True)], False, id="terminating"
    ),
    pytest.param(
        [endpoint(POD), endpoint(OTHER)], [endpoint(POD), endpoint(OTHER, ready=False)], True, id="unready"
    ),
]


@pytest.mark.parametrize(("before", "after", "looks"), LOOKED)
def test_a_change_is_looked_at_if_it_may_have_left_flows(
    before: list[Object], after: list[Object], looks: bool
) -> None:
    node = Node()
    node.put(cluster_only(), endpoints(*before))
    assert asked(node, endpoints(*after)) == ([53] if looks else [])


def test_a_new_address_of_a_service_is_looked_at() -> None:
    node = Node()
    node.put(cluster_only(), endpoints(endpoint(POD)))
    assert asked(node, service("dns", [port(53, "dns", "UDP")], externalIPs=[EXTERNAL_IP])) == [53]


def test_a_change_that_concerns_no_udp_asks_nothing() -> None:
    plan, delta = Node().put(dns(protocol="TCP"), endpoints(endpoint(POD), protocol="TCP"))
    there = FakeFlows()
    assert Cleanup("node1", lambda: there).clean(plan, delta) == []
    assert there.asked == []


def test_a_refusal_of_the_kernel_is_survived() -> None:
    plan, _ = Node().put(dns(), endpoints(endpoint(POD)))
    there = FakeFlows({socket.AF_INET: [flow(CLUSTER_IP, 53, GONE)]}, refuses="not today")
    cleanup = Cleanup("node1", lambda: there)
    assert cleanup.clean(plan, None) == []
    there.refuses = ""
    assert [each.deleted for each in cleanup.clean(plan, None)] == [1]
