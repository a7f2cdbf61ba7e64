"""What Kubernetes fills in (pkg/apis/*/v1/defaults.go)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from testbed.kube.objects import defaulted

POD_SPEC = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "securityContext": {},
}
CONTAINER = {
    "name": "a",
    "imagePullPolicy": "Always",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}


def pod(**container: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "a", **container}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}


def container_of(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = defaulted(body)["spec"]["containers"][0]
    return found


@pytest.mark.parametrize(
    ("spec", "added"),
    [
        ({}, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}),
        ({"type": "NodePort"}, {"externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster"}),
        (
            {"type": "LoadBalancer"},
            {"externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": True},
        ),
        (
            {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False},
            {"allocateLoadBalancerNodePorts": False},
        ),
        ({"externalIPs": ["203.0.113.1"]}, {"externalTrafficPolicy": "Cluster"}),
        ({"type": "NodePort", "externalTrafficPolicy": "Local"}, {"externalTrafficPolicy": "Local"}),
        (
            {"sessionAffinity": "ClientIP"},
            {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}},
        ),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}},
            {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}},
        ),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}),
        (
            {"ports": [{"port": 80, "targetPort": 0, "protocol": ""}]},
            {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]},
        ),
        (
            {"ports": [{"port": 80, "targetPort": "http", "protocol": "UDP"}]},
            {"ports": [{"port": 80, "targetPort": "http", "protocol": "UDP"}]},
        ),
        ({"clusterIP": None, "ports": None}, {"type": "ClusterIP"}),
    ],
)
def test_service(spec: dict[str, Any], added: dict[str, Any]) -> None:
    new = defaulted(service(**spec))["spec"]
    assert new | added == new


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "externalTrafficPolicy"),
        ({}, "allocateLoadBalancerNodePorts"),
        ({}, "ipFamilyPolicy"),
        ({"type": "ExternalName"}, "internalTrafficPolicy"),
        ({"type": "ExternalName", "externalIPs": ["203.0.113.1"]}, "externalTrafficPolicy"),
        ({"sessionAffinityConfig": {"clientIP": {}}}, "sessionAffinityConfig"),
        ({"clusterIP": None}, "clusterIP"),
    ],
)
def test_service_is_left_without(spec: dict[str, Any], field: str) -> None:
    assert field not in defaulted(service(**spec))["spec"]


def test_load_balancer_address_is_a_virtual_one() -> None:
    body = {**service(type="LoadBalancer"), "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}}
    assert defaulted(body)["status"]["loadBalancer"]["ingress"] == [{"ip": "198.51.100.1", "ipMode": "VIP"}]


@pytest.mark.parametrize(
    ("kind", "version", "namespace"),
    [
        ("Service", "v1", "default"),
        ("Pod", "v1", "default"),
        ("Deployment", "apps/v1", "default"),
        ("EndpointSlice", "discovery.k8s.io/v1", "default"),
        ("Node", "v1", None),
        ("Namespace", "v1", None),
    ],
)
def test_namespace(kind: str, version: str, namespace: str | None) -> None:
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": "a"}}
    assert defaulted(body)["metadata"].get("namespace") == namespace


def test_namespace_is_labelled_with_its_name() -> None:
    new = defaulted({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}})
    assert new["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}


def test_pod() -> None:
    new = defaulted(pod())
    assert new["spec"] == {**POD_SPEC, "enableServiceLinks": True, "containers": [CONTAINER]}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("web", "Always"),
        ("web:latest", "Always"),
        ("example.com:5000/web", "Always"),
        ("web:1.2", "IfNotPresent"),
        ("example.com:5000/web:1.2", "IfNotPresent"),
        ("web@sha256:00", "IfNotPresent"),
    ],
)
def test_image_pull_policy(image: str, policy: str) -> None:
    assert container_of(pod(image=image))["imagePullPolicy"] == policy


@pytest.mark.parametrize("name", ["livenessProbe", "readinessProbe", "startupProbe"])
@pytest.mark.parametrize(
    ("probe", "new"),
    [
        ({"tcpSocket": {"port": 80}}, {"tcpSocket": {"port": 80}, **PROBE}),
        ({"httpGet": {"port": 80}}, {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, **PROBE}),
        ({"grpc": {"port": 80}}, {"grpc": {"port": 80, "service": ""}, **PROBE}),
        ({"periodSeconds": 0, "timeoutSeconds": 7}, {**PROBE, "timeoutSeconds": 7}),
    ],
)
def test_probe(name: str, probe: dict[str, Any], new: dict[str, Any]) -> None:
    assert container_of(pod(**{name: probe}))[name] == new


@pytest.mark.parametrize(
    ("container", "new"),
    [
        ({"ports": [{"containerPort": 80}]}, {"ports": [{"containerPort": 80, "protocol": "TCP"}]}),
        (
            {"resources": {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "100m"}}},
            {
                "resources": {
                    "limits": {"cpu": 1, "memory": "1Gi"},
                    "requests": {"cpu": "100m", "memory": "1Gi"},
                }
            },
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]},
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {"fieldRef": {"fieldPath": "status.podIP", "apiVersion": "v1"}},
                    }
                ]
            },
        ),
        (
            {"lifecycle": {"preStop": {"httpGet": {"port": 80}}}},
            {"lifecycle": {"preStop": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}}}},
        ),
    ],
)
def test_container(container: dict[str, Any], new: dict[str, Any]) -> None:
    assert container_of(pod(**container)) == {**CONTAINER, **new}


def test_host_network_makes_host_ports() -> None:
    body = pod(ports=[{"containerPort": 80}])
    body["spec"]["hostNetwork"] = True
    assert container_of(body)["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


def test_deployment() -> None:
    template = {"spec": {"containers": [{"name": "a"}]}}
    new = defaulted(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {"template": template}}
    )
    assert new["spec"] == {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": {"spec": {**POD_SPEC, "containers": [CONTAINER]}},
    }


@pytest.mark.parametrize(("replicas", "kept"), [(0, 0), (3, 3), (None, 1)])
def test_replicas_of_none_are_none(replicas: int | None, kept: int) -> None:
    body = {"kind": "Deployment", "metadata": {}, "spec": {"replicas": replicas}}
    assert defaulted(body)["spec"]["replicas"] == kept


def test_recreate_has_no_rolling_update() -> None:
    body = {"kind": "Deployment", "metadata": {}, "spec": {"strategy": {"type": "Recreate"}}}
    assert defaulted(body)["spec"]["strategy"] == {"type": "Recreate"}


def test_endpoint_slice_conditions_stay_absent() -> None:
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": None}}]
    new = defaulted(
        {"kind": "EndpointSlice", "metadata": {}, "endpoints": endpoints, "ports": [{"port": 80}]}
    )
    assert new["endpoints"] == [{"addresses": ["10.0.0.1"], "conditions": {}}]
    assert new["ports"] == [{"port": 80, "name": "", "protocol": "TCP"}]


BODIES = [
    service(ports=[{"port": 80}], sessionAffinity="ClientIP"),
    pod(readinessProbe={"httpGet": {"port": 80}}, ports=[{"containerPort": 80}]),
    {"kind": "Deployment", "metadata": {}, "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}},
    {"kind": "Ingress", "metadata": {"name": "a"}, "spec": None},
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["kind"])
def test_pure(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    defaulted(body)
    assert body == before


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["kind"])
def test_twice_is_once(body: dict[str, Any]) -> None:
    assert defaulted(defaulted(body)) == defaulted(body)
