"""What a load balancer and an operator ask of a node, over real connections: health checks, healthz, metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.net.command import Command, deployed
from tests.waiting import until

CLUSTER = {
    "apiVersion": "testbed.dev/v1alpha1",
    "kind": "Cluster",
    "metadata": {"name": "checked"},
    "nodes": [{"role": "worker", "count": 2}],
}
NODES = ("node1", "node2")


def web(**spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080}]
    given = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "selector": {"app": "web"}, **spec}
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"ipFamilyPolicy": "RequireDualStack", "ports": ports, **given},
    }  # fmt: skip


def pod(name: str = "web-1", node: str = "node1") -> dict[str, Any]:
    container = {"name": "web", "image": "web", "ports": [{"containerPort": 8080}]}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": node, "containers": [container]},
    }  # fmt: skip


def node(*taints: str) -> dict[str, Any]:
    spec = {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}, "spec": spec}


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Command]:
    """Two nodes; `kubeProxy` settings as the test gives them."""
    cluster = CLUSTER | {"kubeProxy": getattr(request, "param", {})}
    with deployed("checked", manifests=yaml.safe_dump_all([cluster, pod(), web()])) as made:
        yield made


def applied(lab: Command, *objects: dict[str, Any]) -> None:
    lab.ok("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))


def port(lab: Command) -> int:
    return int(named(lab, "service", "web")["spec"]["healthCheckNodePort"])


def named(lab: Command, kind: str, name: str) -> dict[str, Any]:
    [found] = [obj for obj in lab.get(kind) if obj["metadata"]["name"] == name]
    return found


def asked(lab: Command, place: str, url: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body that curl gets in a place; status 0 if nobody answers."""
    said = lab.run("exec", place, "--", "curl", "-gsi", "--max-time", "5", url).stdout
    head, _, body = said.partition("\n\n")
    lines = head.splitlines()
    if not lines:
        return 0, {}, ""
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


def weights(lab: Command, number: int) -> list[tuple[int, str]]:
    """What client1 is told of each node: status and weight."""
    told = [asked(lab, "client1", f"http://{addresses(lab, name)[0]}:{number}/") for name in NODES]
    return [(status, headers.get("X-Load-Balancing-Endpoint-Weight", "")) for status, headers, _ in told]


def addresses(lab: Command, name: str) -> list[str]:
    return [
        a["address"] for a in named(lab, "node", name)["status"]["addresses"] if a["type"] == "InternalIP"
    ]


def test_a_load_balancer_is_told_which_node_has_endpoints(lab: Command) -> None:
    number = port(lab)
    until(lambda: weights(lab, number) == [(200, "1"), (503, "0")], "node1 to have the endpoint")
    applied(lab, pod("web-2", "node2"), pod("web-3", "node2"))
    until(lambda: weights(lab, number) == [(200, "1"), (200, "2")], "node2 to have two more")
    lab.ok("delete", "pod", "web-1")
    until(lambda: weights(lab, number) == [(503, "0"), (200, "2")], "node1 to have none")


def test_the_answer_is_kube_proxy_s(lab: Command) -> None:
    number = port(lab)
    until(lambda: asked(lab, "node1", f"http://127.0.0.1:{number}/")[0] == 200, "the pod to be counted")
    _, headers, body = asked(lab, "node1", f"http://127.0.0.1:{number}/healthz")
    assert json.loads(body) == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 1,
        "serviceProxyHealthy": True,
    }
    del headers["Date"]
    assert headers == {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": "1",
        "Content-Length": "114",
    }


def test_it_answers_at_ipv6_addresses_too(lab: Command) -> None:
    url = f"http://[{addresses(lab, 'node1')[1]}]:{port(lab)}/"
    until(lambda: asked(lab, "client1", url)[0] == 200, "the pod to be counted")


def test_with_policy_cluster_nobody_answers_any_more(lab: Command) -> None:
    url = f"http://127.0.0.1:{port(lab)}/"
    until(lambda: asked(lab, "node1", url)[0] == 200, "the pod to be counted")
    applied(lab, web(externalTrafficPolicy="Cluster"))
    until(lambda: asked(lab, "node1", url)[0] == 0, "the port to be closed")


@pytest.mark.parametrize("lab", [{"nodePortAddresses": ["primary"]}], indirect=True)
def test_it_answers_where_node_ports_do(lab: Command) -> None:
    number = port(lab)
    url = f"http://{addresses(lab, 'node1')[0]}:{number}/"
    until(lambda: asked(lab, "client1", url)[0] == 200, "the pod to be counted")
    assert asked(lab, "node1", f"http://127.0.0.1:{number}/")[0] == 0


def test_a_node_that_is_to_be_deleted_lives_but_is_not_healthy(lab: Command) -> None:
    place = f"http://{addresses(lab, 'node1')[0]}:10256"
    assert asked(lab, "client1", f"{place}/healthz")[0] == 200
    applied(lab, node("ToBeDeletedByClusterAutoscaler"))
    until(lambda: asked(lab, "client1", f"{place}/healthz")[0] == 503, "the taint to be seen")
    status, _, body = asked(lab, "client1", f"{place}/livez")
    assert (status, json.loads(body)["healthy"]) == (200, True)
    applied(lab, node())
    until(lambda: asked(lab, "client1", f"{place}/healthz")[0] == 200, "the taint to be gone")


def value(text: str, sample: str) -> float:
    """One sample of a page of metrics."""
    [found] = re.findall(rf"^kubeproxy_{re.escape(sample)} ([\d.e+]+)$", text, re.MULTILINE)
    return float(found)


def test_an_operator_reads_metrics_and_mode_on_the_node_alone(lab: Command) -> None:
    assert asked(lab, "node1", "http://127.0.0.1:10249/proxyMode")[2] == "iptables"
    status, headers, body = asked(lab, "node1", "http://127.0.0.1:10249/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert value(body, 'sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"}') >= 1
    assert value(body, 'sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"}') > 5
    assert asked(lab, "client1", f"http://{addresses(lab, 'node1')[0]}:10249/metrics")[0] == 0
