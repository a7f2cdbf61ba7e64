"""What is in the table whatever the Services are: base chains, sets, maps, masquerade, refusals. Pure.

Which, in which order and with which comments: nftablesBaseChains, nftablesJumpChains and setupNFTables in
pkg/proxy/nftables/proxier.go of kube-proxy v1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from testbed.datapaths.nftables import names
from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.model import (
    Chain,
    CtState,
    CtStatus,
    Element,
    Field,
    Hook,
    InSet,
    IsLocal,
    IsMarked,
    Key,
    KeyType,
    Map,
    Masquerade,
    Matches,
    MatchesAny,
    Reject,
    Rule,
    Set,
    SetMark,
    Statement,
    Table,
    Verdict,
    VerdictOf,
)
from testbed.datapaths.nftables.settings import Settings
from testbed.proxier.plan import Family, IPNetwork

BEFORE_DNAT, DNAT, FILTER, SNAT = -110, -100, 0, 100
"""Priorities of hooks: NF_IP_PRI_NAT_DST and its kin in linux/netfilter_ipv4.h."""

BASE_CHAINS = (
    Chain("filter-prerouting-pre-dnat", Hook("filter", "prerouting", BEFORE_DNAT)),
    Chain("filter-output-pre-dnat", Hook("filter", "output", BEFORE_DNAT)),
    Chain("filter-input", Hook("filter", "input", FILTER)),
    Chain("filter-forward", Hook("filter", "forward", FILTER)),
    Chain("filter-output", Hook("filter", "output", FILTER)),
    Chain("nat-prerouting", Hook("nat", "prerouting", DNAT)),
    Chain("nat-output", Hook("nat", "output", DNAT)),
    Chain("nat-postrouting", Hook("nat", "postrouting", SNAT)),
)

CHAINS = (
    Chain(names.NODE_PORT_ENDPOINTS_CHECK),
    Chain(names.SERVICE_ENDPOINTS_CHECK),
    Chain(names.FIREWALL_CHECK),
    Chain(names.SERVICES),
    Chain(names.MASQUERADING),
    Chain(names.CLUSTER_IPS_CHECK),
    Chain(names.REJECT, comment="helper for @no-endpoint-services / @no-endpoint-nodeports"),
)

NEW = CtState("new")
_JUMPS = (
    ("filter-prerouting-pre-dnat", NEW, names.FIREWALL_CHECK),
    ("filter-output-pre-dnat", NEW, names.FIREWALL_CHECK),
    ("filter-input", NEW, names.NODE_PORT_ENDPOINTS_CHECK),
    ("filter-input", NEW, names.SERVICE_ENDPOINTS_CHECK),
    ("filter-forward", NEW, names.SERVICE_ENDPOINTS_CHECK),
    ("filter-forward", NEW, names.CLUSTER_IPS_CHECK),
    ("filter-output", NEW, names.SERVICE_ENDPOINTS_CHECK),
    ("filter-output", NEW, names.CLUSTER_IPS_CHECK),
    ("nat-prerouting", None, names.SERVICES),
    ("nat-output", None, names.SERVICES),
    ("nat-postrouting", None, names.MASQUERADING),
)

_SERVICE = (Field.DADDR, Field.L4PROTO, Field.DPORT)
_NODE_PORT = (Field.L4PROTO, Field.DPORT)
_LOOPBACK = {Family.IPV4: ip_network("127.0.0.0/8"), Family.IPV6: ip_network("::1/128")}


def table(family: Family) -> Table:
    """kube-proxy's table."""
    return Table(family, names.TABLE, "rules for kube-proxy")


def frame(settings: Settings) -> Contents:
    """The table of a node without any Service."""
    rules: dict[str, list[Rule]] = {}
    for rule in _rules(settings):
        rules.setdefault(rule.chain, []).append(rule)
    elements: dict[str, dict[Key, Element]] = {}
    if ips := settings.node_port_ips:
        elements[names.NODE_PORT_IPS] = {(ip,): Element(names.NODE_PORT_IPS, (ip,)) for ip in ips}
    chains = {chain.name: chain for chain in (*BASE_CHAINS, *CHAINS)}
    return Contents(table(settings.family), chains, rules, {s.name: s for s in _sets(settings)}, elements)


