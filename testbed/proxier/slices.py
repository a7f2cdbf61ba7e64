"""What EndpointSlices say about the endpoints of a Service.

Knows the slices' fields. Knows neither Services nor policies: which of these endpoints may be used is
`policy.py`'s question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from testbed.proxier.addresses import family_of, parse_address
from testbed.proxier.plan import Endpoint, Family, Protocol
from testbed.proxier.services import Object, is_hidden

PortKey = tuple[str, Protocol, Family]  # port name, protocol, address family
ServiceName = tuple[str, str]  # namespace, name

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}  # addressType; FQDN slices are not for proxies


@dataclass(frozen=True, slots=True)
class Candidate:
    """An endpoint as its slice describes it, before any policy."""

    endpoint: Endpoint
    ready: bool
    serving: bool
    terminating: bool
    zone_hints: frozenset[str]
    node_hints: frozenset[str]

    @property
    def last_resort(self) -> bool:
        """Terminating but still serving: used when nothing is ready (KEP-1669)."""
        return self.serving and self.terminating


Slice = Mapping[PortKey, tuple[Candidate, ...]]
"""The endpoints of one EndpointSlice by port."""


def service_of(obj: Object) -> ServiceName | None:
    """The Service that a slice belongs to; None for a slice that is no proxy's business."""
    name = (obj["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL)
    if not name or is_hidden(obj):
        return None
    return obj["metadata"].get("namespace", "default"), name


def read_slice(obj: Object, node: str) -> Slice:
    """The endpoints of a slice by port, as seen from `node`."""
    family = _FAMILIES.get(obj["addressType"])
    if family is None:
        return {}
    found: dict[PortKey, tuple[Candidate, ...]] = {}
    for port in obj.get("ports") or ():
        if port.get("port") is None:  # "all ports": nothing that a proxy could translate to
            continue
        key = (port.get("name") or "", Protocol(port.get("protocol") or "TCP"), family)
        found[key] = found.get(key, ()) + tuple(_candidates(obj, port["port"], family, node))
    return found


def _candidates(obj: Object, port: int, family: Family, node: str) -> Iterator[Candidate]:
    for item in obj.get("endpoints") or ():
        # All addresses of one endpoint are the same pod (v1 EndpointSlice): consumers use the first.
        address = parse_address(item["addresses"][0]) if item.get("addresses") else None
        if address is not None and family_of(address) == family:
            yield _candidate(item, Endpoint(address, port, local=item.get("nodeName") == node))


def _candidate(item: Object, endpoint: Endpoint) -> Candidate:
    conditions = item.get("conditions") or {}
    ready = conditions.get("ready") is not False  # nil counts as ready
    serving = conditions.get("serving")
    hints = item.get("hints") or {}
    return Candidate(
        endpoint,
        ready=ready,
        serving=ready if serving is None else serving,
        terminating=conditions.get("terminating") is True,
        zone_hints=frozenset(hint["name"] for hint in hints.get("forZones") or ()),
        node_hints=frozenset(hint["name"] for hint in hints.get("forNodes") or ()),
    )


def merge(slices: Iterable[Slice], port: PortKey) -> tuple[Candidate, ...]:
    """The endpoints of one port over all slices of a Service, each once, in the order of their text.

    Where slices overlap, the first one counts, unless a later one knows the endpoint as local
    (kube-proxy's endpointslicecache).
    """
    found: dict[str, Candidate] = {}
    for each in slices:
        for candidate in each.get(port, ()):
            text = str(candidate.endpoint)
            if text not in found or candidate.endpoint.local:
                found[text] = candidate
    return tuple(found[text] for text in sorted(found))
