"""What an API server mends in an update before it checks it: values that it gave itself and that no longer fit.

The rules are those of Kubernetes' pkg/registry/core/service/strategy.go (dropTypeDependentFields) and of
normalizeClusterIPs. Knows two versions of one object; what the user changed on purpose stays, to be judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from testbed.kube.api.families import needs_cluster_ip
from testbed.kube.api.node_ports import takes_node_ports, wants_health_check
from testbed.kube.store import Object

Spec = Mapping[str, Any]


def normalised(new: Object, old: Object) -> Object:
    """The new version without what the server once filled in and its type no longer has."""
    spec, before = new.get("spec"), old.get("spec")
    if new.get("kind") != "Service" or not isinstance(spec, Mapping) or not isinstance(before, Mapping):
        return new
    mended = _cluster_ips(dict(spec), before)
    for has, fields in _DEPENDENT:
        if has(before) and not has(mended):
            mended = {k: v for k, v in mended.items() if k not in fields or v != before.get(k)}
    if takes_node_ports(before) and not takes_node_ports(mended):
        mended["ports"] = _without_node_ports(mended.get("ports"), before.get("ports"))
    return {**new, "spec": mended}


def _loads(spec: Spec) -> bool:
    return spec.get("type") == "LoadBalancer"


def _external(spec: Spec) -> bool:
    return takes_node_ports(spec) or bool(spec.get("externalIPs"))


_DEPENDENT: tuple[tuple[Callable[[Spec], bool], tuple[str, ...]], ...] = (
    (needs_cluster_ip, ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")),
    (wants_health_check, ("healthCheckNodePort",)),
    (_loads, ("allocateLoadBalancerNodePorts", "loadBalancerClass")),
    (_external, ("externalTrafficPolicy",)),
)
"""Which fields are there only for Services of which something holds."""


def _cluster_ips(spec: dict[str, Any], before: Spec) -> dict[str, Any]:
    """clusterIP changed alone: clusterIPs follows. The policy changed to one family: the second goes."""
    same = spec.get("clusterIPs") == before.get("clusterIPs")
    if same and spec.get("clusterIP") != before.get("clusterIP"):
        spec["clusterIPs"] = [spec["clusterIP"]] if spec.get("clusterIP") else []
    if spec.get("ipFamilyPolicy") == "SingleStack" != before.get("ipFamilyPolicy"):
        for name in ("clusterIPs", "ipFamilies"):
            if isinstance(spec.get(name), list) and spec[name] == before.get(name):
                spec[name] = spec[name][:1]
    return spec


def _without_node_ports(ports: Any, before: Any) -> Any:
    held = {port.get("nodePort") for port in before or ()}
    if not isinstance(ports, list) or not all(isinstance(port, Mapping) for port in ports):
        return ports
    return [{k: v for k, v in port.items() if k != "nodePort" or v not in held} for port in ports]
