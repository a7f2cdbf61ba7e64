"""The rules of one service port: its own chains, and its entries in the chains that all share. Pure.

Order, comments and matches are kube-proxy's (syncProxyRules in pkg/proxy/iptables/proxier.go, v1.36). The
README draws the way of a packet through these chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.spelling import LOCALHOST_COUNTER, Spelling, comment, ported, to
from testbed.proxier.plan import (
    Endpoint,
    Frontend,
    Origin,
    Route,
    Scope,
    ServicePlan,
    Source,
    WhenEmpty,
    socket_address,
)

_ROLE = {
    Origin.CLUSTER_IP: "cluster IP",
    Origin.EXTERNAL_IP: "external IP",
    Origin.LOAD_BALANCER: "loadbalancer IP",
}
_WHY_EMPTY = {WhenEmpty.REJECT: "has no endpoints", WhenEmpty.DROP: "has no local endpoints"}


class Entry(NamedTuple):
    """A service port's rule in a chain that all service ports share."""

    table: str
    chain: str
    rule: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """Everything that one service port adds to the ruleset; `chains` are in table nat."""

    chains: dict[str, list[str]]
    entries: tuple[Entry, ...]


NOTHING = Fragment({}, ())


def fragment(service: ServicePlan, spelling: Spelling) -> Fragment:
    """The rules of one service port.

    Each once: kube-proxy writes a refusal twice for an external IP that is the load balancer's address too, but
    no packet comes to the second, and a delta could not tell them apart.
    """
    words = _Words(service, spelling)
    return Fragment(_chains(words), tuple(dict.fromkeys(_entries(words))))


class _End(NamedTuple):
    """An endpoint in words."""

    text: str  # address:port
    chain: str
    host: str  # its address as a network


class _Words:
    """What the rules of one service port repeat, made once."""

    __slots__ = ("_hashed", "digest", "name", "protocol", "remark", "service", "spelling")

    def __init__(self, service: ServicePlan, spelling: Spelling) -> None:
        self.service, self.spelling = service, spelling
        self.name, self.protocol = str(service.key), service.key.protocol.lower()
        self._hashed = self.name + self.protocol
        self.digest = names.digest(self._hashed)
        self.remark = spelling.endpoint_comment(self.name)

    def endpoint(self, endpoint: Endpoint) -> _End:
        """An endpoint with the name of its chain."""
        address = str(endpoint.address)
        text = socket_address(address, endpoint.port)
        chain = names.ENDPOINT + names.digest(self._hashed + text)
        return _End(text, chain, f"{address}/{self.spelling.bits}")


# Entries: the way in


def _entries(words: _Words) -> Iterator[Entry]:
    for frontend in words.service.frontends:
        if _reachable(frontend):
            yield from _ways_in(words, frontend)
        if not frontend.routes[-1].endpoints:
            yield _refusal(words, frontend)
    if words.service.health_check_node_port:
        remark = comment(f"{words.name} health check node port")
        rule = f"-p tcp {remark} -m tcp --dport {words.service.health_check_node_port} -j ACCEPT"
        yield Entry("filter", names.NODE_PORTS, rule)


def _reachable(frontend: Frontend) -> bool:
    return any(route.endpoints for route in frontend.routes)


def _guarded(frontend: Frontend) -> bool:
    """True if the frontend's source ranges need a firewall chain."""
    return bool(frontend.sources) and _reachable(frontend)


def _ways_in(words: _Words, frontend: Frontend) -> Iterator[Entry]:
    if frontend.address is None:
        yield from _node_port(words, frontend)
        return
    where = to(frontend.address)
    matches = ported(words.protocol, f"{words.name} {_ROLE[frontend.origin]}", frontend.port)
    yield Entry("nat", names.SERVICES, f"{where}{matches} -j {_target(words, frontend)}")
    if _guarded(frontend):  # what the firewall chain does not let in stays untranslated and is dropped here
        remark = f"{words.name} traffic not accepted by {names.FIREWALLED}{words.digest}"
        dropped = ported(words.protocol, remark, frontend.port)
        yield Entry("filter", names.PROXY_FIREWALL, f"{where}{dropped} -j DROP")


def _target(words: _Words, frontend: Frontend) -> str:
    if frontend.origin is Origin.CLUSTER_IP:
        return names.POLICY[frontend.routes[-1].scope] + words.digest
    return (names.FIREWALLED if _guarded(frontend) else names.EXTERNAL) + words.digest


def _node_port(words: _Words, frontend: Frontend) -> Iterator[Entry]:
    matches = ported(words.protocol, words.name, frontend.port)
    target = f"-j {names.EXTERNAL}{words.digest}"
    spelling = words.spelling
    if spelling.localhost_node_ports and LOCALHOST_COUNTER in spelling.counters:
        counted = f"-d 127.0.0.0/8 {matches} -m nfacct --nfacct-name {LOCALHOST_COUNTER} {target}"
        yield Entry("nat", names.NODE_PORTS, counted)
    yield Entry("nat", names.NODE_PORTS, f"{matches} {target}")


