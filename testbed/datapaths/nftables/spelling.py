"""How nft 1.0.6 prints a table, statement by statement. Knows no Services. The real one is asked for `show`;
this is for golden files, and for who wants to read a plan's rules without a kernel.

Elements are sorted, each on a line of its own; nft prints them in the order of the kernel's hash table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.model import (
    Chain,
    ComesBy,
    CtState,
    CtStatus,
    DnatTo,
    DnatToAny,
    Element,
    Field,
    GotoAny,
    InSet,
    IsLocal,
    IsMarked,
    IsProtocol,
    Key,
    Map,
    Masquerade,
    Matches,
    MatchesAny,
    Reject,
    Remember,
    Rule,
    Set,
    SetMark,
    Statement,
    Verdict,
    VerdictOf,
)
from testbed.proxier.plan import Family, IPNetwork, socket_address

_IP = MappingProxyType({Family.IPV4: "ip", Family.IPV6: "ip6"})
_NEXT = ",\n\t\t\t     "
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_PRIORITIES = {
    "prerouting": {-110: "dstnat - 10", -100: "dstnat"},
    "postrouting": {100: "srcnat"},
}
"""Names that nft has for some numbers at some hooks; `filter` is 0 everywhere."""


def text(contents: Contents) -> str:
    """A whole table."""
    table = contents.table
    lines = [f"table {_IP[table.family]} {table.name} {{"]
    lines += _comment(table.comment)
    for number, each in enumerate(contents.sets.values()):
        lines += ([""] if number else []) + [*_set(each, contents.elements.get(each.name, {}))]
    for chain in contents.chains.values():
        lines += ["", *_chain(chain, contents.rules.get(chain.name, []), table.family)]
    return "\n".join([*lines, "}", ""])


def _comment(words: str) -> list[str]:
    return [f'\tcomment "{words}"'] if words else []


def _set(of: Set | Map, elements: Mapping[Key, Element]) -> Iterator[str]:
    kind, values = ("map", " : verdict") if isinstance(of, Map) else ("set", "")
    yield f"\t{kind} {of.name} {{"
    yield f"\t\ttype {' . '.join(of.key)}{values}"
    if isinstance(of, Set) and of.timeout is not None:
        yield f"\t\tsize {of.size}"
        yield "\t\tflags dynamic,timeout"
        yield f"\t\ttimeout {duration(of.timeout)}"
    if of.comment:
        yield f'\t\tcomment "{of.comment}"'
    if elements:
        told = [_element(elements[key]) for key in sorted(elements, key=_order)]
        yield f"\t\telements = {{ {_NEXT.join(told)} }}"
    yield "\t}"


def _order(key: Key) -> tuple[tuple[int, str], ...]:
    """Addresses and ports by their number."""
    return tuple((0, part) if isinstance(part, str) else (int(part), "") for part in key)


def duration(seconds: int) -> str:
    """A time as nft prints it, e.g. `3h`, `1h30m`."""
    parts = []
    for unit, length in _UNITS:
        if seconds >= length:
            parts.append(f"{seconds // length}{unit}")
            seconds %= length
    return "".join(parts) or "0s"


def _element(element: Element) -> str:
    key = " . ".join(str(part) for part in element.key)
    comment = f' comment "{element.comment}"' if element.comment else ""
    verdict = f" : {_verdict(element.verdict)}" if element.verdict is not None else ""
    return f"{key}{comment}{verdict}"


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.kind} {verdict.chain}".rstrip()


def _chain(chain: Chain, rules: list[Rule], family: Family) -> Iterator[str]:
    yield f"\tchain {chain.name} {{"
    if chain.comment:
        yield f'\t\tcomment "{chain.comment}"'
    if chain.hook is not None:
        kind, hook, priority = chain.hook
        told = _PRIORITIES.get(hook, {}).get(priority, str(priority) if priority else "filter")
        yield f"\t\ttype {kind} hook {hook} priority {told}; policy accept;"
    for each in rules:
        yield f"\t\t{rule(each, family)}"
    yield "\t}"


def rule(of: Rule, family: Family) -> str:
    """A rule without its chain."""
    words = " ".join(_TOLD[type(each)](each, _IP[family]) for each in of.statements)
    return f'{words} comment "{of.comment}"' if of.comment else words


def _field(field: Field, ip: str) -> str:
    return f"{ip} {field}" if field in (Field.SADDR, Field.DADDR) else field.value


def _fields(fields: tuple[Field, ...], ip: str) -> str:
    """A port beside its protocol needs no brackets: nft joins both by a dot."""
    return " . ".join(_field(each, ip) for each in fields)


def _network(network: IPNetwork) -> str:
    whole = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if whole else str(network)


def _not(statement: Matches | MatchesAny | ComesBy) -> str:
    return "!= " if statement.negated else ""


def _matches(of: Matches, ip: str) -> str:
    return f"{_field(of.field, ip)} {_not(of)}{_network(of.network)}"


def _matches_any(of: MatchesAny, ip: str) -> str:
    return f"{_field(of.field, ip)} {_not(of)}{{ {', '.join(map(_network, of.networks))} }}"


def _comes_by(of: ComesBy, _: str) -> str:
    return f'iifname {_not(of)}"{of.device}{"*" if of.prefix else ""}"'


def _dnat_to_any(of: DnatToAny, ip: str) -> str:
    ends = ", ".join(f"{n} : {address} . {port}" for n, (address, port) in enumerate(of.endpoints))
    return f"dnat {ip} to numgen random mod {len(of.endpoints)} map {{ {ends} }}"


def _goto_any(of: GotoAny, _: str) -> str:
    chains = ", ".join(f"{n} : goto {chain}" for n, chain in enumerate(of.chains))
    return f"numgen random mod {len(of.chains)} vmap {{ {chains} }}"


_TOLD: dict[type[Statement], Callable[[Any, str], str]] = {
    Matches: _matches,
    MatchesAny: _matches_any,
    ComesBy: _comes_by,
    IsProtocol: lambda of, _: f"meta l4proto {of.protocol}",
    CtState: lambda of, _: f"ct state {of.state}",
    CtStatus: lambda of, _: f"ct status {of.status}",
    IsLocal: lambda of, _: f"fib {of.field} type local",
    IsMarked: lambda of, _: f"meta mark & {of.bits:#010x} != 0x00000000",
    InSet: lambda of, ip: f"{_fields(of.fields, ip)} @{of.of}",
    VerdictOf: lambda of, ip: f"{_fields(of.fields, ip)} vmap @{of.of}",
    SetMark: lambda of, _: f"meta mark set meta mark {of.operator} {of.bits:#010x}",
    Masquerade: lambda _, __: "masquerade fully-random",
    Reject: lambda _, __: "reject",
    Verdict: lambda of, _: _verdict(of),
    DnatToAny: _dnat_to_any,
    GotoAny: _goto_any,
    DnatTo: lambda of, _: f"dnat to {socket_address(str(of.address), of.port)}",
    Remember: lambda of, ip: f"update @{of.of} {{ {ip} saddr }}",
}
