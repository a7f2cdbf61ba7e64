"""One node's kube-proxy as its agent's follower: what it serves, and what it does in a round."""

from __future__ import annotations

import dataclasses
import json
import socket
from ipaddress import ip_address
from typing import Any

import pytest

from testbed.cluster.agent import Agent
from testbed.cluster.kubeproxy.cleanup import Cleanup
from testbed.cluster.kubeproxy.fake import FakeFlows, FakeSockets
from testbed.cluster.kubeproxy.health import TO_BE_DELETED
from testbed.cluster.kubeproxy.proxy import HEALTHZ_PORT, METRICS_PORT, KubeProxy
from testbed.datapaths.fake import FakeDatapath
from testbed.kube.controllers import create_nodes
from testbed.kube.objects import ClusterConfig, default_cluster
from testbed.kube.store import Store
from testbed.machine.conntrack import Flow
from tests.unit.proxier.objects import NODE, endpoint, endpoint_slice, port, service
from tests.waiting import until

Object = dict[str, Any]


class Lab:
    """A store, its first node's agent with a datapath in memory, and the kube-proxy that follows it."""

    def __init__(self, cluster: ClusterConfig) -> None:
        proxy = dataclasses.replace(cluster.kube_proxy, min_sync_period=0.0)
        self.cluster = dataclasses.replace(cluster, nodes=cluster.nodes[:1], kube_proxy=proxy)
        self.store, self.sockets, self.flows = Store(), FakeSockets(), FakeFlows()
        create_nodes(self.store, self.cluster)
        node = self.store.list("Node")[0]
        cleanup = Cleanup(NODE, lambda: self.flows)
        self.proxy = KubeProxy(node, self.cluster, self.sockets.listen, cleanup)
        self.datapath = FakeDatapath()
        self.agent = Agent(self.store, node, self.cluster, self.datapath, [self.proxy])

    def obeyed(self) -> None:
        until(lambda: self.agent.synced_version == self.store.version, "the agent to obey")

    def metric(self, name: str, **labels: str) -> float | None:
        given = labels or {"ip_family": "IPv4"}
        return self.proxy.metrics.registry.get_sample_value(f"kubeproxy_{name}", given)


@pytest.fixture
def lab() -> Any:
    made = Lab(default_cluster())
    made.proxy.start()
    made.agent.start()
    yield made
    made.agent.stop()


def test_it_serves_where_kube_proxy_does(lab: Lab) -> None:
    assert sorted(lab.sockets.open) == [
        ("0.0.0.0", HEALTHZ_PORT),
        ("127.0.0.1", METRICS_PORT),
        ("::", HEALTHZ_PORT),
    ]


PAGES = [
    pytest.param(("0.0.0.0", HEALTHZ_PORT), "/healthz", 200, b'"nodeEligible": true', id="healthz"),
    pytest.param(("::", HEALTHZ_PORT), "/livez", 200, b'"healthy": true', id="livez"),
    pytest.param(("127.0.0.1", METRICS_PORT), "/proxyMode", 200, b"iptables", id="proxyMode"),
    pytest.param(("127.0.0.1", METRICS_PORT), "/metrics", 200, b"kubeproxy_sync_proxy_rules", id="metrics"),
    pytest.param(("127.0.0.1", METRICS_PORT), "/healthz", 200, b"ok", id="healthz of the metrics"),
    pytest.param(("127.0.0.1", METRICS_PORT), "/secrets", 404, b"404 page not found", id="anything else"),
]


@pytest.mark.parametrize(("place", "path", "status", "words"), PAGES)
def test_pages(lab: Lab, place: tuple[str, int], path: str, status: int, words: bytes) -> None:
    told = lab.sockets.get(*place, path)
    assert told.status == status
    assert words in told.body


