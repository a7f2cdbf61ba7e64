"""What Kubernetes fills in where an object says nothing (v1.36, pkg/apis/*/v1/defaults.go).

Knows each kind's defaults. Knows no validity: an object that is wrong is filled in as far as its shape allows
it. What admission and allocation set (addresses, node ports, ipFamilyPolicy) is not done here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from testbed.kube.objects.kinds import KINDS

Body = dict[str, Any]

CLIENT_IP_SECONDS = 10800  # core/v1 DefaultClientIPServiceAffinitySeconds
EXTERNAL_TYPES = frozenset({"NodePort", "LoadBalancer"})
VIRTUAL_IP_TYPES = frozenset({"ClusterIP", *EXTERNAL_TYPES})


def defaulted(body: Mapping[str, Any]) -> Body:
    """A new object with the defaults of its kind. Null fields are absent ones, as in Kubernetes.

    `body` must have the shape that its schema asks for (`field_errors` says so); it is not changed.
    """
    new: Body = without_nulls(body)
    kind = KINDS.get(new.get("kind", ""))
    if kind is not None:
        metadata = new.setdefault("metadata", {})
        if kind.namespaced:
            _set(metadata, namespace="default")
        _DEFAULTS[kind.name](new)
    return new


def without_nulls(value: Any) -> Any:
    """A deep copy in which no mapping has an entry that is null."""
    if isinstance(value, Mapping):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(part) for part in value]
    return value


def externally_accessible(spec: Mapping[str, Any]) -> bool:
    """True if a Service can be reached from outside (`service.ExternallyAccessible`)."""
    by_address = spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs"))
    return by_address or spec.get("type") in EXTERNAL_TYPES


def _set(fields: Body, **values: Any) -> None:
    """Fill in fields that are absent or empty: to Go, "" and 0 of a plain field are the same as absent."""
    for name, value in values.items():
        if fields.get(name) in (None, "", 0) and not isinstance(fields.get(name), bool):
            fields[name] = value


def _set_absent(fields: Body, **values: Any) -> None:
    """Fill in fields that are absent: those that are pointers in Go, where 0 is a value."""
    for name, value in values.items():
        fields.setdefault(name, value)


def _namespace(body: Body) -> None:
    name = body["metadata"].get("name")
    if name:
        body["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    _set(body.setdefault("status", {}), phase="Active")


def _node(body: Body) -> None:
    body.setdefault("spec", {})


def _service(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _set(spec, type="ClusterIP", sessionAffinity="None")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        _set_absent(client, timeoutSeconds=CLIENT_IP_SECONDS)
    for port in spec.get("ports", ()):
        _set(port, protocol="TCP")
        _set(port, targetPort=port.get("port", 0))
    if spec["type"] in VIRTUAL_IP_TYPES:
        _set_absent(spec, internalTrafficPolicy="Cluster")
    if externally_accessible(spec):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set_absent(spec, allocateLoadBalancerNodePorts=True)
        for ingress in body.get("status", {}).get("loadBalancer", {}).get("ingress", ()):
            if ingress.get("ip"):
                _set_absent(ingress, ipMode="VIP")


def _endpoint_slice(body: Body) -> None:
    # An absent condition is left absent: nil counts as ready (discovery/v1 EndpointConditions).
    for port in body.get("ports", ()):
        _set_absent(port, name="", protocol="TCP")


def _deployment(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _set_absent(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set_absent(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _replica_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _set_absent(spec, replicas=1)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _stateful_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _set(spec, podManagementPolicy="OrderedReady")
    _set_absent(spec, replicas=1, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set_absent(strategy.setdefault("rollingUpdate", {}), partition=0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    _set(retention, whenDeleted="Retain", whenScaled="Retain")
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _daemon_set(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _set_absent(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set_absent(strategy.setdefault("rollingUpdate", {}), maxUnavailable=1, maxSurge=0)
    _pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def _endpoints(body: Body) -> None:
    for subset in body.get("subsets", ()):
        for port in subset.get("ports", ()):
            _set(port, protocol="TCP")


def _secret(body: Body) -> None:
    """stringData is a way to write, never to read: it goes into data (`Convert_v1_Secret_To_core_Secret`)."""
    _set(body, type="Opaque")
    texts = body.pop("stringData", {})
    if texts:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        body["data"] = body.get("data", {}) | encoded


def _nothing(_: Body) -> None:
    """For kinds without defaults of their own."""


def _pod(body: Body) -> None:
    spec = body.setdefault("spec", {})
    _pod_spec(spec)
    _set_absent(spec, enableServiceLinks=True)
    for container in _containers(spec):
        resources = container.get("resources", {})
        if "limits" in resources:
            resources["requests"] = {**resources["limits"], **resources.get("requests", {})}
        if spec.get("hostNetwork"):
            for port in container.get("ports", ()):
                _set(port, hostPort=port.get("containerPort", 0))


def _containers(spec: Body) -> list[Body]:
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def _pod_spec(spec: Body) -> None:
    _set(spec, restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler")
    _set_absent(spec, terminationGracePeriodSeconds=30, securityContext={})
    for container in _containers(spec):
        _container(container)


def _container(container: Body) -> None:
    tag = container.get("image", "").rpartition("/")[2].partition("@")[0].partition(":")[2]
    digest = "@" in container.get("image", "")
    latest = tag == "latest" or (not tag and not digest)
    _set(
        container,
        imagePullPolicy="Always" if latest else "IfNotPresent",
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    _set_absent(container, resources={})  # no pointer in Go: there even if empty, as kubectl sends it back
    for port in container.get("ports", ()):
        _set(port, protocol="TCP")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if name in container:
            _probe(container[name])
    for handler in container.get("lifecycle", {}).values():
        if isinstance(handler, dict) and "httpGet" in handler:
            _set(handler["httpGet"], path="/", scheme="HTTP")
    for variable in container.get("env", ()):
        if "fieldRef" in variable.get("valueFrom", {}):
            _set(variable["valueFrom"]["fieldRef"], apiVersion="v1")


def _probe(probe: Body) -> None:
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if "httpGet" in probe:
        _set(probe["httpGet"], path="/", scheme="HTTP")
    if "grpc" in probe:
        _set_absent(probe["grpc"], service="")


_DEFAULTS: Mapping[str, Callable[[Body], None]] = {
    "Namespace": _namespace,
    "Node": _node,
    "Pod": _pod,
    "Deployment": _deployment,
    "Service": _service,
    "EndpointSlice": _endpoint_slice,
    "Endpoints": _endpoints,
    "ReplicaSet": _replica_set,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "ControllerRevision": _nothing,
    "ConfigMap": _nothing,
    "Secret": _secret,
    "ServiceCIDR": _nothing,
    "Event": _nothing,
}
