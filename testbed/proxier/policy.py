"""Which endpoints may be used: readiness, terminating fallback, traffic policies, topology hints. Pure.

The rules are those of kube-proxy's CategorizeEndpoints (pkg/proxy/topology.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from testbed.proxier.plan import Endpoint
from testbed.proxier.services import ServicePort
from testbed.proxier.slices import Candidate


class Place(NamedTuple):
    """Where the node is, as topology hints name it."""

    node: str
    zone: str = ""  # label topology.kubernetes.io/zone, empty without it


class Usable(NamedTuple):
    """The endpoints that each traffic policy lets in; `anywhere`: is there one on any node at all?"""

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    anywhere: bool


def usable(port: ServicePort, candidates: Sequence[Candidate], place: Place) -> Usable:
    """Sort out the endpoints of a service port for one node; the given order is kept."""
    cluster = _cluster(candidates, place) if port.uses_cluster_endpoints else ()
    local = _local(candidates) if port.uses_local_endpoints else ()
    anywhere = bool(cluster or local) or any(c.ready or c.last_resort for c in candidates)
    return Usable(cluster, local, anywhere)


def _cluster(candidates: Sequence[Candidate], place: Place) -> tuple[Endpoint, ...]:
    """Ready ones that the hints allow; if none is ready anywhere, those that serve while terminating."""
    ready = [c for c in candidates if c.ready]
    if ready:
        return _endpoints(_hinted(ready, place))
    return _endpoints(c for c in candidates if c.last_resort)


def _local(candidates: Sequence[Candidate]) -> tuple[Endpoint, ...]:
    """The same fallback, decided among this node's endpoints alone; hints never apply here."""
    here = [c for c in candidates if c.endpoint.local]
    return _endpoints(c for c in here if c.ready) or _endpoints(c for c in here if c.last_resort)


def _hinted(ready: Sequence[Candidate], place: Place) -> Sequence[Candidate]:
    """Hints count as a whole or not at all: every ready endpoint has one, and one of them names this place.

    Hints for nodes come before hints for zones (KEP-3015).
    """
    if not (ready[0].node_hints or ready[0].zone_hints):
        return ready
    if all(c.node_hints for c in ready) and any(place.node in c.node_hints for c in ready):
        return [c for c in ready if place.node in c.node_hints]
    if all(c.zone_hints for c in ready) and any(place.zone in c.zone_hints for c in ready):
        return [c for c in ready if place.zone in c.zone_hints]
    return ready


def _endpoints(candidates: Iterable[Candidate]) -> tuple[Endpoint, ...]:
    return tuple([c.endpoint for c in candidates])
