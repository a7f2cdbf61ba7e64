"""Keys, values and sets of the model in the kernel's numbers and bytes, and back.

Also what nft notes about a set in its user data, so that it lists the set by the words it was given in: byte
orders, and whether a type was told by an expression (src/netlink.c of nftables, libnftnl/udata.h). Pure.
"""

from __future__ import annotations

import functools
import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from testbed.datapaths.nftables.model import Field, Key, KeyType, Map, Part, Set
from testbed.datapaths.nftables.netlink.requests import (
    EVAL,
    MAP,
    SET_COMMENT,
    TIMEOUT,
    TO_VERDICTS,
    SetForm,
    comment,
    note,
)
from testbed.proxier.plan import Family

NET = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
ADDRESS = {Family.IPV4: KeyType.IPV4, Family.IPV6: KeyType.IPV6}
NUMBER = {KeyType.IPV4: 7, KeyType.IPV6: 8, KeyType.PROTOCOL: 12, KeyType.PORT: 13}  # nft's enum datatypes
BYTES = {KeyType.IPV4: 4, KeyType.IPV6: 16, KeyType.PROTOCOL: 1, KeyType.PORT: 2}
BIG_ENDIAN = (KeyType.IPV4, KeyType.IPV6, KeyType.PORT)
FIELD_BYTES = {Field.L4PROTO: 1, Field.DPORT: 2}  # an address has its family's
TYPE_OF = {number: kind for kind, number in NUMBER.items()}
TYPE_BITS = 6  # of each part in the number of a joined type
PROTOCOLS = {
    "tcp": socket.IPPROTO_TCP,
    "udp": socket.IPPROTO_UDP,
    "sctp": socket.IPPROTO_SCTP,
}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}

KEY_ORDER, DATA_ORDER, MERGE, KEY_EXPRESSION, DATA_EXPRESSION, DATA_INTERVAL = (
    0,
    1,
    2,
    3,
    4,
    6,
)  # NFTNL_UDATA_SET_*
UNKNOWN_ORDER, HOST_ORDER, NETWORK_ORDER = 0, 1, 2  # enum byteorder
VERDICT_EXPRESSION, PAYLOAD_EXPRESSION, JOINED_EXPRESSION = 1, 7, 13  # enum expr_types


def joined(kinds: tuple[KeyType, ...]) -> tuple[int, int]:
    """nft's number of a key's type, and its size in bytes: joined parts fill up registers of four bytes."""
    if len(kinds) == 1:
        return NUMBER[kinds[0]], BYTES[kinds[0]]
    number = functools.reduce(lambda before, kind: before << TYPE_BITS | NUMBER[kind], kinds, 0)
    return number, sum(BYTES[kind] + 3 & ~3 for kind in kinds)


def parts(number: int) -> tuple[KeyType, ...]:
    """The types that a number of `joined` stands for."""
    found: list[KeyType] = []
    while number:
        found.insert(0, TYPE_OF[number & (1 << TYPE_BITS) - 1])
        number >>= TYPE_BITS
    return tuple(found)


def key_bytes(key: Key) -> bytes:
    """A key as it lies in the registers that are looked up."""
    if len(key) == 1:
        return part_bytes(key[0])
    return b"".join([filled(part_bytes(part)) for part in key])


def part_bytes(part: Part) -> bytes:
    """One part of a key: address and port in network order, protocol as its number."""
    if isinstance(part, int):
        return part.to_bytes(2, "big")
    if isinstance(part, str):
        return bytes((PROTOCOLS[part],))
    return part.packed


def filled(part: bytes) -> bytes:
    """Up to whole registers of four bytes."""
    return part + bytes(-len(part) % 4)


def key_of(kinds: tuple[KeyType, ...], data: bytes) -> Key:
    """The inverse of `key_bytes`."""
    found, at = [], 0
    for kind in kinds:
        found.append(_part(kind, data[at : at + BYTES[kind]]))
        at += BYTES[kind] + 3 & ~3
    return tuple(found)


def _part(kind: KeyType, data: bytes) -> Part:
    if kind is KeyType.PORT:
        return data[0] << 8 | data[1]
    if kind is KeyType.PROTOCOL:
        return PROTOCOL_NAMES.get(data[0], str(data[0]))
    return IPv4Address(data) if kind is KeyType.IPV4 else IPv6Address(data)


@functools.lru_cache(4096)
def set_form(given: Set | Map) -> SetForm:
    """A named set as the kernel knows it; its name does not count."""
    key_type, size = joined(given.key)
    alone = given.key[0] in BIG_ENDIAN if len(given.key) == 1 else False
    notes = order(KEY_ORDER, NETWORK_ORDER if alone else UNKNOWN_ORDER)
    joins = note(KEY_EXPRESSION, told_by(JOINED_EXPRESSION)) if len(given.key) > 1 else b""
    said = comment(given.comment, SET_COMMENT)
    if isinstance(given, Map):
        notes += order(DATA_ORDER, UNKNOWN_ORDER) + joins + order(DATA_INTERVAL, 0)
        return SetForm(MAP, key_type, size, TO_VERDICTS, userdata=notes + said)
    flags, milliseconds = 0, None
    if given.timeout is not None:
        flags, milliseconds = TIMEOUT | EVAL, given.timeout * 1000
    return SetForm(
        flags, key_type, size, size=given.size, timeout=milliseconds, userdata=notes + joins + said
    )


def order(kind: int, number: int) -> bytes:
    """A note of user data that holds a number."""
    return note(kind, _U32.pack(number))


def told_by(kind: int, content: bytes = b"") -> bytes:
    """What nft notes of the expression that told it a type: its kind, and what it writes of itself."""
    return order(0, kind) + note(1, content)


_U32 = struct.Struct("=I")
