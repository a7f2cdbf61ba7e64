"""Rules for Endpoints that their schema cannot say (pkg/apis/core/validation `ValidateEndpoints`).

Knows one Endpoints object: its subsets, addresses and ports. Knows nothing of the Service of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldErrors, one_of, required
from testbed.kube.objects.ips import ordinary_ip
from testbed.kube.objects.names import dns_label, dns_subdomain, named, port_number
from testbed.kube.objects.service import PROTOCOLS
from testbed.kube.objects.source import child

Part = Mapping[str, Any]


def endpoints_errors(body: Part) -> FieldErrors:
    """The mistakes in a defaulted Endpoints object."""
    for i, subset in enumerate(body.get("subsets", ())):
        yield from _subset(child("subsets", i), subset)


def _subset(path: str, subset: Part) -> FieldErrors:
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        yield required(path, "must specify `addresses` or `notReadyAddresses`")
    for field in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(subset.get(field, ())):
            yield from _address(child(f"{path}.{field}", i), address)
    ports = subset.get("ports", ())
    for i, port in enumerate(ports):
        yield from _port(child(f"{path}.ports", i), port, len(ports) > 1)


def _address(path: str, address: Part) -> FieldErrors:
    yield from ordinary_ip(f"{path}.ip", address.get("ip", ""))
    for field, rule in (("hostname", dns_label), ("nodeName", dns_subdomain)):
        if address.get(field):
            yield from named(f"{path}.{field}", address[field], rule)


def _port(path: str, port: Part, need_name: bool) -> FieldErrors:
    if port.get("name"):
        yield from named(f"{path}.name", port["name"], dns_label)
    elif need_name:
        yield required(f"{path}.name", hint="a subset with several ports names each of them")
    yield from port_number(f"{path}.port", port.get("port", 0))
    yield from one_of(f"{path}.protocol", port["protocol"], PROTOCOLS)
