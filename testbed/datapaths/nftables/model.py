"""What a table of nftables can hold here, as values: what kube-proxy's nftables mode uses, and nothing else.

Knows the words of nft(8), no Services and no netlink. All values are frozen and hashable. Whoever encodes, prints
or reads a table must know every kind of statement below and refuse any other.

    Table ── Chain (with a Hook: a base chain)
          ├─ Rule ── statements: (Statement, …)    appended to the end of its chain, in the order given
          ├─ Set, Map                              a Map's values are always verdicts
          └─ Element ── key: (Part, …), verdict    of a Set (verdict None) or a Map

A Part of a key is told by its Python type: an address is `ipv4_addr` or `ipv6_addr`, text ("tcp", "udp", "sctp") is
`inet_proto`, a number is `inet_service`.

The statements, and how nft spells them (`ip` is `ip6` in the table of family IPv6):

    Matches(Field.SADDR, net)            ip saddr 10.244.0.0/16           negated: ip saddr != 10.244.0.0/16
    MatchesAny(Field.SADDR, (a, b))      ip saddr { a, b }                negated: ip saddr != { a, b }
    ComesBy("cni0")                      iifname "cni0"                   negated: iifname != "cni0"
    ComesBy("veth", prefix=True)         iifname "veth*"
    IsProtocol("tcp")                    meta l4proto tcp
    CtState("new")                       ct state new
    CtStatus("dnat")                     ct status dnat
    IsLocal(Field.SADDR)                 fib saddr type local
    IsMarked(0x4000)                     meta mark & 0x00004000 != 0x00000000
    InSet((Field.DADDR,), "cluster-ips") ip daddr @cluster-ips
    VerdictOf((f, g), "service-ips")     f . g vmap @service-ips
    SetMark("|", 0x4000)                 meta mark set meta mark | 0x00004000      or "^"
    Masquerade()                         masquerade fully-random
    Reject()                             reject                           (ICMP, ICMPv6: port unreachable)
    Verdict("drop")                      drop
    Verdict("jump", "services")          jump services                    or "goto"
    DnatToAny(((address, port), …))      dnat ip to numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 80 }
    GotoAny(("a", "b"))                  numgen random mod 2 vmap { 0 : goto a, 1 : goto b }
    DnatTo(address, port)                dnat to 10.0.0.1:80
    Remember("affinity-x")               update @affinity-x { ip saddr }

Where each comes from: the ruleset that kube-proxy v1.36 writes (pkg/proxy/nftables/proxier.go), as nft 1.0.6 lists
it. Comments are the `comment` of rules, sets and chains, elements' too (NFTNL_UDATA_*_COMMENT in user data).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from testbed.proxier.plan import Family, IPAddress, IPNetwork

Part = IPAddress | str | int
Key = tuple[Part, ...]


class KeyType(enum.StrEnum):
    """The type of one part of a key, in nft's words."""

    IPV4 = "ipv4_addr"
    IPV6 = "ipv6_addr"
    PROTOCOL = "inet_proto"
    PORT = "inet_service"


class Field(enum.StrEnum):
    """A part of a packet that is looked up or compared. Addresses are those of the table's family."""

    SADDR = "saddr"
    DADDR = "daddr"
    L4PROTO = "meta l4proto"
    DPORT = "th dport"


class Table(NamedTuple):
    """A table of one family."""

    family: Family
    name: str
    comment: str = ""


class Hook(NamedTuple):
    """What makes a chain a base chain. Its policy is always accept."""

    type: str  # "filter" or "nat"
    hook: str  # "prerouting", "input", "forward", "output" or "postrouting"
    priority: int


class Chain(NamedTuple):
    """A chain; without a hook it is entered by jump or goto only."""

    name: str
    hook: Hook | None = None
    comment: str = ""


class Set(NamedTuple):
    """A named set. One with `timeout` is filled by packets (`flags dynamic,timeout`)."""

    name: str
    key: tuple[KeyType, ...]
    comment: str = ""
    size: int | None = None
    timeout: int | None = None  # seconds


class Map(NamedTuple):
    """A named map from keys to verdicts."""

    name: str
    key: tuple[KeyType, ...]
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a packet goes: "drop"; or "jump" or "goto" with a chain. As a statement, or as a map's value."""

    kind: str
    chain: str = ""


class Element(NamedTuple):
    """A member of the set or map called `of`; only a map's has a verdict."""

    of: str
    key: Key
    verdict: Verdict | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Matches:
    """True if an address lies in a network; a network of one address is that address."""

    field: Field
    network: IPNetwork
    negated: bool = False


@dataclass(frozen=True, slots=True)
class MatchesAny:
    """True if an address lies in one of several networks: sorted, at least two, none overlaps another."""

    field: Field
    networks: tuple[IPNetwork, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class ComesBy:
    """True if the packet came in by the device, or by one whose name begins so."""

    device: str
    prefix: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class IsProtocol:
    """True for packets of a transport protocol: "tcp", "udp" or "sctp"."""

    protocol: str


@dataclass(frozen=True, slots=True)
class CtState:
    """True if conntrack says so of the packet; only "new" is used."""

    state: str


@dataclass(frozen=True, slots=True)
class CtStatus:
    """True if the connection's status has the bit; only "dnat" is used."""

    status: str


@dataclass(frozen=True, slots=True)
class IsLocal:
    """True if an address (Field.SADDR or DADDR) is one of the node's own."""

    field: Field


@dataclass(frozen=True, slots=True)
class IsMarked:
    """True if the packet's mark has any of the bits."""

    bits: int


@dataclass(frozen=True, slots=True)
class InSet:
    """True if the fields, joined, are in a named set."""

    fields: tuple[Field, ...]
    of: str


@dataclass(frozen=True, slots=True)
class VerdictOf:
    """Takes the verdict that a named map has for the fields, joined; goes on if it has none."""

    fields: tuple[Field, ...]
    of: str


@dataclass(frozen=True, slots=True)
class SetMark:
    """Changes the packet's mark: "|" sets the bits, "^" flips them."""

    operator: str
    bits: int


@dataclass(frozen=True, slots=True)
class Masquerade:
    """The source becomes the address of the device that the packet leaves by, with a random port."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Answers with an ICMP port unreachable."""


@dataclass(frozen=True, slots=True)
class DnatToAny:
    """The destination becomes one of several, each with the same chance."""

    endpoints: tuple[tuple[IPAddress, int], ...]


@dataclass(frozen=True, slots=True)
class GotoAny:
    """Goes to one of several chains, each with the same chance."""

    chains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DnatTo:
    """The destination becomes this one."""

    address: IPAddress
    port: int


@dataclass(frozen=True, slots=True)
class Remember:
    """Puts the packet's source into a named set with timeout, or renews it there."""

    of: str


Statement = (
    Matches
    | MatchesAny
    | ComesBy
    | IsProtocol
    | CtState
    | CtStatus
    | IsLocal
    | IsMarked
    | InSet
    | VerdictOf
    | SetMark
    | Masquerade
    | Reject
    | Verdict
    | DnatToAny
    | GotoAny
    | DnatTo
    | Remember
)


class Rule(NamedTuple):
    """What happens to a packet in a chain, statement by statement, as long as they match."""

    chain: str
    statements: tuple[Statement, ...]
    comment: str = ""
