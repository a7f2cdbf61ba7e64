"""The words that rules are made of, in iptables-save's spelling, for one family on one node.

Knows how a match or a target is written. Does not know which rules there are (`service.py`, `frame.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from types import MappingProxyType

from testbed.proxier.plan import Family, IPAddress, NodeFacts

MASQUERADE_BIT = 14
"""iptables.masqueradeBit: the bit of the packet mark that asks for masquerade."""

INVALID_COUNTER = "ct_state_invalid_dropped_pkts"
LOCALHOST_COUNTER = "localhost_nps_accepted_pkts"
COUNTERS = (INVALID_COUNTER, LOCALHOST_COUNTER)
"""kube-proxy's nfacct objects (pkg/proxy/metrics). Rules that name them are only made where they exist."""

LARGE_CLUSTER = 1000
"""Above so many endpoints kube-proxy leaves the comments out of the endpoints' rules."""

_LOCALHOST = IPv4Address("127.0.0.1")
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
    masquerade_bit: int = MASQUERADE_BIT
    from_pods: tuple[str, str] = field(init=False)
    """The match for packets of pods: by source, and by device; one of the two, or both, are empty."""
    from_others: tuple[str, str] = field(init=False)
    """The same for all other packets."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "from_pods", self._pods(""))
        object.__setattr__(self, "from_others", self._pods("! "))

    @property
    def mark(self) -> str:
        """The masquerade mark and its mask."""
        return f"{self.mark_value}/{self.mark_value}"

    @property
    def mark_value(self) -> str:
        """The masquerade mark."""
        return f"{1 << self.masquerade_bit:#x}"

    def _pods(self, negation: str) -> tuple[str, str]:
        facts = self.facts
        if facts.pod_device:
            return "", f"{negation}-i {facts.pod_device} "
        if facts.pod_device_prefix:
            return "", f"{negation}-i {facts.pod_device_prefix}+ "
        network = facts.pod_range(self.family)
        return (f"{negation}-s {network} ", "") if network else ("", "")

    @property
    def localhost_node_ports(self) -> bool:
        """True if 127.0.0.1:nodePort works: IPv4 alone, and not if nodePortAddresses leave loopback out."""
        ranges = [n for n in self.facts.node_port_ranges if isinstance(n, IPv4Network)]
        reached = not ranges or any(n.is_loopback or _LOCALHOST in n for n in ranges)
        return self.family == Family.IPV4 and self.facts.localhost_node_ports and reached

    @property
    def full_mask(self) -> str:
        """The mask by which the match `recent` tells sources apart: the whole address."""
        return _FULL_MASK[self.family]

    @property
    def bits(self) -> int:
        """How long an address of the family is."""
        return 32 if self.family == Family.IPV4 else 128

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


def ported(protocol: str, words: str, port: int) -> str:
    """The matches for a protocol in small letters and a destination port, with a remark between them."""
    return f"-p {protocol} {comment(words)} -m {protocol} --dport {port}"


def to(address: IPAddress) -> str:
    """The match for packets to an address, with a blank behind it."""
    return f"-d {host(address)} "


def host(address: IPAddress) -> str:
    """One address as a network, as iptables-save prints it."""
    return f"{address!s}/{32 if address.version == 4 else 128}"
