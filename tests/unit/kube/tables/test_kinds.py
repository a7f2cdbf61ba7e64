"""The rows of every other kind, with the values that their printers' tests in Kubernetes use."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.kube.tables.cells import row

Json = dict[str, Any]


def service(kind: str, ingress: tuple[Json, ...] = (), **spec: Any) -> Json:
    ports = [{"port": 80, "protocol": "TCP"}]
    return {
        "spec": {"type": kind, "clusterIPs": ["10.96.0.10"], "ports": ports, **spec},
        "status": {"loadBalancer": {"ingress": list(ingress)}},
    }


@pytest.mark.parametrize(
    ("seen", "address"),
    [
        (service("ClusterIP"), "<none>"),
        (service("ClusterIP", externalIPs=["203.0.113.1", "203.0.113.2"]), "203.0.113.1,203.0.113.2"),
        (service("NodePort"), "<none>"),
        (service("LoadBalancer"), "<pending>"),
        (service("LoadBalancer", ({"ip": "2.2.2.2"}, {"hostname": "a.example"})), "2.2.2.2,a.example"),
        (service("LoadBalancer", ({"ip": "2.2.2.2"},), externalIPs=["1.1.1.1"]), "2.2.2.2,1.1.1.1"),
        (service("LoadBalancer", externalIPs=["1.1.1.1"]), "1.1.1.1"),
        (service("ExternalName", externalName="my.example.com"), "my.example.com"),
    ],
)
def test_the_external_address_of_a_service(seen: Json, address: str) -> None:
    assert row("Service", seen)["External-IP"] == address


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], "<none>"),
        ([{"port": 80, "protocol": "TCP"}], "80/TCP"),
        ([{"port": 80, "nodePort": 30080, "protocol": "TCP"}], "80:30080/TCP"),
        ([{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}], "53/UDP,53/TCP"),
    ],
)
def test_the_ports_of_a_service(ports: list[Json], text: str) -> None:
    assert row("Service", service("NodePort", ports=ports))["Port(s)"] == text


@pytest.mark.parametrize(
    ("fields", "cluster_ip", "selector"),
    [
        ({"selector": {"tier": "front", "app": "web"}}, "10.96.0.10", "app=web,tier=front"),
        ({"clusterIPs": ["None"]}, "None", "<none>"),
        ({"clusterIPs": []}, "<none>", "<none>"),
    ],
)
def test_the_cluster_ip_and_selector_of_a_service(fields: Json, cluster_ip: str, selector: str) -> None:
    told = row("Service", service("ClusterIP", **fields))
    assert (told["Cluster-IP"], told["Selector"]) == (cluster_ip, selector)


@pytest.mark.parametrize(
    ("ports", "addresses", "cells"),
    [
        (None, None, ("<unset>", "<unset>")),
        ([{"port": 80}], [["10.0.0.1", "10.0.0.2"], ["10.0.0.3"]], ("80", "10.0.0.1,10.0.0.2,10.0.0.3")),
        ([{"name": "http"}, {}], [["a.example"]], ("http,*", "a.example")),
        (
            [{"port": n} for n in (1, 2, 3, 4, 5)],
            [[f"10.0.0.{n}"] for n in (1, 2, 3, 4)],
            ("1,2,3 + 2 more...", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more..."),
        ),
    ],
)
def test_an_endpoint_slice(ports: Any, addresses: Any, cells: tuple[str, str]) -> None:
    endpoints = None if addresses is None else [{"addresses": each} for each in addresses]
    told = row("EndpointSlice", {"addressType": "IPv4", "ports": ports, "endpoints": endpoints})
    assert (told["AddressType"], told["Ports"], told["Endpoints"]) == ("IPv4", *cells)


@pytest.mark.parametrize(
    ("subsets", "text"),
    [
        (None, "<none>"),
        ([{"notReadyAddresses": [{"ip": "1.2.3.4"}], "ports": [{"port": 80}]}], ""),
        ([{"addresses": [{"ip": "1.2.3.4"}]}], "1.2.3.4"),
        ([{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}], "[fd00::1]:80"),
        (
            [{"addresses": [{"ip": "1.2.3.4"}, {"ip": "5.6.7.8"}], "ports": [{"port": 80}, {"port": 90}]}],
            "1.2.3.4:80,5.6.7.8:80,1.2.3.4:90 + 1 more...",
        ),
    ],
)
def test_endpoints(subsets: Any, text: str) -> None:
    assert row("Endpoints", {"subsets": subsets})["Endpoints"] == text


@pytest.mark.parametrize(
    ("cidrs", "text"), [(["10.96.0.0/16", "fd00::/112"], "10.96.0.0/16,fd00::/112"), ([], "")]
)
def test_a_service_cidr(cidrs: list[str], text: str) -> None:
    assert row("ServiceCIDR", {"spec": {"cidrs": cidrs}})["CIDRs"] == text


def node(conditions: list[Json], **spec: Any) -> Json:
    return {"spec": spec, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (node([{"type": "Ready", "status": "True"}]), "Ready"),
        (node([{"type": "Ready", "status": "Unknown"}]), "NotReady"),
        (node([{"type": "DiskPressure", "status": "True"}]), "Unknown"),
        (node([{"type": "Ready", "status": "True"}], unschedulable=True), "Ready,SchedulingDisabled"),
        (node([], unschedulable=True), "Unknown,SchedulingDisabled"),
    ],
)
def test_the_status_of_a_node(seen: Json, status: str) -> None:
    assert row("Node", seen)["Status"] == status


@pytest.mark.parametrize(
    ("labels", "roles"),
    [
        ({}, "<none>"),
        ({"node-role.kubernetes.io/control-plane": ""}, "control-plane"),
        ({"kubernetes.io/role": "worker", "node-role.kubernetes.io/edge": ""}, "edge,worker"),
    ],
)
def test_the_roles_of_a_node(labels: dict[str, str], roles: str) -> None:
    assert row("Node", {"metadata": {"name": "n", "labels": labels}})["Roles"] == roles


def test_what_a_node_is_made_of() -> None:
    addresses = [
        {"type": "InternalIP", "address": "192.168.0.1"},
        {"type": "InternalIP", "address": "fd00::1"},
    ]
    info = {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.18"}
    told = row("Node", {"status": {"addresses": addresses, "nodeInfo": info}})
    assert list(told.values())[4:] == ["v1.36.0", "192.168.0.1", "<none>", "Debian", "6.18", "<unknown>"]


@pytest.mark.parametrize("phase", ["Active", "Terminating"])
def test_a_namespace(phase: str) -> None:
    assert list(row("Namespace", {"status": {"phase": phase}}).values()) == ["x", phase, "5m"]


TEMPLATE = {
    "spec": {
        "containers": [{"name": "a", "image": "one"}, {"name": "b", "image": "two"}],
        "nodeSelector": {"disk": "ssd"},
    }
}
SELECTOR = {
    "matchLabels": {"tier": "front"},
    "matchExpressions": [
        {"key": "app", "operator": "In", "values": ["b", "a"]},
        {"key": "old", "operator": "DoesNotExist"},
        {"key": "zone", "operator": "Exists"},
        {"key": "env", "operator": "NotIn", "values": ["dev"]},
    ],
}
SELECTED = "app in (a,b),env notin (dev),!old,tier=front,zone"
COUNTS = {"readyReplicas": 1, "replicas": 2, "updatedReplicas": 3, "availableReplicas": 4}
NODES = {
    "desiredNumberScheduled": 5, "currentNumberScheduled": 4, "numberReady": 3, "updatedNumberScheduled": 2,
    "numberAvailable": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "status", "cells"),
    [
        ("Deployment", COUNTS, ["x", "1/6", 3, 4, "5m", "a,b", "one,two", SELECTED]),
        ("Deployment", {}, ["x", "0/6", 0, 0, "5m", "a,b", "one,two", SELECTED]),
        ("ReplicaSet", COUNTS, ["x", 6, 2, 1, "5m", "a,b", "one,two", SELECTED]),
        ("StatefulSet", COUNTS, ["x", "1/6", "5m", "a,b", "one,two"]),
        ("DaemonSet", NODES, ["x", 5, 4, 3, 2, 1, "disk=ssd", "5m", "a,b", "one,two", SELECTED]),
    ],
)
def test_what_makes_pods(kind: str, status: Json, cells: list[Any]) -> None:
    seen = {"spec": {"replicas": 6, "template": TEMPLATE, "selector": SELECTOR}, "status": status}
    assert list(row(kind, seen).values()) == cells


@pytest.mark.parametrize(
    ("owners", "controller"),
    [
        ([], "<none>"),
        ([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x"}], "<none>"),
        (
            [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": True}],
            "statefulset.apps/web",
        ),
    ],
)
def test_a_controller_revision(owners: list[Json], controller: str) -> None:
    seen = {"metadata": {"name": "web-1", "ownerReferences": owners}, "revision": 3}
    assert list(row("ControllerRevision", seen).values()) == ["web-1", controller, 3, "<unknown>"]


@pytest.mark.parametrize(
    ("kind", "seen", "cells"),
    [
        ("ConfigMap", {"data": {"a": "1"}, "binaryData": {"b": ""}}, ["x", 2, "5m"]),
        ("ConfigMap", {}, ["x", 0, "5m"]),
        ("Secret", {"type": "Opaque", "data": {"a": "1"}}, ["x", "Opaque", 1, "5m"]),
    ],
)
def test_what_holds_data(kind: str, seen: Json, cells: list[Any]) -> None:
    assert list(row(kind, seen).values()) == cells


EVENT = {
    "type": "Warning",
    "reason": "Unhealthy",
    "message": " Readiness probe failed \n",
    "involvedObject": {"kind": "Pod", "name": "web", "fieldPath": "spec.containers{c}"},
    "source": {"component": "kubelet", "host": "node1"},
    "firstTimestamp": "2026-11-23T11:50:00Z",
    "lastTimestamp": "2026-11-23T11:59:00Z",
    "count": 6,
}
SHORT = {"involvedObject": {"kind": "Node"}, "eventTime": "2026-11-23T11:59:00.000000Z"}


@pytest.mark.parametrize(
    ("seen", "cells"),
    [
        (
            EVENT,
            ["60s", "Warning", "Unhealthy", "pod/web", "spec.containers{c}", "kubelet, node1",
             "Readiness probe failed", "10m", 6, "x"],
        ),
        (
            {**EVENT, "series": {"count": 9, "lastObservedTime": "2026-11-23T11:59:58.000000Z"}},
            ["2s", "Warning", "Unhealthy", "pod/web", "spec.containers{c}", "kubelet, node1",
             "Readiness probe failed", "10m", 9, "x"],
        ),
        (SHORT, ["60s", "", "", "node", "", "", "", "60s", 1, "x"]),
        ({}, ["<unknown>", "", "", "", "", "", "", "<unknown>", 1, "x"]),
        (
            {**SHORT, "reportingComponent": "scheduler", "reportingInstance": "s-1"},
            ["60s", "", "", "node", "", "scheduler, s-1", "", "60s", 1, "x"],
        ),
    ],
)  # fmt: skip
def test_an_event(seen: Json, cells: list[Any]) -> None:
    assert list(row("Event", seen).values()) == cells
