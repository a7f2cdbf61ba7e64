"""What one service port puts into the kernel: virtual servers, elements of sets, guards. Pure.

Which of them, and with which endpoints: the loop over services in kube-proxy's pkg/proxy/ipvs/proxier.go
(syncProxyRules, syncEndpoint). Two service ports may ask for the same thing (an address, a hairpin endpoint):
whoever adds fragments up must count. Knows one service port at a time, and of the node its addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.items import (
    PERSISTENT,
    PROTOCOLS,
    SOURCE_HASH_PORT,
    Element,
    Guard,
    Manner,
    Real,
    Server,
)
from testbed.datapaths.ipvs.options import SCHEDULERS, Options
from testbed.proxier.plan import (
    Endpoint,
    Family,
    Frontend,
    IPAddress,
    IPNetwork,
    NodeFacts,
    Origin,
    Scope,
    ServicePlan,
)

SCHEDULER_OPTION = "ipvs-scheduler"  # the word of a Service's own scheduler in ServicePlan.options


@dataclass(frozen=True, slots=True)
class Site:
    """The node as this datapath sees it. `local` are all its addresses but loopback and what is on kube-ipvs0."""

    facts: NodeFacts
    options: Options
    local: frozenset[bytes]
    node_ports: tuple[bytes, ...] = field(init=False)
    """The addresses where node ports answer, sorted: never loopback (kube-proxy: nodePortAddresses, GetNodeIPs)."""

    def __post_init__(self) -> None:
        chosen = (a for family in Family for a in _node_port_addresses(self.facts, self.local, family))
        object.__setattr__(self, "node_ports", tuple(sorted(chosen)))


def _node_port_addresses(facts: NodeFacts, local: Iterable[bytes], family: Family) -> Iterator[bytes]:
    ranges = [n for n in facts.node_port_ranges if n.version == family]
    if ranges and all(network.prefixlen for network in ranges):
        yield from (
            a.packed
            for a in facts.addresses
            if a.version == family and not a.is_loopback and any(a in network for network in ranges)
        )
    else:
        yield from (a for a in local if len(a) == (4 if family is Family.IPV4 else 16))


def site_of(facts: NodeFacts, options: Options, local: frozenset[bytes] | None = None) -> Site:
    """A node's view; without a look at its devices the addresses are those that the plan knows."""
    known = frozenset(address.packed for address in facts.addresses if not address.is_loopback)
    return Site(facts, options, known if local is None else local)


@dataclass(slots=True)
class Fragment:
    """What one service port asks for. An address is bound to kube-ipvs0 if it is an element of IPVS_IPS."""

    servers: dict[Server, tuple[Manner, dict[Real, int]]] = field(default_factory=dict)
    elements: list[Element] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)


def fragment(service: ServicePlan, site: Site) -> Fragment:
    """What the kernel must hold for one service port."""
    made, manner = Fragment(), _manner(service, site.options)
    family, protocol = service.key.family, PROTOCOLS[service.key.protocol]
    elements = made.elements
    for frontend in service.frontends:
        reals = {(e.address.packed, e.port): e.weight for e in _endpoints(service, frontend)}
        if frontend.address is not None:
            addresses: tuple[bytes, ...] = (frontend.address.packed,)
            if frontend.origin is Origin.CLUSTER_IP or addresses[0] not in site.local:
                elements.append(Element(sets.IPVS_IPS, family, addresses[0]))
        else:
            addresses = tuple(a for a in site.node_ports if len(a) == (4 if family is Family.IPV4 else 16))
        for address in addresses:
            made.servers[Server(protocol, address, frontend.port)] = (manner, reals)
        elements.extend(_memberships(service, frontend, addresses))
        if frontend.sources:
            _firewall(made, service, frontend, site.facts)
    elements.extend(_hairpins(service, protocol))
    if service.health_check_node_port:
        elements.append(Element(sets.HEALTH_CHECK, family, port=service.health_check_node_port))
    return made


def _manner(service: ServicePlan, options: Options) -> Manner:
    told = dict(service.options).get(SCHEDULER_OPTION, "") if service.options else ""
    scheduler = told if told in SCHEDULERS else options.scheduler
    flags = SOURCE_HASH_PORT if scheduler == "mh" else 0
    if service.affinity_seconds is None:
        return Manner(scheduler, flags)
    return Manner(scheduler, flags | PERSISTENT, service.affinity_seconds)


