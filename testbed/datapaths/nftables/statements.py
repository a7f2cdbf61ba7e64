"""Each statement of the model as the expressions that nft makes of its text. Pure.

Seen with `nft --debug=mnl`, nft 1.0.6. A statement that brings a set without a name (`unnamed.py`) is told what to
call it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from testbed.datapaths.nftables import model
from testbed.datapaths.nftables.keys import ADDRESS, BYTES, FIELD_BYTES, NET, PROTOCOLS
from testbed.datapaths.nftables.model import Field
from testbed.datapaths.nftables.netlink import expressions as e
from testbed.datapaths.nftables.netlink.expressions import Base, Ct, Meta
from testbed.errors import UsageError
from testbed.proxier.plan import Family

CODES = {"drop": e.DROP, "jump": e.JUMP, "goto": e.GOTO}
CT_BITS = {"new": 1 << 3, "dnat": 1 << 5}  # NF_CT_STATE_BIT(IP_CT_NEW), IPS_DST_NAT
LOCAL = 2  # RTN_LOCAL of linux/rtnetlink.h
NO_PORT = {Family.IPV4: 3, Family.IPV6: 4}  # ICMP_PORT_UNREACH, ICMPV6_PORT_UNREACH
DEVICE_BYTES = 16  # IFNAMSIZ
PORT_REGISTER = 16  # the byte where the second whole register starts
OFFSETS = {  # into struct iphdr, ipv6hdr
    (Family.IPV4, Field.SADDR): 12,
    (Family.IPV4, Field.DADDR): 16,
    (Family.IPV6, Field.SADDR): 8,
    (Family.IPV6, Field.DADDR): 24,
}
OPERATORS = {False: e.EQUAL, True: e.UNEQUAL}
NONE, ALL = bytes(4), b"\xff" * 4


@functools.lru_cache(4096)
def encoded(family: Family, statement: model.Statement) -> bytes:
    """The expressions of a statement that needs no set of its own."""
    return _ENCODERS[type(statement)](family, statement)


def encoded_with(family: Family, statement: model.Statement, of: str) -> bytes:
    """The expressions of a statement that looks into the set called `of`, which was made for it."""
    if isinstance(statement, model.DnatToAny):
        to = e.dnat(NET[family], BYTES[ADDRESS[family]])
        return e.random(len(statement.endpoints)) + e.lookup_data(of) + to
    if isinstance(statement, model.GotoAny):
        return e.random(len(statement.chains)) + e.lookup_verdict(of)
    if isinstance(statement, model.MatchesAny):
        return load(family, (statement.field,)) + e.lookup(of, inverted=statement.negated)
    raise UsageError(f"{statement} brings no set")


def load(family: Family, fields: tuple[Field, ...]) -> bytes:
    """Load fields one after the other, each from a register's start, as the keys of sets have them."""
    sizes = [field_bytes(family, field) + 3 & ~3 for field in fields]
    starts = itertools.accumulate(sizes[:-1], initial=0)
    return b"".join(_load(family, field, start) for field, start in zip(fields, starts, strict=True))


def field_bytes(family: Family, field: Field) -> int:
    """How long a field is."""
    return FIELD_BYTES[field] if field in FIELD_BYTES else BYTES[ADDRESS[family]]


def _load(family: Family, field: Field, to: int) -> bytes:
    if field is Field.L4PROTO:
        return e.meta(Meta.L4PROTO, to)
    if field is Field.DPORT:
        return e.payload(Base.TRANSPORT, 2, 2, to)
    return e.payload(Base.NETWORK, OFFSETS[family, field], field_bytes(family, field), to)


def _matches(family: Family, given: model.Matches) -> bytes:
    """Of a prefix of whole bytes only those are loaded; of another the rest is cleared."""
    whole, rest = divmod(given.network.prefixlen, 8)
    operator, first = OPERATORS[given.negated], given.network.network_address.packed
    if whole and not rest:
        loaded = e.payload(Base.NETWORK, OFFSETS[family, given.field], whole)
        return loaded + e.compare(operator, first[:whole])
    masked = e.bitwise(given.network.netmask.packed, bytes(len(first)))
    return load(family, (given.field,)) + masked + e.compare(operator, first)


def _comes_by(_: Family, given: model.ComesBy) -> bytes:
    """A prefix is compared without the zero that ends a name."""
    name = given.device.encode()
    data = name if given.prefix else name.ljust(DEVICE_BYTES, b"\0")
    return e.meta(Meta.IIFNAME) + e.compare(OPERATORS[given.negated], data)


def _is_protocol(_: Family, given: model.IsProtocol) -> bytes:
    return e.meta(Meta.L4PROTO) + e.compare(e.EQUAL, bytes((PROTOCOLS[given.protocol],)))


def _has_bits(bits: int) -> bytes:
    return e.bitwise(e.host(bits), NONE) + e.compare(e.UNEQUAL, NONE)


def _ct_state(_: Family, given: model.CtState) -> bytes:
    return e.ct(Ct.STATE) + _has_bits(CT_BITS[given.state])


def _ct_status(_: Family, given: model.CtStatus) -> bytes:
    return e.ct(Ct.STATUS) + _has_bits(CT_BITS[given.status])


def _is_marked(_: Family, given: model.IsMarked) -> bytes:
    return e.meta(Meta.MARK) + _has_bits(given.bits)


def _is_local(_: Family, given: model.IsLocal) -> bytes:
    of = e.OF_SOURCE if given.field is Field.SADDR else e.OF_DESTINATION
    return e.fib(of) + e.compare(e.EQUAL, e.host(LOCAL))


def _in_set(family: Family, given: model.InSet) -> bytes:
    return load(family, given.fields) + e.lookup(given.of)


def _verdict_of(family: Family, given: model.VerdictOf) -> bytes:
    return load(family, given.fields) + e.lookup_verdict(given.of)


def _set_mark(_: Family, given: model.SetMark) -> bytes:
    """To set bits is to clear and to flip them."""
    kept = e.host(~given.bits & 0xFFFFFFFF) if given.operator == "|" else ALL
    return e.meta(Meta.MARK) + e.bitwise(kept, e.host(given.bits)) + e.set_meta(Meta.MARK)


def _verdict(_: Family, given: model.Verdict) -> bytes:
    return e.verdict(CODES[given.kind], given.chain)


def _dnat_to(family: Family, given: model.DnatTo) -> bytes:
    port = e.immediate(given.port.to_bytes(2, "big"), PORT_REGISTER)
    return e.immediate(given.address.packed) + port + e.dnat(NET[family], PORT_REGISTER)


def _remember(family: Family, given: model.Remember) -> bytes:
    return load(family, (Field.SADDR,)) + e.update(given.of)


_ENCODERS: dict[type, Callable[[Family, Any], bytes]] = {
    model.Matches: _matches,
    model.ComesBy: _comes_by,
    model.IsProtocol: _is_protocol,
    model.CtState: _ct_state,
    model.CtStatus: _ct_status,
    model.IsLocal: _is_local,
    model.IsMarked: _is_marked,
    model.InSet: _in_set,
    model.VerdictOf: _verdict_of,
    model.SetMark: _set_mark,
    model.Masquerade: lambda _, __: e.masquerade(),
    model.Reject: lambda family, _: e.reject(NO_PORT[family]),
    model.Verdict: _verdict,
    model.DnatTo: _dnat_to,
    model.Remember: _remember,
}
