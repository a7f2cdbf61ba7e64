"""What EndpointSlices say about the endpoints of a Service.

Knows the slices' fields. Knows neither Services nor policies: which of these endpoints may be used is
`policy.py`'s question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from testbed.kube.objects.extensions import PLAIN_WEIGHT, WEIGHTS, weights_by_address
from testbed.proxier.addresses import parse_with_text
from testbed.proxier.plan import Endpoint, Family, Protocol, socket_address
from testbed.proxier.services import Object, is_hidden

PortKey = tuple[str, Protocol, Family]  # port name, protocol, address family
ServiceName = tuple[str, str]  # namespace, name

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
_FAMILIES = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}  # addressType; FQDN slices are not for proxies
_NO_HINTS: frozenset[str] = frozenset()


class Candidate(NamedTuple):
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


def service_of(obj: Object) -> ServiceName | None:
    """The Service that a slice belongs to; None for a slice that is no proxy's business."""
    name = (obj["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL)
    if not name or is_hidden(obj):
        return None
    return obj["metadata"].get("namespace", "default"), name


def candidates(slices: Iterable[Object], port: PortKey, node: str) -> tuple[Candidate, ...]:
    """The endpoints of one port over all slices of a Service, as seen from `node`, each once, in the order of
    their text.

    Where slices overlap, the first one counts, unless a later one knows the endpoint as local
    (kube-proxy's endpointslicecache).
    """
    found: dict[str, Candidate] = {}
    for each in slices:
        for number in _numbers(each, port):
            for text, candidate in _in_slice(each, number, port[2], node):
                if text not in found or candidate.endpoint.local:
                    found[text] = candidate
    return tuple(found[text] for text in sorted(found)) if len(found) > 1 else tuple(found.values())


def _numbers(obj: Object, port: PortKey) -> Iterator[int]:
    """What a slice has under a port's name, protocol and family; nothing for "all ports" (no number)."""
    name, protocol, family = port
    if _FAMILIES.get(obj["addressType"]) is not family:
        return
    for each in obj.get("ports") or ():
        number = each.get("port")
        if (
            number is not None
            and (each.get("name") or "") == name
            and (each.get("protocol") or "TCP") == protocol
        ):
            yield number


def _in_slice(obj: Object, port: int, family: Family, node: str) -> Iterator[tuple[str, Candidate]]:
    weights = _weights(obj)
    for item in obj.get("endpoints") or ():
        # All addresses of one endpoint are the same pod (v1 EndpointSlice): consumers use the first.
        first = item.get("addresses")
        address, text = parse_with_text(first[0]) if first else (None, "")
        if address is not None and address.version == family:
            weight = weights.get(text, PLAIN_WEIGHT) if weights else PLAIN_WEIGHT
            endpoint = Endpoint(address, port, item.get("nodeName") == node, weight)
            yield socket_address(text, port), _candidate(item, endpoint)


def _weights(obj: Object) -> Mapping[str, int]:
    """Weights by address, for those that have one."""
    annotations = obj["metadata"].get("annotations")
    text = annotations.get(WEIGHTS) if annotations else ""
    return weights_by_address(text) if text else {}


def _candidate(item: Object, endpoint: Endpoint) -> Candidate:
    conditions = item.get("conditions") or {}
    ready = conditions.get("ready") is not False  # nil counts as ready
    serving = conditions.get("serving")
    hints = item.get("hints")
    return Candidate(
        endpoint,
        ready,
        ready if serving is None else serving,
        conditions.get("terminating") is True,
        _names(hints.get("forZones")) if hints else _NO_HINTS,
        _names(hints.get("forNodes")) if hints else _NO_HINTS,
    )


def _names(hints: Iterable[Object] | None) -> frozenset[str]:
    return frozenset(hint["name"] for hint in hints or ())
