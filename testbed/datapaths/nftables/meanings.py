"""The expressions of a rule as statements of the model: the inverse of `statements.py`. Pure.

A statement is guessed from the kinds of expressions, and then encoded again: only if that gives the very bytes is
it what the rule says. So nothing is read into a rule of somebody else's.
"""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range
from typing import NamedTuple

from testbed.datapaths.nftables import model
from testbed.datapaths.nftables.keys import PROTOCOL_NAMES
from testbed.datapaths.nftables.model import Field, Statement
from testbed.datapaths.nftables.netlink.expressions import (
    INVERTED,
    OF_SOURCE,
    UNEQUAL,
    Base,
    Ct,
    Meta,
    expression,
)
from testbed.datapaths.nftables.netlink.listing import ListedElement
from testbed.datapaths.nftables.netlink.requests import ENDS_INTERVAL
from testbed.datapaths.nftables.statements import ALL, CODES, CT_BITS, OFFSETS, encoded, encoded_with
from testbed.machine.netlink import ATTRIBUTE, attribute, attributes, walk
from testbed.proxier.plan import Family, IPAddress, IPNetwork

PADDING = 8  # NFTA_DYNSET_PAD: before a number of 64 bits, where the processor needs that
KINDS = {code: kind for kind, code in CODES.items()}
CT_NAMES = {bits: name for name, bits in CT_BITS.items()}
FIELDS = {(family, offset): field for (family, field), offset in OFFSETS.items()}
ADDRESS_CLASS: dict[Family, type[IPv4Address] | type[IPv6Address]] = {
    Family.IPV4: IPv4Address,
    Family.IPV6: IPv6Address,
}

Unnamed = Callable[[str], "Sequence[ListedElement] | Statement | None"]
"""The elements of a set without a name, or the statement that brought it, if that is known. None: it has a name."""


class Expression(NamedTuple):
    """An expression: its name, its attributes by number, and all its bytes."""

    name: str
    has: Mapping[int, bytes]
    raw: bytes

    def number(self, kind: int) -> int:
        """An attribute that holds a number."""
        return int.from_bytes(self.has[kind], "big")

    def value(self, kind: int) -> bytes:
        """An attribute that holds a value."""
        return bytes(attributes(memoryview(self.has[kind]))[1])


Guess = tuple[Statement, int] | None
"""A statement, and of how many expressions it is made."""


def decoded(family: Family, expressions: bytes, unnamed: Unnamed) -> tuple[Statement, ...] | None:
    """What a rule says; None if there is no statement of the model for some part of it."""
    rest = [_expression(bytes(part)) for _, part in walk(memoryview(expressions))]
    found: list[Statement] = []
    while rest:
        said = _said(family, rest, unnamed)
        if said is None:
            return None
        statement, count = said
        found.append(statement)
        rest = rest[count:]
    return tuple(found)


def _said(family: Family, rest: Sequence[Expression], unnamed: Unnamed) -> Guess:
    """The statement that the next expressions are, if they are one."""
    try:
        guess = _guess(family, rest, unnamed)
        if guess is None or b"".join([part.raw for part in rest[: guess[1]]]) != _again(
            family, guess[0], rest
        ):
            return None
    except (
        KeyError,
        IndexError,
        ValueError,
        OverflowError,
    ):  # a name, an attribute or a number that is not ours
        return None
    return guess


@functools.lru_cache(4096)
def _expression(content: bytes) -> Expression:
    found = attributes(memoryview(content))
    has = {kind: bytes(value) for kind, value in walk(found.get(2, memoryview(b"")))}
    name = bytes(found[1]).rstrip(b"\0").decode()
    if name == "dynset":
        has.pop(PADDING, None)
        return Expression(name, has, expression(name, *(attribute(*each) for each in has.items())))
    return Expression(name, has, ATTRIBUTE.pack(ATTRIBUTE.size + len(content), 1) + content)


def _guess(family: Family, rest: Sequence[Expression], unnamed: Unnamed) -> Guess:
    if len(rest) > 1 and rest[1].name == "lookup":
        known = unnamed(_name(rest[1]))
        if isinstance(known, Statement):
            return known, 3 if isinstance(known, model.DnatToAny) else 2
    return _GUESSES[rest[0].name](family, rest, unnamed)


def _again(family: Family, statement: Statement, parts: Sequence[Expression]) -> bytes:
    if isinstance(statement, model.DnatToAny | model.GotoAny | model.MatchesAny):
        return encoded_with(family, statement, _name(parts[1]))
    return encoded(family, statement)


def _name(lookup: Expression) -> str:
    return lookup.has[1].rstrip(b"\0").decode()


def _host(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder)


def _immediate(_: Family, rest: Sequence[Expression], __: Unnamed) -> Guess:
    data = attributes(memoryview(rest[0].has[2]))
    if 2 in data:
        to = attributes(data[2])
        chain = bytes(to.get(2, b"")).rstrip(b"\0").decode()
        return model.Verdict(KINDS[int.from_bytes(to[1], "big")], chain), 1
    return model.DnatTo(ip_address(bytes(data[1])), int.from_bytes(rest[1].value(2), "big")), 3


def _ct(_: Family, rest: Sequence[Expression], __: Unnamed) -> Guess:
    name = CT_NAMES[_host(rest[1].value(4))]
    return (model.CtState(name) if rest[0].number(2) == Ct.STATE else model.CtStatus(name)), 3


