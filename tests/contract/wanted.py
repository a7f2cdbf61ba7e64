"""What a node ought to show for a plan, in the contract's words: the other side of `Datapath.observe`."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.datapaths.contract import ObservedFrontend
from testbed.proxier.plan import Endpoint, Frontend, NodePlan, Scope, ServiceKey, ServicePlan

BLIND = frozenset({"ipvs"})
"""Mechanisms that keep no names, and cannot tell where a packet comes from: all packets take the last route."""


def frontends(plan: NodePlan, datapath: str) -> tuple[ObservedFrontend, ...]:
    """Every service address with all endpoints that some source can reach, sorted as `observe` sorts.

    Affinity is a property of choosing, so an address without endpoints has none.
    """
    found: dict[tuple[ServiceKey, str, int], set[str]] = {}
    for key, service in plan.services.items():
        for frontend in service.frontends:
            place = (key, str(frontend.address or ""), frontend.port)
            reached = _from_anywhere(service, frontend) if datapath in BLIND else _by_source(frontend)
            found.setdefault(place, set()).update(map(str, reached))
    told = (_told(plan.services[place[0]], place[1:], ends) for place, ends in found.items())
    if datapath in BLIND:
        told = (_nameless(each) for each in told)
    return tuple(sorted(told, key=repr))


def _by_source(frontend: Frontend) -> Iterator[Endpoint]:
    return (endpoint for route in frontend.routes for endpoint in route.endpoints)


def _from_anywhere(service: ServicePlan, frontend: Frontend) -> tuple[Endpoint, ...]:
    """The last route's, or the cluster's where policy Local finds none here (kubernetes/kubernetes#97081)."""
    last = frontend.routes[-1].endpoints
    clusters = (r.endpoints for f in service.frontends for r in f.routes if r.scope is Scope.CLUSTER)
    return last or next(clusters, ())


def _told(service: ServicePlan, place: tuple[str, int], endpoints: set[str]) -> ObservedFrontend:
    affinity = service.affinity_seconds if endpoints else None
    key = service.key
    return ObservedFrontend(str(key), key.protocol, *place, tuple(sorted(endpoints)), affinity)


def _nameless(told: ObservedFrontend) -> ObservedFrontend:
    return ObservedFrontend("", *(getattr(told, field) for field in told.__slots__[1:]))
