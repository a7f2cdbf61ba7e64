"""The words that rules are made of, in iptables-save's spelling, for one family on one node.

Knows how a match or a target is written. Does not know which rules there are (`service.py`, `frame.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from types import MappingProxyType

from testbed.proxier.plan import Family, IPAddress, NodeFacts, Protocol

MARK = "0x4000/0x4000"  # kube-proxy's masquerade bit 14

INVALID_COUNTER = "ct_state_invalid_dropped_pkts"
LOCALHOST_COUNTER = "localhost_nps_accepted_pkts"
COUNTERS = (INVALID_COUNTER, LOCALHOST_COUNTER)
"""kube-proxy's nfacct objects (pkg/proxy/metrics). Rules that name them are only made where they exist."""

LARGE_CLUSTER = 1000
"""Above so many endpoints kube-proxy leaves the comments out of the endpoints' rules."""

_FULL_MASK = MappingProxyType({Family.IPV4: "255.255.255.255", Family.IPV6: ":".join(["ffff"] * 8)})
_REJECT = MappingProxyType({Family.IPV4: "icmp-port-unreachable", Family.IPV6: "icmp6-port-unreachable"})


@dataclass(frozen=True, slots=True)
class Spelling:
    """What decides how rules are spelled on one node for one family."""

    family: Family
    facts: NodeFacts
    endpoint_comments: bool = True  # False in large clusters
    counters: frozenset[str] = frozenset(COUNTERS)  # the nfacct objects that exist
    tcp_be_liberal: bool = False  # net.netfilter.nf_conntrack_tcp_be_liberal

    @property
    def pod_range(self) -> str:
        """The cluster's pod range of this family, empty without one."""
        return next((str(n) for n in self.facts.pod_ranges if n.version == self.family), "")

    @property
    def localhost_node_ports(self) -> bool:
        """True if 127.0.0.1:nodePort works: IPv4 alone, and not if nodePortAddresses leave loopback out."""
        loopback = IPv4Network("127.0.0.0/8")
        ranges = [n for n in self.facts.node_port_ranges if isinstance(n, IPv4Network)]
        reached = not ranges or any(n.overlaps(loopback) for n in ranges)
        return self.family == Family.IPV4 and self.facts.localhost_node_ports and reached

    @property
    def full_mask(self) -> str:
        """The mask by which the match `recent` tells sources apart: the whole address."""
        return _FULL_MASK[self.family]

    @property
    def reject(self) -> str:
        """The target that answers with an ICMP port unreachable."""
        return f"REJECT --reject-with {_REJECT[self.family]}"

    def endpoint_comment(self, words: str) -> str:
        """A comment that large clusters do without."""
        return f"{comment(words)} " if self.endpoint_comments else ""


def comment(words: str) -> str:
    """The match that carries a remark."""
    return f'-m comment --comment "{words}"'


def destination(address: IPAddress, protocol: Protocol, words: str, port: int) -> str:
    """The matches for packets to an address and port, with a remark."""
    proto = protocol.lower()
    return f"-d {host(address)} -p {proto} {comment(words)} -m {proto} --dport {port}"


def host(address: IPAddress) -> str:
    """One address as a network, as iptables-save prints it."""
    return f"{address}/{address.max_prefixlen}"
