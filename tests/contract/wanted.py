"""What a node ought to show for a plan, in the contract's words: the other side of `Datapath.observe`."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.datapaths.contract import ObservedFrontend
from testbed.proxier.plan import Frontend, NodePlan, ServiceKey, ServicePlan


def frontends(plan: NodePlan) -> tuple[ObservedFrontend, ...]:
    """Every service address with all endpoints that some source can reach, sorted as `observe` sorts.

    Affinity is a property of choosing, so an address without endpoints has none.
    """
    found: dict[tuple[ServiceKey, str, int], set[str]] = {}
    for key, service in plan.services.items():
        for frontend in service.frontends:
            place = (key, str(frontend.address or ""), frontend.port)
            found.setdefault(place, set()).update(_endpoints(frontend))
    told = (_told(plan.services[place[0]], place[1:], ends) for place, ends in found.items())
    return tuple(sorted(told, key=repr))


def _endpoints(frontend: Frontend) -> Iterator[str]:
    return (str(endpoint) for route in frontend.routes for endpoint in route.endpoints)


def _told(service: ServicePlan, place: tuple[str, int], endpoints: set[str]) -> ObservedFrontend:
    affinity = service.affinity_seconds if endpoints else None
    key = service.key
    return ObservedFrontend(str(key), key.protocol, *place, tuple(sorted(endpoints)), affinity)
