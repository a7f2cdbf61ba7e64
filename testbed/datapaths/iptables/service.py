"""The rules of one service port: its own chains, and its entries in the chains that all share. Pure.

Order, comments and matches are kube-proxy's (syncProxyRules in pkg/proxy/iptables/proxier.go, v1.36). The
README draws the way of a packet through these chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.spelling import LOCALHOST_COUNTER, Spelling, comment, destination, host
from testbed.proxier.plan import (
    Endpoint,
    Frontend,
    Origin,
    Route,
    Scope,
    ServicePlan,
    Source,
    WhenEmpty,
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
    return Fragment(_chains(service, spelling), tuple(dict.fromkeys(_entries(service, spelling))))


# Entries: the way in


def _entries(service: ServicePlan, spelling: Spelling) -> Iterator[Entry]:
    for frontend in service.frontends:
        if _reachable(frontend):
            yield from _ways_in(service, frontend, spelling)
        if not frontend.routes[-1].endpoints:
            yield _refusal(service, frontend, spelling)
    if service.health_check_node_port:
        words = comment(f"{service.key} health check node port")
        rule = f"-p tcp {words} -m tcp --dport {service.health_check_node_port} -j ACCEPT"
        yield Entry("filter", names.NODE_PORTS, rule)


def _reachable(frontend: Frontend) -> bool:
    return any(route.endpoints for route in frontend.routes)


def _guarded(frontend: Frontend) -> bool:
    """True if the frontend's source ranges need a firewall chain."""
    return bool(frontend.sources) and _reachable(frontend)


def _ways_in(service: ServicePlan, frontend: Frontend, spelling: Spelling) -> Iterator[Entry]:
    key = service.key
    if frontend.address is None:
        yield from _node_port(service, frontend, spelling)
        return
    target = _target(service, frontend)
    matches = destination(frontend.address, key.protocol, f"{key} {_ROLE[frontend.origin]}", frontend.port)
    yield Entry("nat", names.SERVICES, f"{matches} -j {target}")
    if _guarded(frontend):  # what the firewall chain does not let in stays untranslated and is dropped here
        words = f"{key} traffic not accepted by {names.firewall_chain(key)}"
        dropped = destination(frontend.address, key.protocol, words, frontend.port)
        yield Entry("filter", names.PROXY_FIREWALL, f"{dropped} -j DROP")


def _target(service: ServicePlan, frontend: Frontend) -> str:
    if frontend.origin is Origin.CLUSTER_IP:
        return names.policy_chain(service.key, frontend.routes[-1].scope)
    chain = names.firewall_chain if _guarded(frontend) else names.external_chain
    return chain(service.key)


def _node_port(service: ServicePlan, frontend: Frontend, spelling: Spelling) -> Iterator[Entry]:
    proto, target = service.key.protocol.lower(), names.external_chain(service.key)
    matches = f"-p {proto} {comment(str(service.key))} -m {proto} --dport {frontend.port}"
    if spelling.localhost_node_ports and LOCALHOST_COUNTER in spelling.counters:
        counted = f"-d 127.0.0.0/8 {matches} -m nfacct --nfacct-name {LOCALHOST_COUNTER} -j {target}"
        yield Entry("nat", names.NODE_PORTS, counted)
    yield Entry("nat", names.NODE_PORTS, f"{matches} -j {target}")


def _refusal(service: ServicePlan, frontend: Frontend, spelling: Spelling) -> Entry:
    """Packets that no route translates: answered if there are no endpoints at all, else dropped."""
    key, when_empty = service.key, frontend.routes[-1].when_empty
    words = f"{key} {_WHY_EMPTY[when_empty]}"
    verdict = "DROP" if when_empty is WhenEmpty.DROP else spelling.reject
    if frontend.address is None:
        proto = key.protocol.lower()
        local = f"-p {proto} {comment(words)} -m addrtype --dst-type LOCAL -m {proto}"
        return Entry("filter", names.EXTERNAL_SERVICES, f"{local} --dport {frontend.port} -j {verdict}")
    chain = names.SERVICES if frontend.origin is Origin.CLUSTER_IP else names.EXTERNAL_SERVICES
    matches = destination(frontend.address, key.protocol, words, frontend.port)
    return Entry("filter", chain, f"{matches} -j {verdict}")


# Chains: the way on, to an endpoint