def _refusal(words: _Words, frontend: Frontend) -> Entry:
    """Packets that no route translates: answered if there are no endpoints at all, else dropped."""
    when_empty = frontend.routes[-1].when_empty
    remark = f"{words.name} {_WHY_EMPTY[when_empty]}"
    verdict = "DROP" if when_empty is WhenEmpty.DROP else words.spelling.reject
    if frontend.address is None:
        local = f"-p {words.protocol} {comment(remark)} -m addrtype --dst-type LOCAL -m {words.protocol}"
        return Entry("filter", names.EXTERNAL_SERVICES, f"{local} --dport {frontend.port} -j {verdict}")
    chain = names.SERVICES if frontend.origin is Origin.CLUSTER_IP else names.EXTERNAL_SERVICES
    matches = ported(words.protocol, remark, frontend.port)
    return Entry("filter", chain, f"{to(frontend.address)}{matches} -j {verdict}")


# Chains: the way on, to an endpoint


def _chains(words: _Words) -> dict[str, list[str]]:
    """In an order in which each may be written by itself: a chain comes after those that it jumps to."""
    service, policies = words.service, words.service.policies()
    if not policies:
        return {}
    chains: dict[str, list[str]] = {}
    everyone = service.endpoints()
    ends = [words.endpoint(endpoint) for endpoint in everyone]
    for end in ends:
        chains[end.chain] = _translation(words, end)
    for scope, endpoints in policies.items():
        chosen = ends
        if len(endpoints) < len(everyone):
            some = set(endpoints)
            chosen = [end for end, endpoint in zip(ends, everyone, strict=True) if endpoint in some]
        chains[names.POLICY[scope] + words.digest] = [*_off_cluster(words, scope), *_choice(words, chosen)]
    if len(service.frontends) > 1:
        chains |= _external_chains(words)
    return chains


def _external_chains(words: _Words) -> dict[str, list[str]]:
    chains: dict[str, list[str]] = {}
    external = next(f for f in words.service.frontends if f.origin is not Origin.CLUSTER_IP)
    if _reachable(external):
        chains[names.EXTERNAL + words.digest] = list(_external(words, external.routes))
    guarded = next((f for f in words.service.frontends if _guarded(f)), None)
    if guarded is not None:
        chains[names.FIREWALLED + words.digest] = list(_firewall(words, guarded))
    return chains


def _external(words: _Words, routes: Sequence[Route]) -> Iterator[str]:
    """Traffic to any external address: the routes in their order, masquerade marks before the jumps."""
    where = f"{words.name} external destinations"
    for route in routes:
        target = names.POLICY[route.scope] + words.digest
        if route.source is Source.PODS:
            yield f"{''.join(words.spelling.from_pods)}{comment(f'pod traffic for {where}')} -j {target}"
        elif route.source is Source.NODE:
            local = "-m addrtype --src-type LOCAL -j"
            yield f"{comment(f'masquerade LOCAL traffic for {where}')} {local} {names.MARK_MASQ}"
            yield f"{comment(f'route LOCAL traffic for {where}')} {local} {target}"
        else:
            if route.masquerade:
                yield f"{comment(f'masquerade traffic for {where}')} -j {names.MARK_MASQ}"
            if route.endpoints:
                yield f"-j {target}"


def _firewall(words: _Words, frontend: Frontend) -> Iterator[str]:
    target = names.EXTERNAL + words.digest
    for network in frontend.sources:
        yield f"-s {network} {comment(f'{words.name} loadbalancer IP')} -j {target}"
    yield comment(f"other traffic to {words.name} will be dropped by {names.PROXY_FIREWALL}")


def _off_cluster(words: _Words, scope: Scope) -> Iterator[str]:
    """Marks traffic to the cluster IP that must be masqueraded: from outside the pods, or all of it."""
    for frontend in words.service.frontends:
        last = frontend.routes[-1]
        if (
            frontend.origin is Origin.CLUSTER_IP
            and frontend.address
            and last.scope is scope
            and last.masquerade
        ):
            pods = any(route.source is Source.PODS for route in frontend.routes)
            # iptables-save prints the source first, then the destination, then the device.
            source, device = words.spelling.from_others if pods else ("", "")
            matches = ported(words.protocol, f"{words.name} cluster IP", frontend.port)
            yield f"{source}{to(frontend.address)}{device}{matches} -j {names.MARK_MASQ}"


def _choice(words: _Words, ends: Sequence[_End]) -> Iterator[str]:
    """Sends each new connection to one endpoint: the one its source had, else one at random."""
    spelling, seconds = words.spelling, words.service.affinity_seconds
    remarks = [spelling.endpoint_comment(f"{words.name} -> {end.text}") for end in ends]
    if seconds is not None:
        for end, remark in zip(ends, remarks, strict=True):
            checked = f"--rcheck --seconds {seconds} --reap --name {end.chain}"
            yield f"{remark}-m recent {checked} --mask {spelling.full_mask} --rsource -j {end.chain}"
    left = len(ends)
    for end, remark in zip(ends, remarks, strict=True):
        # Of the packets that come this far, each remaining endpoint gets the same share.
        share = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        yield f"{remark}{share}-j {end.chain}"
        left -= 1


def _translation(words: _Words, end: _End) -> list[str]:
    """Marks hairpin traffic for masquerade, remembers the source if asked to, translates the destination."""
    remember = ""
    if words.service.affinity_seconds is not None:
        remember = f"-m recent --set --name {end.chain} --mask {words.spelling.full_mask} --rsource "
    protocol = words.protocol
    return [
        f"-s {end.host} {words.remark}-j {names.MARK_MASQ}",
        f"-p {protocol} {words.remark}{remember}-m {protocol} -j DNAT --to-destination {end.text}",
    ]