def _endpoints(service: ServicePlan, frontend: Frontend) -> tuple[Endpoint, ...]:
    """Those of the last route, which is for packets from anywhere: a virtual server cannot tell sources apart.

    Where policy Local finds none here, all of the cluster's, so that pods of this node get an answer
    (kubernetes/kubernetes#97081).
    """
    route = frontend.routes[-1]
    if route.endpoints or route.scope is Scope.CLUSTER:
        return route.endpoints
    ways = (r for f in service.frontends for r in f.routes if r.scope is Scope.CLUSTER)
    return next((way.endpoints for way in ways), ())


def _memberships(service: ServicePlan, frontend: Frontend, addresses: tuple[bytes, ...]) -> Iterator[Element]:
    """The sets that tell iptables which kind of address this is."""
    family, protocol, port = service.key.family, PROTOCOLS[service.key.protocol], frontend.port
    local = frontend.routes[-1].scope is Scope.LOCAL
    if frontend.origin is Origin.CLUSTER_IP:
        names = [sets.CLUSTER_IP]
    elif frontend.origin is Origin.EXTERNAL_IP:
        names = [sets.EXTERNAL_IP_LOCAL if local else sets.EXTERNAL_IP]
    elif frontend.origin is Origin.LOAD_BALANCER:
        names = [sets.LOAD_BALANCER, *([sets.LOAD_BALANCER_LOCAL] if local else [])]
    elif addresses:
        kind = service.key.protocol
        names = [sets.NODE_PORT[kind], *([sets.NODE_PORT_LOCAL[kind]] if local else [])]
    else:
        return
    for name in names:
        if sets.KINDS[name].type == sets.BITMAP_PORT:
            yield Element(name, family, port=port)
        else:
            yield from (Element(name, family, address, protocol, port) for address in addresses)


def _firewall(made: Fragment, service: ServicePlan, frontend: Frontend, facts: NodeFacts) -> None:
    """loadBalancerSourceRanges: the allowed sources, and whether the node itself is one of them."""
    assert frontend.address is not None
    address = frontend.address.packed
    place = (service.key.family, address, PROTOCOLS[service.key.protocol], frontend.port)
    ranges, from_node = _ranges(service, frontend, facts)
    made.elements.append(Element(sets.LOAD_BALANCER_FW, *place))
    made.elements.extend(
        Element(sets.SOURCE_CIDR, *place, network.network_address.packed, network.prefixlen)
        for given in ranges
        for network in _halves(given)
    )
    if from_node:
        made.elements.append(Element(sets.SOURCE_IP, *place, address))
    else:
        made.guards.append(Guard(address, place[2], frontend.port))


def _ranges(service: ServicePlan, frontend: Frontend, facts: NodeFacts) -> tuple[tuple[IPNetwork, ...], bool]:
    """The ranges as the Service has them, and whether one holds the node. If so, the plan lists the load
    balancer's own addresses behind them, which are a set of their own here."""
    node = next((a for a in facts.addresses if a.version == service.key.family), None)
    if not _holds(frontend.sources, node):
        return frontend.sources, False
    own = sum(each.origin is Origin.LOAD_BALANCER for each in service.frontends)
    return frontend.sources[: len(frontend.sources) - own], True


def _holds(networks: Iterable[IPNetwork], address: IPAddress | None) -> bool:
    return address is not None and any(address in network for network in networks)


def _halves(network: IPNetwork) -> Iterator[IPNetwork]:
    """hash:ip,port,net knows no network of length 0 (hash_ipportnet4_uadt); its two halves say the same."""
    if network.prefixlen:
        yield network
    else:
        yield from network.subnets()


def _hairpins(service: ServicePlan, protocol: int) -> Iterator[Element]:
    """This node's endpoints, which may be chosen for their own requests and must not see themselves as source."""
    family = service.key.family
    for endpoint in service.endpoints():
        if endpoint.local:
            address = endpoint.address.packed
            yield Element(sets.LOOP_BACK, family, address, protocol, endpoint.port, address)
