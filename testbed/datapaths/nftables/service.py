"""What one service port adds to the table: chains and sets of its own, and elements of the shared sets. Pure.

Order and comments are kube-proxy's (syncProxyRules in pkg/proxy/nftables/proxier.go, v1.36). The README draws the
way of a packet through these chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from testbed.datapaths.nftables import names
from testbed.datapaths.nftables.frame import within
from testbed.datapaths.nftables.model import (
    DnatTo,
    DnatToAny,
    Element,
    Field,
    GotoAny,
    InSet,
    IsLocal,
    IsProtocol,
    Key,
    Remember,
    Rule,
    Set,
    SetMark,
    Verdict,
)
from testbed.datapaths.nftables.settings import Settings
from testbed.proxier.plan import (
    Endpoint,
    Frontend,
    Origin,
    Route,
    ServicePlan,
    Source,
    WhenEmpty,
)

AFFINITY_SIZE = 65535
"""So many clients are remembered: what nft gives a dynamic set that is made without a size."""

SOURCE = (Field.SADDR,)
_REFUSAL = {WhenEmpty.REJECT: Verdict("goto", names.REJECT), WhenEmpty.DROP: Verdict("drop")}

Place = tuple[str, Key]
"""Where an element is: its set and its key."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Everything that one service port adds."""

    chains: dict[str, list[Rule]] = field(default_factory=dict)
    sets: dict[str, Set] = field(default_factory=dict)
    elements: dict[Place, Element] = field(default_factory=dict)


NOTHING = Fragment()


class _End(NamedTuple):
    """An endpoint, and the chain and set that it has where clients are remembered."""

    endpoint: Endpoint
    chain: str
    affinity: str


class _Words:
    """What the rules of one service port repeat, made once."""

    __slots__ = ("base", "ends", "protocol", "service", "settings")

    def __init__(self, service: ServicePlan, settings: Settings) -> None:
        self.service, self.settings = service, settings
        self.base = names.base(service.key)
        self.protocol = service.key.protocol.lower()
        self.ends: dict[Endpoint, _End] = {}
        if service.affinity_seconds is not None:
            text = names.text(service.key)
            for endpoint in service.endpoints():
                base = names.endpoint_base(text, endpoint)
                self.ends[endpoint] = _End(endpoint, names.ENDPOINT + base, names.AFFINITY + base)


def fragment(service: ServicePlan, settings: Settings) -> Fragment:
    """What one service port adds. Of its addresses that are the same the last counts, as with kube-proxy."""
    words = _Words(service, settings)
    sets = {
        end.affinity: Set(
            end.affinity, (settings.address,), size=AFFINITY_SIZE, timeout=service.affinity_seconds
        )
        for end in words.ends.values()
    }
    return Fragment(_chains(words), sets, {(each.of, each.key): each for each in _elements(words)})


# Elements: the way in


def _elements(words: _Words) -> Iterator[Element]:
    service = words.service
    for frontend in service.frontends:
        if frontend.address is None:
            yield from _node_port(words, frontend)
        else:
            yield from _address(words, frontend)
    for endpoint in service.endpoints():
        if endpoint.local:  # only what is on this node can send to itself through it
            ip = endpoint.address
            yield Element(names.HAIRPIN, (ip, ip, words.protocol, endpoint.port))


def _node_port(words: _Words, frontend: Frontend) -> Iterator[Element]:
    key = (words.protocol, frontend.port)
    if _reachable(frontend):
        yield Element(names.SERVICE_NODE_PORTS, key, Verdict("goto", names.EXTERNAL + words.base))
    if not frontend.routes[-1].endpoints:
        yield _refused(names.NO_ENDPOINT_NODE_PORTS, key, words, frontend)