def _sets(settings: Settings) -> Iterator[Set | Map]:
    ip, protocol, port = settings.address, KeyType.PROTOCOL, KeyType.PORT
    service, node_port = (ip, protocol, port), (protocol, port)
    yield Set(names.HAIRPIN, (ip, ip, protocol, port), "service hairpin connections")
    yield Set(names.CLUSTER_IPS, (ip,), "Active ClusterIPs")
    if settings.node_port_ips is not None:
        yield Set(names.NODE_PORT_IPS, (ip,), "IPs that accept NodePort traffic")
    yield Map(
        names.NO_ENDPOINT_SERVICES, service, "vmap to drop or reject packets to services with no endpoints"
    )
    nodes = "vmap to drop or reject packets to service nodeports with no endpoints"
    yield Map(names.NO_ENDPOINT_NODE_PORTS, node_port, nodes)
    firewall = "destinations that are subject to LoadBalancerSourceRanges"
    yield Map(names.FIREWALL_IPS, service, firewall)
    yield Map(names.SERVICE_IPS, service, "ClusterIP, ExternalIP and LoadBalancer IP traffic")
    yield Map(names.SERVICE_NODE_PORTS, node_port, "NodePort traffic")


def _rules(settings: Settings) -> Iterator[Rule]:
    for chain, match, target in _JUMPS:
        yield Rule(chain, (*([match] if match else []), Verdict("jump", target)))
    yield from _node_ports(settings)
    yield Rule(names.SERVICE_ENDPOINTS_CHECK, (VerdictOf(_SERVICE, names.NO_ENDPOINT_SERVICES),))
    yield Rule(names.FIREWALL_CHECK, (VerdictOf(_SERVICE, names.FIREWALL_IPS),))
    yield from _services(settings)
    yield from _masquerading(settings)
    yield from _cluster_ips(settings)
    yield Rule(names.REJECT, (Reject(),))


def _node_ports(settings: Settings) -> Iterator[Rule]:
    """What comes in for a node port without endpoints; in the input hook every packet is for this node."""
    where: Statement = Matches(Field.DADDR, _LOOPBACK[settings.family], negated=True)
    if settings.node_port_ips is not None:
        where = InSet((Field.DADDR,), names.NODE_PORT_IPS)
    refusal = VerdictOf(_NODE_PORT, names.NO_ENDPOINT_NODE_PORTS)
    yield Rule(names.NODE_PORT_ENDPOINTS_CHECK, (where, refusal))


def _services(settings: Settings) -> Iterator[Rule]:
    cluster_ip, mark = InSet((Field.DADDR,), names.CLUSTER_IPS), SetMark("|", settings.mark)
    others = settings.from_pods(negated=True)
    if settings.facts.masquerade_all:
        yield Rule(names.SERVICES, (cluster_ip, mark), "masquerade all clusterIP traffic")
    elif others is not None:
        comment = "masquerade clusterIP traffic from outside cluster"
        yield Rule(names.SERVICES, (cluster_ip, others, mark), comment)
    yield Rule(names.SERVICES, (VerdictOf(_SERVICE, names.SERVICE_IPS),))
    to_node_port = VerdictOf(_NODE_PORT, names.SERVICE_NODE_PORTS)
    if settings.node_port_ips is not None:
        yield Rule(names.SERVICES, (InSet((Field.DADDR,), names.NODE_PORT_IPS), to_node_port))
    else:
        elsewhere = Matches(Field.DADDR, _LOOPBACK[settings.family], negated=True)
        yield Rule(names.SERVICES, (IsLocal(Field.DADDR), elsewhere, to_node_port))


def _masquerading(settings: Settings) -> Iterator[Rule]:
    """The mark is flipped back: a packet that comes by again is not marked."""
    mark = settings.mark
    yield Rule(names.MASQUERADING, (IsMarked(mark), SetMark("^", mark), Masquerade()))
    hairpin = InSet((Field.SADDR, Field.DADDR, Field.L4PROTO, Field.DPORT), names.HAIRPIN)
    yield Rule(names.MASQUERADING, (CtStatus("dnat"), hairpin, Masquerade()))


def _cluster_ips(settings: Settings) -> Iterator[Rule]:
    """What no rule has translated: cluster IPs' other ports are refused, addresses of no Service are silent."""
    known = InSet((Field.DADDR,), names.CLUSTER_IPS)
    yield Rule(names.CLUSTER_IPS_CHECK, (known, Reject()), "Reject traffic to invalid ports of ClusterIPs")
    if ranges := settings.service_ranges:
        comment = "Drop traffic to unallocated ClusterIPs"
        yield Rule(names.CLUSTER_IPS_CHECK, (within(Field.DADDR, ranges), Verdict("drop")), comment)


def within(field: Field, networks: Iterable[IPNetwork], *, negated: bool = False) -> Matches | MatchesAny:
    """True if an address lies in one of the networks, which may be in any order and overlap."""
    first, *others = _collapsed(tuple(networks))
    return MatchesAny(field, (first, *others), negated) if others else Matches(field, first, negated)


def _collapsed(networks: Iterable[IPNetwork]) -> list[IPNetwork]:
    """The same addresses in as few networks as can be, sorted, as nft keeps what stands in braces. One family."""
    four = collapse_addresses(n for n in networks if isinstance(n, IPv4Network))
    six = collapse_addresses(n for n in networks if isinstance(n, IPv6Network))
    return [*four, *six]
