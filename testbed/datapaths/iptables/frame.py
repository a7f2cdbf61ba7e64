"""The rules that are there whatever the Services are: jumps from built-in chains, marks, forwarding. Pure.

Which rules, where and with which comments: iptablesJumpChains, iptablesKubeletJumpChains and the fixed parts
of syncProxyRules in kube-proxy's pkg/proxy/iptables/proxier.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.ruleset import BUILT_IN, Ruleset, Table
from testbed.datapaths.iptables.spelling import INVALID_COUNTER, Spelling, comment, host
from testbed.proxier.plan import Family, IPAddress

_NEW = "-m conntrack --ctstate NEW"
_LB_FIREWALL = f"{_NEW} {comment('kubernetes load balancer firewall')} -j {names.PROXY_FIREWALL}"
_PORTALS = comment("kubernetes service portals")
_VISIBLE = f"{_NEW} {comment('kubernetes externally-visible service portals')} -j {names.EXTERNAL_SERVICES}"
_FORWARDING = comment("kubernetes forwarding rules")

JUMPS: dict[str, dict[str, tuple[str, ...]]] = {
    "mangle": {},
    "filter": {
        "INPUT": (
            f"-j {names.FIREWALL}",
            _LB_FIREWALL,
            f"{comment('kubernetes health check service ports')} -j {names.NODE_PORTS}",
            _VISIBLE,
        ),
        "FORWARD": (
            _LB_FIREWALL,
            f"{_FORWARDING} -j {names.FORWARD}",
            f"{_NEW} {_PORTALS} -j {names.SERVICES}",
            _VISIBLE,
        ),
        "OUTPUT": (f"-j {names.FIREWALL}", _LB_FIREWALL, f"{_NEW} {_PORTALS} -j {names.SERVICES}"),
    },
    "nat": {
        "PREROUTING": (f"{_PORTALS} -j {names.SERVICES}",),
        "OUTPUT": (f"{_PORTALS} -j {names.SERVICES}",),
        "POSTROUTING": (f"{comment('kubernetes postrouting rules')} -j {names.POSTROUTING}",),
    },
}
"""Our rules in the kernel's own chains, by table and chain, in their order."""


def frame(spelling: Spelling) -> Ruleset:
    """The ruleset of a node without any Service. KUBE-SERVICES holds its last rules already."""
    ruleset: Ruleset = {}
    for name, built_in in BUILT_IN.items():
        chains = {chain: list(JUMPS[name].get(chain, ())) for chain in built_in}
        chains |= {chain: [] for chain in names.TOP_LEVEL[name]}
        ruleset[name] = Table(chains, dict.fromkeys(built_in, "ACCEPT"))
    nat, filter_ = ruleset["nat"].chains, ruleset["filter"].chains
    nat[names.MARK_MASQ] = [f"-j MARK --set-xmark {spelling.mark}"]
    nat[names.POSTROUTING] = list(_postrouting(spelling))
    nat[names.SERVICES] = list(node_port_jumps(spelling))
    filter_[names.FORWARD] = list(_forward(spelling))
    filter_[names.FIREWALL] = list(_localnet_guard(spelling))
    return ruleset


def _postrouting(spelling: Spelling) -> Iterator[str]:
    yield f"-m mark ! --mark {spelling.mark} -j RETURN"
    # Flips the bit: a packet that comes by again is not marked.
    yield f"-j MARK --set-xmark {spelling.mark_value}/0x0"
    yield f"{comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully"


def _forward(spelling: Spelling) -> Iterator[str]:
    if not spelling.tcp_be_liberal:
        # An INVALID packet would pass untranslated and make its receiver reset the connection (k8s #74839).
        counted = (
            f"-m nfacct --nfacct-name {INVALID_COUNTER} " if INVALID_COUNTER in spelling.counters else ""
        )
        yield f"-m conntrack --ctstate INVALID {counted}-j DROP"
    yield f"{_FORWARDING} -m mark --mark {spelling.mark} -j ACCEPT"
    rule = comment("kubernetes forwarding conntrack rule")
    yield f"{rule} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"


def _localnet_guard(spelling: Spelling) -> Iterator[str]:
    """Closes the hole that route_localnet opens: others reaching what listens on loopback (k8s #90259)."""
    if spelling.localhost_node_ports:
        outside = "! -s 127.0.0.0/8 -d 127.0.0.0/8"
        words = comment("block incoming localnet connections")
        yield f"{outside} {words} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"


def node_port_jumps(spelling: Spelling) -> Iterator[str]:
    """The last rules of KUBE-SERVICES: from the addresses where node ports answer to KUBE-NODEPORTS."""
    note = "kubernetes service nodeports; NOTE: this must be the last rule in this chain"
    ranges = [n for n in spelling.facts.node_port_ranges if n.version == spelling.family]
    if ranges and all(network.prefixlen for network in ranges):
        for address in _node_port_addresses(spelling):
            yield f"-d {host(address)} {comment(note)} -j {names.NODE_PORTS}"
        return
    blocked = ""
    if spelling.family == Family.IPV6:
        blocked = "! -d ::1/128 "
    elif not spelling.localhost_node_ports:
        blocked = "! -d 127.0.0.0/8 "
    yield f"{blocked}{comment(note)} -m addrtype --dst-type LOCAL -j {names.NODE_PORTS}"


def _node_port_addresses(spelling: Spelling) -> Iterator[IPAddress]:
    """The node's addresses that nodePortAddresses let in; loopback only where it works."""
    loopback = (IPv4Address("127.0.0.1"),) if spelling.localhost_node_ports else ()
    for address in (*spelling.facts.addresses, *loopback):
        ranges = spelling.facts.node_port_ranges
        ours = address.version == spelling.family and any(address in network for network in ranges)
        if ours and (not address.is_loopback or address in loopback):
            yield address
