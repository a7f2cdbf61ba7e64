"""Every kind of statement of the model beside nft's own text of it, for both families: rows for several tests.

`{ip}` is the family's word. Sets and chains that are named stand in `FRAME`. Knows text, no bytes.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import NamedTuple

from testbed.datapaths.nftables.model import (
    ComesBy,
    CtState,
    CtStatus,
    DnatTo,
    DnatToAny,
    Field,
    GotoAny,
    InSet,
    IsLocal,
    IsMarked,
    IsProtocol,
    Masquerade,
    Matches,
    MatchesAny,
    Reject,
    Remember,
    SetMark,
    Statement,
    Verdict,
    VerdictOf,
)
from testbed.proxier.plan import Family, IPNetwork

SADDR, DADDR, L4PROTO, DPORT = Field
TCP = IsProtocol("tcp")
WORD = {Family.IPV4: "ip", Family.IPV6: "ip6"}
BOTH = tuple(Family)

FRAME = """
    set one {{ type {address}; comment "addresses"; }}
    set four {{ type {address} . {address} . inet_proto . inet_service; comment "connections"; }}
    set clients {{ type {address}; size 65535; flags dynamic,timeout; timeout 3h; }}
    map three {{ type {address} . inet_proto . inet_service : verdict; comment "services"; }}
    map two {{ type inet_proto . inet_service : verdict; }}
    chain a {{ comment "a chain"; }}
    chain b {{ }}
"""


class Row(NamedTuple):
    """A rule's statements, its text, and the families that have it."""

    text: str
    statements: tuple[Statement, ...]
    families: tuple[Family, ...]


def row(text: str, *statements: Statement, families: tuple[Family, ...] = BOTH) -> Row:
    return Row(text, statements, families)


def nets(*texts: str) -> tuple[IPNetwork, ...]:
    return tuple(ip_network(text) for text in texts)


def of_family(row: Row, family: Family) -> str:
    """The row's text for one family."""
    return row.text.format(ip=WORD[family])


def network_rows(text: str, *networks: str) -> list[Row]:
    """A comparison with one network, or with several, and its opposite."""
    given = nets(*networks)
    families = (Family(given[0].version),)
    one = len(given) == 1
    rows = []
    for negated, sign in ((False, ""), (True, "!= ")):
        match = Matches(SADDR, given[0], negated) if one else MatchesAny(SADDR, given, negated)
        rows.append(row(f"{{ip}} saddr {sign}{text} drop", match, Verdict("drop"), families=families))
    return rows


def braces(*networks: str) -> list[Row]:
    return network_rows(f"{{{{ {', '.join(networks)} }}}}", *networks)


V4, V6 = (Family.IPV4,), (Family.IPV6,)
TO = {
    family: tuple(ip_address(text) for text in texts)
    for family, texts in {
        Family.IPV4: ("10.0.0.1", "10.0.0.2"),
        Family.IPV6: ("fd00::1", "fd00::2"),
    }.items()
}

ROWS = (
    row("ct state new jump a", CtState("new"), Verdict("jump", "a")),
    row("ct status dnat goto b", CtStatus("dnat"), Verdict("goto", "b")),
    row("meta l4proto tcp drop", TCP, Verdict("drop")),
    row("meta l4proto udp drop", IsProtocol("udp"), Verdict("drop")),
    row("meta l4proto sctp drop", IsProtocol("sctp"), Verdict("drop")),
    row("fib saddr type local drop", IsLocal(SADDR), Verdict("drop")),
    row("fib daddr type local drop", IsLocal(DADDR), Verdict("drop")),
    row('iifname "cni0" drop', ComesBy("cni0"), Verdict("drop")),
    row('iifname "veth*" drop', ComesBy("veth", prefix=True), Verdict("drop")),
    row('iifname != "cni0" drop', ComesBy("cni0", negated=True), Verdict("drop")),
    row('iifname != "veth*" drop', ComesBy("veth", prefix=True, negated=True), Verdict("drop")),
    row("meta mark & 0x00004000 != 0x00000000 drop", IsMarked(0x4000), Verdict("drop")),
    row("meta mark set meta mark | 0x00004000", SetMark("|", 0x4000)),
    row("meta mark set meta mark ^ 0x00004000", SetMark("^", 0x4000)),
    row("masquerade fully-random", Masquerade()),
    row("reject", Reject()),
    row("{ip} daddr @one drop", InSet((DADDR,), "one"), Verdict("drop")),
    row(
        "{ip} saddr . {ip} daddr . meta l4proto . th dport @four drop",
        InSet((SADDR, DADDR, L4PROTO, DPORT), "four"),
        Verdict("drop"),
    ),
    row("{ip} daddr . meta l4proto . th dport vmap @three", VerdictOf((DADDR, L4PROTO, DPORT), "three")),
    row(
        "{ip} daddr @one meta l4proto . th dport vmap @two",
        InSet((DADDR,), "one"),
        VerdictOf((L4PROTO, DPORT), "two"),
    ),
    row("update @clients {{ {ip} saddr }}", Remember("clients")),
    row("{ip} saddr @clients goto a", InSet((SADDR,), "clients"), Verdict("goto", "a")),
    row("numgen random mod 2 vmap {{ 0 : goto a, 1 : goto b }}", GotoAny(("a", "b"))),
    row("numgen random mod 1 vmap {{ 0 : goto b }}", GotoAny(("b",))),
    row(
        "meta l4proto tcp dnat ip to numgen random mod 2 map {{ 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 8080 }}",
        TCP,
        DnatToAny(tuple(zip(TO[Family.IPV4], (80, 8080), strict=True))),
        families=V4,
    ),
    row(
        "meta l4proto tcp dnat ip6 to numgen random mod 2 map {{ 0 : fd00::1 . 80, 1 : fd00::2 . 8080 }}",
        TCP,
        DnatToAny(tuple(zip(TO[Family.IPV6], (80, 8080), strict=True))),
        families=V6,
    ),
    row("meta l4proto tcp dnat to 10.0.0.1:80", TCP, DnatTo(TO[Family.IPV4][0], 80), families=V4),
    row("meta l4proto tcp dnat to [fd00::1]:80", TCP, DnatTo(TO[Family.IPV6][0], 80), families=V6),
    *network_rows("10.0.0.1", "10.0.0.1/32"),
    *network_rows("10.244.0.0/16", "10.244.0.0/16"),
    *network_rows("10.64.0.0/10", "10.64.0.0/10"),
    *network_rows("128.0.0.0/1", "128.0.0.0/1"),
    *network_rows("0.0.0.0/0", "0.0.0.0/0"),
    *network_rows("::1", "::1/128"),
    *network_rows("fd00:10::/112", "fd00:10::/112"),
    *network_rows("fd00::/63", "fd00::/63"),
    *braces("10.0.0.1", "10.0.0.3"),
    *braces("fd00::1", "fd00::3"),
    *braces("10.0.0.1", "10.1.0.0/24"),
    *braces("192.168.0.0/24", "203.0.113.0/25"),
    *braces("10.0.1.0/24", "10.0.2.0/24"),
    *braces("0.0.0.0/8", "10.0.0.0/8"),
    *braces("10.0.0.0/8", "255.255.255.0/24"),
    *braces("10.0.0.0/8", "255.255.255.255"),
    *braces("fd00::/64", "fd01::/48"),
    *braces("::/16", "ff00::/8"),
)  # fmt: skip
