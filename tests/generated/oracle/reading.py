"""How kube-proxy reads Services and EndpointSlices, told a second time and independently of the product.

Straight from the checklist (docs/kube-proxy.md, sections "Which objects count" and "Readiness, terminating
fallback, topology"). Knows objects; knows no rules. Must not import testbed: it is what testbed is held against.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from tests.generated.scene import Object, Scene

HIDING = ("service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name")


@dataclass
class Ending:
    """An endpoint of a service port."""

    text: str  # address:port, as the DNAT target says it
    ip: str
    local: bool
    ready: bool
    fallback: bool  # serving while it terminates
    zones: list[str]
    nodes: list[str]


@dataclass
class Port:
    """A port of a Service in one address family."""

    name: str  # namespace/name:port, kube-proxy's ServicePortName
    protocol: str  # lower case
    ip: str
    port: int
    node_port: int
    health_port: int
    external_ips: list[str]
    lb_ips: list[str]
    ranges: list[str]
    internal_local: bool
    external_local: bool
    affinity: int  # seconds, 0 without
    known: list[Ending]  # every endpoint that the slices name, in whatever state

    @property
    def external(self) -> bool:
        """Is there an address besides the cluster IP?"""
        return bool(self.node_port or self.external_ips or self.lb_ips)


def address(text: str) -> str:
    """The canonical form of an address, or nothing: no leading zeros, an IPv4-mapped address is IPv4."""
    if ":" not in text:
        parts = text.split(".")
        return ".".join(str(int(part, 10)) for part in parts) if len(parts) == 4 else ""
    found = ip_address(text)
    assert isinstance(found, IPv6Address)
    return str(found.ipv4_mapped or found)


def cidr(text: str) -> str:
    """The canonical form of a CIDR."""
    base, length = text.strip().split("/")
    return str(ip_network(f"{address(base)}/{length}", strict=False))


def is_of(text: str, family: str) -> bool:
    """Is this address or CIDR, in its canonical form, of that family?"""
    return bool(text) and (":" in text) == (family == "IPv6")


def of_family(texts: list[str], family: str) -> list[str]:
    """Those of one family, each once: two equal rules say no more than one."""
    return list(dict.fromkeys(text for text in texts if is_of(text, family)))


def holds_node(scene: Scene, family: str, ranges: list[str]) -> bool:
    """Is the node's first address of the family in one of the ranges?"""
    own = of_family(list(scene.addresses), family)[:1]
    return any(ip_address(node_ip) in ip_network(each) for each in ranges for node_ip in own)


def ports(scene: Scene, family: str) -> list[Port]:
    """Everything that kube-proxy's proxier of one family makes rules for, sorted by name."""
    found = [p for each in scene.kind("Service") for p in _ports_of(scene, each, family)]
    return sorted(found, key=lambda p: (re.split("[/:]", f"{p.name}:")[:3], p.protocol))


def _ports_of(scene: Scene, service: Object, family: str) -> Iterator[Port]:
    spec, labels = service["spec"], service["metadata"].get("labels", {})
    if any(label in labels for label in HIDING):
        return
    if spec["type"] == "ExternalName" or spec.get("clusterIP") in ("None", "", None):
        return
    ips = of_family([address(ip) for ip in spec.get("clusterIPs", [spec["clusterIP"]])], family)
    for port in spec["ports"] if ips else ():
        yield _port(scene, service, port, (family, ips[0]))


def _port(scene: Scene, service: Object, port: Object, at: tuple[str, str]) -> Port:
    spec, (family, ip) = service["spec"], at
    namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
    external_ips = [address(each) for each in spec.get("externalIPs", []) if each]
    outside = spec["type"] in ("NodePort", "LoadBalancer") or external_ips
    external_local = bool(outside) and spec.get("externalTrafficPolicy") == "Local"
    needs_check = spec["type"] == "LoadBalancer" and external_local
    timeout = spec.get("sessionAffinityConfig", {}).get("clientIP", {}).get("timeoutSeconds", 10800)
    return Port(
        name=f"{namespace}/{name}:{port['name']}" if port.get("name") else f"{namespace}/{name}",
        protocol=port.get("protocol", "TCP").lower(),
        ip=ip,
        port=port["port"],
        node_port=port.get("nodePort", 0),
        health_port=spec.get("healthCheckNodePort", 0) if needs_check else 0,
        external_ips=of_family(external_ips, family),
        lb_ips=of_family(_vips(service), family),
        ranges=of_family([cidr(each) for each in spec.get("loadBalancerSourceRanges", [])], family),
        internal_local=spec.get("internalTrafficPolicy") == "Local",
        external_local=external_local,
        affinity=timeout if spec.get("sessionAffinity") == "ClientIP" else 0,
        known=_endings(scene, service, port, family),
    )


def _vips(service: Object) -> list[str]:
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    return [address(i["ip"]) for i in ingress if "ip" in i and i.get("ipMode") in (None, "VIP")]


def _endings(scene: Scene, service: Object, port: Object, family: str) -> list[Ending]:
    """Merged over all slices. Where two slices name one endpoint, the first slice by name counts, unless a
    later one says that it is local (kube-proxy takes them in the order of a Go map, which is any order).
    """
    found: dict[str, Ending] = {}
    mine = [s for s in scene.kind("EndpointSlice") if _belongs(s, service) and s["addressType"] == family]
    for each in sorted(mine, key=lambda s: str(s["metadata"]["name"])):
        numbers = [
            p["port"]
            for p in each["ports"]
            if (p.get("name", ""), p.get("protocol", "TCP"))
            == (port.get("name", ""), port.get("protocol", "TCP"))
        ]
        for number in filter(None, numbers):
            for ending in (_ending(scene, e, number) for e in each["endpoints"] if e["addresses"]):
                if is_of(ending.ip, family) and (ending.text not in found or ending.local):
                    found[ending.text] = ending
    return [found[text] for text in sorted(found)]


def _belongs(endpoint_slice: Object, service: Object) -> bool:
    labels, metadata = endpoint_slice["metadata"]["labels"], service["metadata"]
    return (
        labels.get("kubernetes.io/service-name") == metadata["name"]
        and endpoint_slice["metadata"]["namespace"] == metadata["namespace"]
        and not any(label in labels for label in HIDING)
    )


def _ending(scene: Scene, endpoint: Object, port: int) -> Ending:
    ip = address(endpoint["addresses"][0])
    conditions, hints = endpoint.get("conditions", {}), endpoint.get("hints", {})
    ready = conditions.get("ready") in (None, True)
    serving = ready if conditions.get("serving") is None else conditions["serving"]
    return Ending(
        text=f"{ip}:{port}" if isinstance(ip_address(ip), IPv4Address) else f"[{ip}]:{port}",
        ip=ip,
        local=endpoint.get("nodeName") == scene.node,
        ready=ready,
        fallback=bool(serving and conditions.get("terminating")),
        zones=[zone["name"] for zone in hints.get("forZones", [])],
        nodes=[node["name"] for node in hints.get("forNodes", [])],
    )