def test_a_port_that_is_taken_does_not_keep_it_from_starting() -> None:
    made = Lab(default_cluster())
    made.sockets.taken.add(METRICS_PORT)
    made.proxy.start()
    assert sorted(made.sockets.open) == [("0.0.0.0", HEALTHZ_PORT), ("::", HEALTHZ_PORT)]


def test_when_it_stops_all_ports_are_free(lab: Lab) -> None:
    lab.store.create(service(ports=[port(node_port=30080)], type="LoadBalancer", externalTrafficPolicy="Local",
                             healthCheckNodePort=30914))  # fmt: skip
    lab.obeyed()
    assert ("0.0.0.0", 30914) in lab.sockets.open
    lab.proxy.stop()
    assert lab.sockets.open == {}


def test_what_it_counts_in_a_round(lab: Lab) -> None:
    lab.obeyed()
    with lab.store.transaction():
        lab.store.create(service())
        lab.store.create(endpoint_slice([endpoint("10.244.1.5")]))
    lab.obeyed()
    assert lab.metric("sync_full_proxy_rules_duration_seconds_count") == 1
    assert lab.metric("sync_partial_proxy_rules_duration_seconds_count") == 1
    assert lab.metric("sync_proxy_rules_service_changes_total") == 1
    assert lab.metric("sync_proxy_rules_endpoint_changes_total") == 1
    assert lab.metric("sync_proxy_rules_endpoint_changes_pending") == 0


def test_flows_are_clean_when_the_round_is_over(lab: Lab) -> None:
    pod, gone = (ip_address(f"10.244.1.{n}").packed for n in (5, 9))
    kept, stale = (Flow((ip_address("10.96.0.10").packed, 53), (by, 8080), by) for by in (pod, gone))
    lab.flows.flows[socket.AF_INET] = [kept, stale]
    with lab.store.transaction():
        lab.store.create(service(ports=[port(53, "dns", "UDP")]))
        ports = [{"name": "dns", "port": 8080, "protocol": "UDP"}]
        lab.store.create(endpoint_slice([endpoint("10.244.1.5")], ports=ports))
    lab.obeyed()
    assert lab.flows.flows[socket.AF_INET] == [kept]
    assert lab.metric("conntrack_reconciler_deleted_entries_total") == 1


def test_a_node_that_is_to_be_deleted_is_not_eligible(lab: Lab) -> None:
    def taint(node: Any) -> Object:
        return {**node, "spec": {**node["spec"], "taints": [{"key": TO_BE_DELETED, "effect": "NoSchedule"}]}}

    lab.store.mutate("Node", "", NODE, taint)
    lab.obeyed()
    assert lab.sockets.get("0.0.0.0", HEALTHZ_PORT, "/healthz").status == 503
    assert lab.sockets.get("0.0.0.0", HEALTHZ_PORT, "/livez").status == 200
    assert lab.metric("proxy_healthz_total", code="503") == 1
    assert lab.metric("proxy_livez_total", code="200") == 1


@pytest.fixture
def hurried() -> Any:
    """A lab whose proxy may be overdue at once."""
    shape = default_cluster()
    made = Lab(dataclasses.replace(shape, kube_proxy=dataclasses.replace(shape.kube_proxy, sync_period=1e-6)))
    made.datapath.refuses = "not today"
    made.proxy.start()
    made.agent.start()
    yield made
    made.agent.stop()


def test_a_proxy_whose_rules_are_refused_is_unhealthy(hurried: Lab) -> None:
    until(
        lambda: hurried.sockets.get("0.0.0.0", HEALTHZ_PORT, "/livez").status == 503,
        "the proxy to be overdue",
    )
    assert json.loads(hurried.sockets.get("0.0.0.0", HEALTHZ_PORT, "/livez").body)["healthy"] is False
    hurried.datapath.refuses = ""
    hurried.obeyed()
    assert hurried.sockets.get("0.0.0.0", HEALTHZ_PORT, "/livez").status == 200
    assert (hurried.metric("sync_proxy_rules_iptables_restore_failures_total") or 0) >= 1
