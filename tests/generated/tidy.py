"""A scene's objects as an API server of today would let them in: without what only old ones hold."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address, ip_network

from tests.generated.scene import Object, Scene

OUTSIDE = ("NodePort", "LoadBalancer")


def tidied(scene: Scene) -> list[Object]:
    """The namespaces and objects to be applied, with what is not valid left out."""
    objects = [copy.deepcopy(each) for each in scene.objects]
    names = sorted({each["metadata"]["namespace"] for each in objects} - {"default", "kube-system"})
    namespaces: list[Object] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names
    ]
    services = [_service(each) for each in objects if each["kind"] == "Service"]
    slices = [_slice(e) for e in objects if e["kind"] == "EndpointSlice" and e["addressType"] != "FQDN"]
    return [*namespaces, *services, *slices]


def _service(service: Object) -> Object:
    spec = service["spec"]
    spec["type"] = spec["type"] or "ClusterIP"
    del spec["selector"]
    if spec["type"] == "ExternalName":
        for name in ("clusterIP", "clusterIPs", "ipFamilies", "externalTrafficPolicy", "externalIPs"):
            spec.pop(name, None)
        spec.pop("internalTrafficPolicy", None)
    else:
        _addresses(spec)
    if spec["type"] not in OUTSIDE and not spec.get("externalIPs"):
        spec.pop("externalTrafficPolicy", None)
    if spec["type"] != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
        spec.pop("healthCheckNodePort", None)
    for ingress in service.get("status", {}).get("loadBalancer", {}).get("ingress", ()):
        if "ip" in ingress:
            ingress["ip"] = _canonical(ingress["ip"])
    return service


def _addresses(spec: Object) -> None:
    """Cluster IPs of the families, or none; everything in its canonical form."""
    families = spec["ipFamilies"]
    spec["ipFamilyPolicy"] = "RequireDualStack" if len(families) > 1 else "SingleStack"
    if spec.get("clusterIP") in ("", "None"):
        spec.pop("clusterIPs", None)
    else:
        given = spec.get("clusterIPs") or [spec["clusterIP"]]
        spec["clusterIPs"] = [_canonical(ip) for ip in given]
        spec["clusterIP"] = spec["clusterIPs"][0]
    if "externalIPs" in spec:
        spec["externalIPs"] = list(dict.fromkeys(_canonical(ip) for ip in spec["externalIPs"] if ip))
    if "loadBalancerSourceRanges" in spec:
        spec["loadBalancerSourceRanges"] = [_range(each) for each in spec["loadBalancerSourceRanges"]]


def _slice(endpoint_slice: Object) -> Object:
    ports = {each.get("name", ""): each for each in endpoint_slice["ports"] if each.get("port")}
    endpoint_slice["ports"] = list(ports.values())
    family = endpoint_slice["addressType"]
    endpoint_slice["endpoints"] = list(_endpoints(endpoint_slice["endpoints"], family))
    return endpoint_slice


def _endpoints(endpoints: list[Object], family: str) -> Iterator[Object]:
    for each in endpoints:
        each["addresses"] = [_canonical(address) for address in each["addresses"]][:1]
        if each["addresses"] and (":" in each["addresses"][0]) == (family == "IPv6"):
            yield each


def _canonical(text: str) -> str:
    plain = text if ":" in text else ".".join(str(int(part)) for part in text.split("."))
    found = ip_address(plain)
    return str((found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found)


def _range(text: str) -> str:
    address, _, length = text.strip().partition("/")
    return str(ip_network(f"{_canonical(address)}/{length}", strict=False))
