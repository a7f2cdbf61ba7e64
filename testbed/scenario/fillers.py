"""The Services that stand before the measured one: as many as an arm asks for, each with one endpoint.

They are made of ordinary manifests and go the ordinary way. No packet is ever sent to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

from testbed.kube.objects import Manifest, Source, defaulted

PREFIX = "filler"
FIRST_ENDPOINT = IPv4Address("10.244.128.1")  # in a node's range that no small cluster reaches
PORT, TARGET_PORT = 80, 8080
NOWHERE = Source("(filler)", {"": 0})


def name(number: int) -> str:
    """The name of one; in the order of names they come before the measured Service."""
    return f"{PREFIX}-{number:05d}"


def manifests(count: int) -> Iterator[Manifest]:
    """`count` Services without a selector, each with its EndpointSlice."""
    for number in range(count):
        yield Manifest(defaulted(_service(number)), NOWHERE)
        yield Manifest(endpoint_slice(number, FIRST_ENDPOINT + number), NOWHERE)


def endpoint_slice(number: int, address: IPv4Address) -> dict[str, Any]:
    """The slice of one of them, with its one endpoint at `address`."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name(number)}-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name(number)},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": TARGET_PORT, "protocol": "TCP"}],
        "endpoints": [{"addresses": [str(address)], "conditions": {"ready": True}}],
    }


def _service(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name(number), "namespace": "default"},
        "spec": {"ports": [{"name": "http", "port": PORT, "targetPort": TARGET_PORT}]},
    }
