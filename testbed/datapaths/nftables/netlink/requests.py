"""Requests of nf_tables as bytes: tables, chains, rules, sets and elements, made, emptied and deleted.

In the words of linux/netfilter/nf_tables.h; user data as nft writes and reads it (libnftnl/udata.h). A request
has sequence number 0: the transaction that it goes into numbers it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from testbed.datapaths.nftables.netlink.expressions import be32
from testbed.machine.netlink import (
    APPEND,
    CREATE,
    GENERIC,
    LARGEST_ATTRIBUTE,
    attribute,
    message,
    text,
)

SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
NEW_TABLE, GET_TABLE, DELETE_TABLE, NEW_CHAIN, GET_CHAIN, DELETE_CHAIN = range(6)
NEW_RULE, GET_RULE, DELETE_RULE, NEW_SET, GET_SET, DELETE_SET = range(6, 12)
NEW_ELEMENTS, GET_ELEMENTS, DELETE_ELEMENTS, NEW_GENERATION, GET_GENERATION = range(12, 17)

ANONYMOUS, CONSTANT, INTERVAL, MAP, TIMEOUT, EVAL = 0x1, 0x2, 0x4, 0x8, 0x10, 0x20  # NFT_SET_*
ENDS_INTERVAL = 1  # NFT_SET_ELEM_INTERVAL_END
TO_VERDICTS = 0xFFFFFF00  # NFT_DATA_VERDICT
COMMENT = 0  # NFTNL_UDATA_TABLE_COMMENT; likewise of chains, rules and elements
SET_COMMENT = 7  # NFTNL_UDATA_SET_COMMENT
LIST_ELEMENT = 1

_BE64 = struct.Struct(">Q")


class SetForm(NamedTuple):
    """What the kernel, and nft when it lists, must know of a set. Types are nft's numbers of data types."""

    flags: int
    key_type: int
    key_bytes: int
    data_type: int | None = None
    data_bytes: int = 0
    size: int | None = None
    timeout: int | None = None  # milliseconds
    userdata: bytes = b""


def note(kind: int, content: bytes) -> bytes:
    """One entry of user data (struct nftnl_udata): type, length, content."""
    return bytes((kind, len(content))) + content


def comment(said: str, kind: int = COMMENT) -> bytes:
    """A comment as user data; nothing if there is none."""
    return note(kind, said.encode() + b"\0") if said else b""


class Requests:
    """Makes requests about one table of one family (AF_INET, AF_INET6)."""

    def __init__(self, family: int, table: str) -> None:
        self._generic = GENERIC.pack(family, 0, 0)
        self._table = text(1, table)  # attribute 1 of every kind of object

    def _new(self, kind: int, content: bytes, flags: int = CREATE) -> bytes:
        return message(SUBSYSTEM | kind, flags, self._generic + self._table + content)

    def _about(self, kind: int, content: bytes = b"") -> bytes:
        return message(SUBSYSTEM | kind, 0, self._generic + self._table + content)

    def table(self, userdata: bytes = b"") -> bytes:
        """Make the table; it may be there."""
        return self._new(NEW_TABLE, be32(2, 0) + _optional(6, userdata))

    def delete_table(self) -> bytes:
        """Delete the table with all that is in it."""
        return self._about(DELETE_TABLE)

    def chain(self, name: str, userdata: bytes = b"") -> bytes:
        """Make a chain; it may be there."""
        return self._new(NEW_CHAIN, text(3, name) + _optional(12, userdata))

    def base_chain(self, name: str, kind: str, hook: int, priority: int, userdata: bytes = b"") -> bytes:
        """Make a chain that the hook (NF_INET_*) enters; its policy is accept."""
        at = attribute(4, be32(1, hook) + be32(2, priority & 0xFFFFFFFF))
        return self._new(NEW_CHAIN, text(3, name) + at + be32(5, 1) + text(7, kind) + _optional(12, userdata))

    def delete_chain(self, name: str) -> bytes:
        """Delete a chain that has no rules and that nothing leads to."""
        return self._about(DELETE_CHAIN, text(3, name))

    def rule(self, chain: str, expressions: bytes, userdata: bytes = b"") -> bytes:
        """Append a rule to a chain."""
        content = text(2, chain) + attribute(4, expressions) + _optional(7, userdata)
        return self._new(NEW_RULE, content, CREATE | APPEND)

    def flush_chain(self, name: str) -> bytes:
        """Delete all rules of a chain."""
        return self._about(DELETE_RULE, text(2, name))

    def flush_table(self) -> bytes:
        """Delete all rules of all chains."""
        return self._about(DELETE_RULE)

    def set(self, name: str, form: SetForm, identity: int) -> bytes:
        """Make a set or map; `identity` stands for it within the transaction."""
        content = text(2, name) + be32(3, form.flags) + be32(4, form.key_type) + be32(5, form.key_bytes)
        if form.data_type is not None:
            content += be32(6, form.data_type) + be32(7, form.data_bytes)
        content += be32(10, identity)
        if form.size is not None:
            content += attribute(9, be32(1, form.size))
        if form.timeout is not None:
            content += attribute(11, _BE64.pack(form.timeout))
        return self._new(NEW_SET, content + _optional(13, form.userdata))

    def delete_set(self, name: str) -> bytes:
        """Delete a set with its elements; no rule may look into it."""
        return self._about(DELETE_SET, text(2, name))

    def flush_set(self, name: str) -> bytes:
        """Delete all elements of a set."""
        return self._about(DELETE_ELEMENTS, text(2, name))

    def new_elements(self, name: str, elements: Iterable[bytes]) -> Iterator[bytes]:
        """Put elements into a set, in as few requests as they fit into. One that is there must be the same."""
        of = text(2, name)
        return (self._new(NEW_ELEMENTS, of + attribute(3, some)) for some in _portions(elements))

    def first_elements(self, identity: int, elements: Iterable[bytes]) -> Iterator[bytes]:
        """Fill a set made in this transaction, by its identity: the kernel need not look for its name."""
        of = be32(4, identity)
        return (self._new(NEW_ELEMENTS, of + attribute(3, some)) for some in _portions(elements))

    def delete_elements(self, name: str, elements: Iterable[bytes]) -> Iterator[bytes]:
        """Take elements, by their keys, out of a set; each must be there."""
        of = text(2, name)
        return (self._about(DELETE_ELEMENTS, of + attribute(3, some)) for some in _portions(elements))


def element(key: bytes, data: bytes = b"", userdata: bytes = b"", flags: int = 0) -> bytes:
    """An element; `data` is what NFTA_SET_ELEM_DATA holds, nothing for a set's."""
    content = attribute(1, attribute(1, key)) + _optional(2, data)
    if flags:
        content += be32(3, flags)
    return attribute(LIST_ELEMENT, content + _optional(6, userdata))


def _optional(kind: int, content: bytes) -> bytes:
    return attribute(kind, content) if content else b""


def _portions(elements: Iterable[bytes]) -> Iterator[bytes]:
    """Elements joined, as many as one attribute holds."""
    some: list[bytes] = []
    size = 0
    for one in elements:
        if size + len(one) > LARGEST_ATTRIBUTE:
            yield b"".join(some)
            some, size = [], 0
        some.append(one)
        size += len(one)
    if some:
        yield b"".join(some)
