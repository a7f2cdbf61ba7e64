"""The tables of Services and what belongs to them: Endpoints, EndpointSlices, ServiceCIDRs (printers.go)."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from testbed.kube.api.tables.duration import age
from testbed.kube.api.tables.layout import AGE, NAME, Cells, Column, Layout
from testbed.kube.api.tables.text import NONE, labels_text, listed
from testbed.kube.store import Object

UNSET = "<unset>"


def _service(service: Object, now: datetime.datetime) -> Cells:
    spec = service["spec"]
    return (
        service["metadata"]["name"],
        spec["type"],
        next(iter(spec.get("clusterIPs") or ()), NONE),
        external_ip(service),
        ",".join(map(_port, spec.get("ports") or ())) or NONE,
        age(service, now),
        labels_text(spec.get("selector")),
    )


def external_ip(service: Object) -> str:
    """`getServiceExternalIP`: addresses from outside, `<pending>` for a load balancer that has none yet."""
    spec = service["spec"]
    if spec["type"] == "ExternalName":
        return str(spec.get("externalName", ""))
    own: Sequence[str] = spec.get("externalIPs") or ()
    balanced = load_balancer_addresses(service) if spec["type"] == "LoadBalancer" else []
    return ",".join([*balanced, *own]) or ("<pending>" if spec["type"] == "LoadBalancer" else NONE)


def load_balancer_addresses(service: Object) -> list[str]:
    """The addresses and host names of the load balancer, sorted, each once."""
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return sorted({entry.get("ip") or entry.get("hostname") or "" for entry in ingress} - {""})


def _port(port: Mapping[str, Any]) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}"


def _slice(piece: Object, now: datetime.datetime) -> Cells:
    addresses = [address for each in piece.get("endpoints") or () for address in each["addresses"]]
    ports = [str(port.get("port") or port.get("name") or "*") for port in piece.get("ports") or ()]
    return (
        piece["metadata"]["name"],
        piece["addressType"],
        listed(ports, UNSET),
        listed(addresses, UNSET),
        age(piece, now),
    )


def _endpoints(endpoints: Object, now: datetime.datetime) -> Cells:
    return endpoints["metadata"]["name"], endpoints_text(endpoints), age(endpoints, now)


def endpoints_text(endpoints: Object) -> str:
    """`formatEndpoints`: address and port of those that are ready."""
    return listed(list(_sockets(endpoints)), NONE if not endpoints.get("subsets") else "")


def _sockets(endpoints: Object) -> Iterator[str]:
    for subset in endpoints.get("subsets") or ():
        addresses = [address["ip"] for address in subset.get("addresses") or ()]
        if not subset.get("ports"):
            yield from addresses
        for port in subset.get("ports") or ():
            yield from (host_port(address, port["port"]) for address in addresses)


def host_port(address: str, port: int) -> str:
    """Go's net.JoinHostPort: an IPv6 address stands in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _cidr(cidr: Object, now: datetime.datetime) -> Cells:
    return cidr["metadata"]["name"], ",".join(cidr.get("spec", {}).get("cidrs") or ()), age(cidr, now)


SERVICES = Layout(
    (
        NAME,
        Column("Type", description="How the Service is exposed."),
        Column("Cluster-IP", description="The virtual address inside the cluster."),
        Column("External-IP", description="Addresses at which it is reached from outside."),
        Column("Port(s)", description="port:nodePort/protocol of each port."),
        AGE,
        Column("Selector", description="Labels of the pods behind it.", priority=1),
    ),
    _service,
)
ENDPOINT_SLICES = Layout(
    (
        NAME,
        Column("AddressType", description="The type of the addresses in this slice."),
        Column("Ports", description="The ports of every endpoint in this slice."),
        Column("Endpoints", description="The addresses of the endpoints in this slice."),
        AGE,
    ),
    _slice,
)
ENDPOINTS = Layout(
    (NAME, Column("Endpoints", description="Addresses and ports of the ready endpoints."), AGE), _endpoints
)
SERVICE_CIDRS = Layout(
    (NAME, Column("CIDRs", description="Ranges from which cluster IPs are allocated."), AGE), _cidr
)