def _fib(_: Family, rest: Sequence[Expression], __: Unnamed) -> Guess:
    return model.IsLocal(Field.SADDR if rest[0].number(3) == OF_SOURCE else Field.DADDR), 2


def _numgen(family: Family, rest: Sequence[Expression], unnamed: Unnamed) -> Guess:
    """The numbers drawn must be those that the map has."""
    there = unnamed(_name(rest[1]))
    elements = sorted(there, key=lambda each: _host(each.key)) if isinstance(there, Sequence) else []
    if [_host(each.key) for each in elements] != list(range(rest[0].number(2))):
        return None
    if len(rest) > 2 and rest[2].name == "nat":
        return model.DnatToAny(tuple(_endpoint(family, each.value) for each in elements)), 3
    chains = [each.verdict[1] for each in elements if each.verdict and KINDS[each.verdict[0]] == "goto"]
    return (model.GotoAny(tuple(chains)), 2) if len(chains) == len(elements) else None


def _endpoint(family: Family, value: bytes) -> tuple[IPAddress, int]:
    """An address, a port and two zeros."""
    return ADDRESS_CLASS[family](value[:-4]), value[-4] << 8 | value[-3]


def _meta(family: Family, rest: Sequence[Expression], unnamed: Unnamed) -> Guess:
    key = rest[0].number(2)
    if key == Meta.MARK:
        return _mark(rest), 3
    if key == Meta.IIFNAME:
        data, negated = rest[1].value(3), rest[1].number(2) == UNEQUAL
        return model.ComesBy(data.rstrip(b"\0").decode(), b"\0" not in data, negated), 2
    return _fields(family, rest, unnamed)


def _mark(rest: Sequence[Expression]) -> Statement:
    if rest[2].name == "cmp":
        return model.IsMarked(_host(rest[1].value(4)))
    return model.SetMark("^" if rest[1].value(4) == ALL else "|", _host(rest[1].value(5)))


def _fields(family: Family, rest: Sequence[Expression], unnamed: Unnamed) -> Guess:
    """Fields that are loaded, and what they are compared with or looked up in."""
    count = sum(1 for _ in itertools.takewhile(lambda part: part.name in ("meta", "payload"), rest))
    fields, then = tuple(_field(family, part) for part in rest[:count]), rest[count]
    if then.name == "lookup":
        return _looked_up(fields, then, unnamed, family)
    if then.name == "dynset":
        return model.Remember(then.has[1].rstrip(b"\0").decode()), 2
    if fields == (Field.L4PROTO,):
        return model.IsProtocol(PROTOCOL_NAMES[then.value(3)[0]]), 2
    if then.name == "bitwise":
        prefix = int.from_bytes(then.value(4), "big").bit_count()
        return _matches(fields[0], prefix, rest[2], family), 3
    return _matches(fields[0], 8 * len(then.value(3)), then, family), 2


def _field(family: Family, load: Expression) -> Field:
    if load.name == "meta":
        return {int(Meta.L4PROTO): Field.L4PROTO}[load.number(2)]
    if load.number(2) == Base.TRANSPORT:
        return Field.DPORT
    return FIELDS[family, load.number(3)]


def _matches(field: Field, prefix: int, compared: Expression, family: Family) -> Statement:
    """What is compared may be the first bytes of an address only."""
    size = ADDRESS_CLASS[family](0).max_prefixlen // 8
    network = ip_network((compared.value(3).ljust(size, b"\0"), prefix))
    return model.Matches(field, network, compared.number(2) == UNEQUAL)


def _looked_up(fields: tuple[Field, ...], lookup: Expression, unnamed: Unnamed, family: Family) -> Guess:
    name, count = _name(lookup), len(fields) + 1
    elements = unnamed(name)
    if isinstance(elements, Sequence):
        networks = tuple(_networks(elements, ADDRESS_CLASS[family]))
        return model.MatchesAny(fields[0], networks, lookup.number(5) == INVERTED), count
    if 3 in lookup.has:
        return model.VerdictOf(fields, name), count
    return model.InSet(fields, name), count


def _networks(
    elements: Sequence[ListedElement], kind: type[IPv4Address] | type[IPv6Address]
) -> list[IPNetwork]:
    """The networks that make up the ranges; those without an end reach to the last address, or are one address."""
    ends = {each.key for each in elements if each.flags & ENDS_INTERVAL}
    starts = sorted(each.key for each in elements if not each.flags & ENDS_INTERVAL)
    found: list[IPNetwork] = []
    for start in starts:
        first = kind(start)
        after = min((end for end in ends if end > start), default=None)
        if not ends:
            last = first
        elif after is None:
            last = kind((1 << first.max_prefixlen) - 1)
        else:
            last = kind(after) - 1
        found += summarize_address_range(first, last)
    return found


_GUESSES: dict[str, Callable[[Family, Sequence[Expression], Unnamed], Guess]] = {
    "immediate": _immediate,
    "ct": _ct,
    "fib": _fib,
    "numgen": _numgen,
    "meta": _meta,
    "payload": _fields,
    "masq": lambda *_: (model.Masquerade(), 1),
    "reject": lambda *_: (model.Reject(), 1),
}
