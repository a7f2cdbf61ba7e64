"""Rules for a Service that its schema cannot say (v1.36, pkg/apis/core/validation `ValidateService`).

Knows one Service. Whether an address or a node port is still free is admission's question, not this one's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from testbed.kube.objects.addresses import NODE_PORTS
from testbed.kube.objects.defaults import EXTERNAL_TYPES, externally_accessible
from testbed.kube.objects.fields import (
    FieldErrors,
    duplicate,
    forbidden,
    invalid,
    one_of,
    required,
    too_many,
    unique,
)
from testbed.kube.objects.ips import address_of, cidr, ip, ordinary_ip
from testbed.kube.objects.names import (
    dns_label,
    dns_subdomain,
    labels,
    named,
    port_number,
    port_number_or_name,
    qualified_name,
)
from testbed.kube.objects.source import child

PROTOCOLS = ("SCTP", "TCP", "UDP")

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_POLICIES = ("Cluster", "Local")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_MAX_AFFINITY_SECONDS = 86400
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"

Spec = Mapping[str, Any]


def service_errors(body: Mapping[str, Any]) -> FieldErrors:
    """The mistakes in a defaulted Service."""
    spec = body["spec"]
    yield from one_of("spec.type", spec["type"], _TYPES)
    yield from _ports(spec)
    yield from labels("spec.selector", spec.get("selector", {}))
    yield from _affinity(spec)
    yield from _external_name(spec) if spec["type"] == "ExternalName" else _cluster_ips(spec)
    yield from _policies(spec)
    yield from _external_addresses(spec)
    yield from _load_balancer(spec, body.get("status", {}))


def _headless(spec: Spec) -> bool:
    return spec.get("clusterIP") == "None" or spec.get("clusterIPs", [])[:1] == ["None"]


def _ports(spec: Spec) -> FieldErrors:
    ports = spec.get("ports", [])
    if not ports and not _headless(spec) and spec["type"] != "ExternalName":
        yield required("spec.ports", hint="only a headless or an ExternalName Service has no ports")
    for i, port in enumerate(ports):
        yield from _port(child("spec.ports", i), port, len(ports) > 1)
        if port.get("nodePort", 0):
            yield from _node_port(f"spec.ports[{i}].nodePort", port["nodePort"], spec["type"])
    yield from unique("spec.ports", ((i, p["name"]) for i, p in enumerate(ports) if p.get("name")), "name")
    yield from _twice(ports, "port", "spec.ports[{}]")
    yield from _twice(ports, "nodePort", "spec.ports[{}].nodePort")


def _port(path: str, port: Mapping[str, Any], need_name: bool) -> FieldErrors:
    name = port.get("name", "")
    if name:
        yield from named(f"{path}.name", name, dns_label)
    elif need_name:
        yield required(f"{path}.name", hint="a Service with several ports names each of them")
    yield from port_number(f"{path}.port", port.get("port", 0))
    yield from one_of(f"{path}.protocol", port["protocol"], PROTOCOLS)
    if port["targetPort"] != port.get("port", 0):  # else it is the default, and wrong only where port is
        yield from port_number_or_name(f"{path}.targetPort", port["targetPort"])
    if port.get("appProtocol") and qualified_name(port["appProtocol"]):
        yield invalid(f"{path}.appProtocol", port["appProtocol"], qualified_name(port["appProtocol"]))


def _node_port(path: str, value: int, service_type: str) -> FieldErrors:
    if service_type in ("ClusterIP", "ExternalName"):
        hint = "set spec.type to NodePort or LoadBalancer, or leave nodePort out"
        yield forbidden(path, f"may not be used when `type` is '{service_type}'", hint)
    elif value not in NODE_PORTS:
        most = f"{NODE_PORTS[0]}-{NODE_PORTS[-1]}"
        detail = f"provided port is not in the valid range. The range of valid ports is {most}"
        yield invalid(path, value, detail, "leave it out to get a free one")


def _twice(ports: Sequence[Mapping[str, Any]], field: str, path: str) -> FieldErrors:
    """The same number for the same protocol twice. (Kubernetes prints the whole port.)"""
    seen: dict[tuple[str, int], int] = {}
    for i, port in enumerate(ports):
        number = port.get(field, 0)
        if number:
            first = seen.setdefault((port["protocol"], number), i)
            if first != i:
                hint = f"spec.ports[{first}] has it already"
                yield duplicate(path.format(i), f"{number}/{port['protocol']}", hint)


def _affinity(spec: Spec) -> FieldErrors:
    yield from one_of("spec.sessionAffinity", spec["sessionAffinity"], ("ClientIP", "None"))
    if spec["sessionAffinity"] == "ClientIP":
        seconds = spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"]
        if not 0 < seconds <= _MAX_AFFINITY_SECONDS:
            path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
            yield invalid(path, seconds, f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}")


def _external_name(spec: Spec) -> FieldErrors:
    for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(field):
            yield forbidden(f"spec.{field}", "may not be set for ExternalName services")
    name = spec.get("externalName", "").removesuffix(".")
    if not name:
        yield required("spec.externalName", hint="the DNS name that this Service stands for")
    elif address_of(name):
        # Kubernetes lets an IPv4 address pass, as a name of digits, which no resolver will ever find.
        hint = "for an address: a headless Service without selector, and an EndpointSlice"
        yield invalid("spec.externalName", name, "must be a DNS name, not an address", hint)
    else:
        yield from named("spec.externalName", name, dns_subdomain)


def _cluster_ips(spec: Spec) -> FieldErrors:
    """`ValidateServiceClusterIPsRelatedFields`."""
    addresses = spec.get("clusterIPs", [])
    only = spec.get("clusterIP", "")
    if addresses and only and addresses[0] != only:
        yield invalid(
            "spec.clusterIPs", addresses, "first value must match `clusterIP`", f"write {only} first"
        )
    if _headless(spec) and spec["type"] in EXTERNAL_TYPES:
        field = "clusterIP" if only else "clusterIPs[0]"
        yield invalid(f"spec.{field}", "None", f"may not be set to 'None' for {spec['type']} services")
    if only and only != "None":
        yield from ip("spec.clusterIP", only)
    yield from _several_cluster_ips(addresses)
    yield from _families(spec, addresses or [only] * bool(only))


def _several_cluster_ips(addresses: Sequence[str]) -> FieldErrors:
    if len(addresses) > 2:
        yield too_many("spec.clusterIPs", len(addresses), 2)
    for i, address in enumerate(addresses):
        if address != "None":
            yield from ip(child("spec.clusterIPs", i), address)
        elif len(addresses) > 1:
            yield invalid(child("spec.clusterIPs", i), address, "'None' must be the first and only value")
    versions = [found.version for found in map(address_of, addresses) if found]
    if len(versions) == 2 and versions[0] == versions[1]:
        yield invalid("spec.clusterIPs", addresses, "may specify no more than one IP for each IP family")


def _families(spec: Spec, addresses: Sequence[str]) -> FieldErrors:
    families = spec.get("ipFamilies", [])
    for i, family in enumerate(families):
        yield from one_of(child("spec.ipFamilies", i), family, _FAMILIES)
    yield from unique("spec.ipFamilies", enumerate(families))
    policy = spec.get("ipFamilyPolicy", "")
    if policy:
        yield from one_of("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES)
    if policy == "SingleStack" and (len(families) == 2 or len(addresses) == 2):
        many = "ipFamilies" if len(families) == 2 else "clusterIPs"
        detail = f"must be RequireDualStack or PreferDualStack when multiple `{many}` are specified"
        yield invalid("spec.ipFamilyPolicy", policy, detail)
    for i, (address, family) in enumerate(zip(addresses, families, strict=False)):
        found = address_of(address)
        if found and family in _FAMILIES and family != f"IPv{found.version}":
            field = child("spec.clusterIPs", i) if spec.get("clusterIPs") else "spec.clusterIP"
            yield invalid(field, address, f"expected an {family} value as indicated by `ipFamilies[{i}]`")


def _policies(spec: Spec) -> FieldErrors:
    if spec.get("internalTrafficPolicy"):
        yield from one_of("spec.internalTrafficPolicy", spec["internalTrafficPolicy"], _POLICIES)
    if spec.get("trafficDistribution"):
        yield from one_of("spec.trafficDistribution", spec["trafficDistribution"], _DISTRIBUTIONS)
    policy = spec.get("externalTrafficPolicy", "")
    if policy and not externally_accessible(spec):
        detail = "may only be set for externally-accessible services"
        hint = "those of type NodePort or LoadBalancer, or with externalIPs"
        yield invalid("spec.externalTrafficPolicy", policy, detail, hint)
    elif policy:
        yield from one_of("spec.externalTrafficPolicy", policy, _POLICIES)
    yield from _health_check(spec)


def _health_check(spec: Spec) -> FieldErrors:
    port = spec.get("healthCheckNodePort", 0)
    path = "spec.healthCheckNodePort"
    if not port:
        return  # allocated by admission where it is needed
    if spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        yield from port_number(path, port)
    else:
        detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid(path, port, detail)


def _external_addresses(spec: Spec) -> FieldErrors:
    for i, address in enumerate(spec.get("externalIPs", ())):
        yield from ordinary_ip(child("spec.externalIPs", i), address)


def _load_balancer(spec: Spec, status: Mapping[str, Any]) -> FieldErrors:
    ours = spec["type"] == "LoadBalancer"
    for field in ("loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if field in spec and not ours:
            yield forbidden(f"spec.{field}", _ONLY_LOAD_BALANCER)
    for i, text in enumerate(spec.get("loadBalancerSourceRanges", ())):
        # By "a historical accident" (validation.go) these values may be padded with spaces.
        yield from cidr(child("spec.loadBalancerSourceRanges", i), text.strip())
    if spec.get("loadBalancerClass"):
        yield from named("spec.loadBalancerClass", spec["loadBalancerClass"], qualified_name)
    if spec.get("loadBalancerIP"):
        yield from ordinary_ip("spec.loadBalancerIP", spec["loadBalancerIP"])
    for i, ingress in enumerate(status.get("loadBalancer", {}).get("ingress", ())):
        if ingress.get("ip"):
            yield from ordinary_ip(f"status.loadBalancer.ingress[{i}].ip", ingress["ip"])
