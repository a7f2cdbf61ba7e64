"""Rules for an EndpointSlice that its schema cannot say (pkg/apis/discovery/validation).

Knows one slice. Knows nothing of the Service that it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldErrors, one_of, required, too_many, unique
from testbed.kube.objects.ips import ordinary_ip
from testbed.kube.objects.names import dns_label, dns_subdomain, label_value, named, port_number
from testbed.kube.objects.service import PROTOCOLS
from testbed.kube.objects.source import child

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_VERSIONS = {"IPv4": 4, "IPv6": 6}
_MAX_ADDRESSES = 100
_MAX_ENDPOINTS = 1000
_MAX_PORTS = 20000
_MAX_HINTS = 8


def endpoint_slice_errors(body: Mapping[str, Any]) -> FieldErrors:
    """The mistakes in a defaulted EndpointSlice."""
    kind = body.get("addressType", "")
    yield from one_of("addressType", kind, _ADDRESS_TYPES)
    endpoints = body.get("endpoints", [])
    if len(endpoints) > _MAX_ENDPOINTS:
        yield too_many("endpoints", len(endpoints), _MAX_ENDPOINTS)
    else:
        for i, endpoint in enumerate(endpoints):
            yield from _endpoint(child("endpoints", i), endpoint, kind)
    yield from _ports(body.get("ports", []))


def _endpoint(path: str, endpoint: Mapping[str, Any], kind: str) -> FieldErrors:
    addresses = endpoint.get("addresses", [])
    if not addresses:
        yield required(f"{path}.addresses", "must contain at least 1 address")
    elif len(addresses) > _MAX_ADDRESSES:
        yield too_many(f"{path}.addresses", len(addresses), _MAX_ADDRESSES)
    for i, address in enumerate(addresses):
        place = child(f"{path}.addresses", i)
        if kind in _VERSIONS:
            yield from ordinary_ip(place, address, _VERSIONS[kind])
        elif kind == "FQDN":
            yield from named(place, address.removesuffix("."), dns_subdomain)
    if endpoint.get("nodeName"):
        yield from named(f"{path}.nodeName", endpoint["nodeName"], dns_subdomain)
    if endpoint.get("hostname"):
        yield from named(f"{path}.hostname", endpoint["hostname"], dns_label)
    yield from _hints(f"{path}.hints", endpoint.get("hints", {}))


def _hints(path: str, hints: Mapping[str, Any]) -> FieldErrors:
    for field in ("forZones", "forNodes"):
        names = [hint.get("name", "") for hint in hints.get(field, ())]
        if len(names) > _MAX_HINTS:
            yield too_many(f"{path}.{field}", len(names), _MAX_HINTS)
        yield from unique(f"{path}.{field}", enumerate(names), "name")
        for i, name in enumerate(names):
            yield from named(f"{path}.{field}[{i}].name", name, label_value)


def _ports(ports: list[Mapping[str, Any]]) -> FieldErrors:
    if len(ports) > _MAX_PORTS:
        yield too_many("ports", len(ports), _MAX_PORTS)
    for i, port in enumerate(ports):
        path = child("ports", i)
        if port["name"]:
            yield from named(f"{path}.name", port["name"], dns_label)
        yield from one_of(f"{path}.protocol", port["protocol"], PROTOCOLS)
        # No port means all ports, and kube-proxy skips it. A number out of range would pass the API server
        # and be refused by the kernel's tools; here it is refused at the door.
        if "port" in port:
            yield from port_number(f"{path}.port", port["port"])
    yield from unique("ports", ((i, port["name"]) for i, port in enumerate(ports)), "name")
