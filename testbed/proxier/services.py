"""What a Service object says about one of its ports, for one address family.

Knows the Service's fields and Kubernetes' rules for reading them. Knows no endpoints, no node, no mechanism.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from testbed.kube.objects.extensions import Options, options_of
from testbed.proxier.addresses import addresses_of, networks_of
from testbed.proxier.plan import Family, IPAddress, IPNetwork, Protocol, ServiceKey

Object = Mapping[str, Any]

_PROTOCOLS = {protocol.value: protocol for protocol in Protocol}

DEFAULT_AFFINITY_SECONDS = 10800  # core/v1 DefaultClientIPServiceAffinitySeconds

NOT_OURS = frozenset({"service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name"})
"""Labels whose presence hides a Service or EndpointSlice from kube-proxy (its informers' selector)."""


class ServicePort(NamedTuple):
    """One port of a Service in one address family, with its policies spelled out."""

    key: ServiceKey
    cluster_ip: IPAddress
    port: int
    node_port: int  # 0: none
    external_ips: tuple[IPAddress, ...]
    load_balancer_ips: tuple[IPAddress, ...]  # those that the node itself must answer for (ipMode VIP)
    source_ranges: tuple[IPNetwork, ...]
    internal_local: bool
    external_local: bool
    affinity_seconds: int | None
    health_check_node_port: int | None
    options: Options  # the Service's annotations of ours

    @property
    def externally_accessible(self) -> bool:
        """True if the port has an address besides its cluster IP."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def uses_cluster_endpoints(self) -> bool:
        """True also for policy Local: pods and the node reach external addresses by all endpoints."""
        return not self.internal_local or self.externally_accessible

    @property
    def uses_local_endpoints(self) -> bool:
        """True if some address of the port follows policy Local."""
        return self.internal_local or (self.external_local and self.externally_accessible)


def is_hidden(obj: Object) -> bool:
    """True for an object that another proxy, or none, takes care of."""
    return not NOT_OURS.isdisjoint(obj["metadata"].get("labels") or ())


def service_ports(service: Object, families: Iterable[Family]) -> tuple[ServicePort, ...]:
    """The ports of a Service that a node must do something for; none if headless, ExternalName or hidden."""
    spec = service.get("spec") or {}
    if (
        is_hidden(service)
        or spec.get("type") == "ExternalName"
        or spec.get("clusterIP") in (None, "", "None")
    ):
        return ()
    return tuple(port for family in families for port in _ports_of(service, spec, family))


def _ports_of(service: Object, spec: Object, family: Family) -> Iterator[ServicePort]:
    cluster_ips = addresses_of(family, spec.get("clusterIPs") or [spec["clusterIP"]])
    if not cluster_ips:
        return
    metadata = service["metadata"]
    namespace, name = metadata.get("namespace", "default"), metadata["name"]
    same = _of_all_ports(service, spec, family)
    for port in spec.get("ports") or ():
        protocol = _PROTOCOLS[port.get("protocol") or "TCP"]
        key = ServiceKey(namespace, name, port.get("name") or "", protocol, family)
        yield ServicePort(key, cluster_ips[0], port["port"], port.get("nodePort") or 0, *same)


def _of_all_ports(service: Object, spec: Object, family: Family) -> tuple[Any, ...]:
    """What is the same for each port of a Service: the fields of ServicePort behind `node_port`."""
    return (
        addresses_of(family, spec.get("externalIPs") or ()),
        addresses_of(family, _ingress_ips(service)),
        networks_of(family, spec.get("loadBalancerSourceRanges") or ()),
        spec.get("internalTrafficPolicy") == "Local",
        _external_local(spec),
        _affinity_seconds(spec),
        _health_check_node_port(spec),
        options_of(service),
    )


def _ingress_ips(service: Object) -> list[str]:
    """The load balancer's addresses, without those where it terminates itself (ipMode Proxy, KEP-1860)."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [i["ip"] for i in ingress if i.get("ip") and i.get("ipMode", "VIP") != "Proxy"]


def _external_local(spec: Object) -> bool:
    """Local only counts on a Service that outsiders can reach (apiservice.ExternalPolicyLocal)."""
    reachable = spec.get("type") in ("NodePort", "LoadBalancer") or bool(spec.get("externalIPs"))
    return reachable and spec.get("externalTrafficPolicy") == "Local"


def _affinity_seconds(spec: Object) -> int | None:
    if spec.get("sessionAffinity") != "ClientIP":
        return None
    client_ip = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(client_ip.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)


def _health_check_node_port(spec: Object) -> int | None:
    if spec.get("type") != "LoadBalancer" or not _external_local(spec):
        return None
    return spec.get("healthCheckNodePort") or None