def _address(words: _Words, frontend: Frontend) -> Iterator[Element]:
    address = frontend.address
    assert address is not None
    key = (address, words.protocol, frontend.port)
    if frontend.origin is Origin.CLUSTER_IP:
        yield Element(names.CLUSTER_IPS, (address,))
    if _reachable(frontend):
        yield Element(names.SERVICE_IPS, key, Verdict("goto", _target(words, frontend)))
    if frontend.sources:
        yield Element(names.FIREWALL_IPS, key, Verdict("goto", names.FIREWALL + words.base))
    if not frontend.routes[-1].endpoints:
        yield _refused(names.NO_ENDPOINT_SERVICES, key, words, frontend)


def _reachable(frontend: Frontend) -> bool:
    return any(route.endpoints for route in frontend.routes)


def _target(words: _Words, frontend: Frontend) -> str:
    if frontend.origin is Origin.CLUSTER_IP:
        return names.POLICY[frontend.routes[-1].scope] + words.base
    return names.EXTERNAL + words.base


def _refused(of: str, key: Key, words: _Words, frontend: Frontend) -> Element:
    """Packets that no route translates: answered if there are no endpoints at all, else dropped."""
    return Element(of, key, _REFUSAL[frontend.routes[-1].when_empty], str(words.service.key))


# Chains: the way on, to an endpoint


def _chains(words: _Words) -> dict[str, list[Rule]]:
    """By name, in an order in which a chain comes after those that it goes to."""
    service = words.service
    found = {end.chain: _translation(words, end) for end in words.ends.values()}
    for scope, endpoints in service.policies().items():
        name = names.POLICY[scope] + words.base
        found[name] = list(_choice(words, name, endpoints))
    external = next(
        (f for f in service.frontends if f.origin is not Origin.CLUSTER_IP and _reachable(f)), None
    )
    if external is not None:
        found[names.EXTERNAL + words.base] = list(_external(words, external.routes))
    guarded = next((f for f in service.frontends if f.sources), None)
    if guarded is not None:
        name = names.FIREWALL + words.base
        refused = within(Field.SADDR, guarded.sources, negated=True)
        found[name] = [Rule(name, (refused, Verdict("drop")))]
    return found


def _external(words: _Words, routes: Sequence[Route]) -> Iterator[Rule]:
    """Traffic to any external address: the routes in their order, masquerade marks before the jumps."""
    name, settings = names.EXTERNAL + words.base, words.settings
    mark, from_pods = SetMark("|", settings.mark), settings.from_pods()
    for route in routes:
        goto = Verdict("goto", names.POLICY[route.scope] + words.base)
        if route.source is Source.PODS and from_pods is not None:
            yield Rule(name, (from_pods, goto), "short-circuit pod traffic")
        elif route.source is Source.NODE:
            yield Rule(name, (IsLocal(Field.SADDR), mark), "masquerade local traffic")
            yield Rule(name, (IsLocal(Field.SADDR), goto), "short-circuit local traffic")
        else:
            if route.masquerade:
                yield Rule(name, (mark,), "masquerade")
            if route.endpoints:
                yield Rule(name, (goto,))


def _choice(words: _Words, name: str, endpoints: Sequence[Endpoint]) -> Iterator[Rule]:
    """Sends each new connection to one endpoint: the one its source had, else one at random."""
    if not words.ends:
        places = tuple((each.address, each.port) for each in endpoints)
        yield Rule(name, (IsProtocol(words.protocol), DnatToAny(places)))
        return
    ends = [words.ends[each] for each in endpoints]
    for end in ends:
        yield Rule(name, (InSet(SOURCE, end.affinity), Verdict("goto", end.chain)))
    yield Rule(name, (GotoAny(tuple(end.chain for end in ends)),))


def _translation(words: _Words, end: _End) -> list[Rule]:
    """Remembers the source, translates the destination."""
    to = DnatTo(end.endpoint.address, end.endpoint.port)
    return [
        Rule(end.chain, (Remember(end.affinity),)),
        Rule(end.chain, (IsProtocol(words.protocol), to)),
    ]