def _chains(service: ServicePlan, spelling: Spelling) -> dict[str, list[str]]:
    chains: dict[str, list[str]] = {}
    external = next((f for f in service.frontends if f.origin is not Origin.CLUSTER_IP), None)
    if external is not None and _reachable(external):
        chains[names.external_chain(service.key)] = list(_external(service, external.routes, spelling))
    guarded = next((f for f in service.frontends if _guarded(f)), None)
    if guarded is not None:
        chains[names.firewall_chain(service.key)] = list(_firewall(service, guarded))
    for scope, endpoints in _policies(service).items():
        chain = names.policy_chain(service.key, scope)
        chains[chain] = [*_off_cluster(service, scope, spelling), *_choice(service, endpoints, spelling)]
    for endpoint in service.endpoints():
        chain = names.endpoint_chain(service.key, endpoint)
        chains[chain] = list(_translation(service, endpoint, chain, spelling))
    return chains


def _policies(service: ServicePlan) -> dict[Scope, tuple[Endpoint, ...]]:
    """The endpoints of each traffic policy that some route follows, without empty ones."""
    routes = (route for frontend in service.frontends for route in frontend.routes)
    return {route.scope: route.endpoints for route in routes if route.endpoints}


def _external(service: ServicePlan, routes: Sequence[Route], spelling: Spelling) -> Iterator[str]:
    """Traffic to any external address: the routes in their order, masquerade marks before the jumps."""
    for route in routes:
        target = names.policy_chain(service.key, route.scope)
        where = f"{service.key} external destinations"
        if route.source is Source.PODS:
            yield f"-s {spelling.pod_range} {comment(f'pod traffic for {where}')} -j {target}"
        elif route.source is Source.NODE:
            local = "-m addrtype --src-type LOCAL -j"
            yield f"{comment(f'masquerade LOCAL traffic for {where}')} {local} {names.MARK_MASQ}"
            yield f"{comment(f'route LOCAL traffic for {where}')} {local} {target}"
        else:
            if route.masquerade:
                yield f"{comment(f'masquerade traffic for {where}')} -j {names.MARK_MASQ}"
            if route.endpoints:
                yield f"-j {target}"


def _firewall(service: ServicePlan, frontend: Frontend) -> Iterator[str]:
    target = names.external_chain(service.key)
    for network in frontend.sources:
        yield f"-s {network} {comment(f'{service.key} loadbalancer IP')} -j {target}"
    yield comment(f"other traffic to {service.key} will be dropped by {names.PROXY_FIREWALL}")


def _off_cluster(service: ServicePlan, scope: Scope, spelling: Spelling) -> Iterator[str]:
    """Marks traffic to the cluster IP that must be masqueraded: from outside the pods, or all of it."""
    for frontend in service.frontends:
        last = frontend.routes[-1]
        if (
            frontend.origin is Origin.CLUSTER_IP
            and frontend.address
            and last.scope is scope
            and last.masquerade
        ):
            words = f"{service.key} cluster IP"
            matches = destination(frontend.address, service.key.protocol, words, frontend.port)
            pods = any(route.source is Source.PODS for route in frontend.routes)
            outside = f"! -s {spelling.pod_range} " if pods else ""
            yield f"{outside}{matches} -j {names.MARK_MASQ}"


def _choice(service: ServicePlan, endpoints: Sequence[Endpoint], spelling: Spelling) -> Iterator[str]:
    """Sends each new connection to one endpoint: the one its source had, else one at random."""
    chains = [names.endpoint_chain(service.key, endpoint) for endpoint in endpoints]
    remarks = [spelling.endpoint_comment(f"{service.key} -> {endpoint}") for endpoint in endpoints]
    if service.affinity_seconds is not None:
        for chain, remark in zip(chains, remarks, strict=True):
            checked = f"--rcheck --seconds {service.affinity_seconds} --reap --name {chain}"
            yield f"{remark}-m recent {checked} --mask {spelling.full_mask} --rsource -j {chain}"
    for left, chain, remark in zip(range(len(chains), 0, -1), chains, remarks, strict=True):
        # Of the packets that come this far, each remaining endpoint gets the same share.
        share = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        yield f"{remark}{share}-j {chain}"


def _translation(service: ServicePlan, endpoint: Endpoint, chain: str, spelling: Spelling) -> Iterator[str]:
    """Marks hairpin traffic for masquerade, remembers the source if asked to, translates the destination."""
    remark = spelling.endpoint_comment(str(service.key))
    proto = service.key.protocol.lower()
    remember = ""
    if service.affinity_seconds is not None:
        remember = f"-m recent --set --name {chain} --mask {spelling.full_mask} --rsource "
    yield f"-s {host(endpoint.address)} {remark}-j {names.MARK_MASQ}"
    yield f"-p {proto} {remark}{remember}-m {proto} -j DNAT --to-destination {endpoint}"
