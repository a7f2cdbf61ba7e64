"""What nf_tables holds, as the kernel lists it: bytes cut into their parts, and nothing interpreted.

A list that changed while it was read is refused by `machine.netlink.listed`; `consistent` reads again then. Knows
attributes; knows no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from testbed.datapaths.nftables.netlink import requests as r
from testbed.datapaths.nftables.netlink.requests import COMMENT, SUBSYSTEM, SetForm
from testbed.datapaths.nftables.netlink.transaction import Nftables
from testbed.errors import KernelStateError
from testbed.machine.netlink import DUMP, GENERIC, attributes, listed, message, text, walk

T = TypeVar("T")
READINGS = 5
NOTHING = memoryview(b"")


class ListedTable(NamedTuple):
    """A table. Flags are the kernel's, e.g. NFT_TABLE_F_DORMANT: no hook of it is called."""

    flags: int
    userdata: bytes


class ListedChain(NamedTuple):
    """A chain; `hook` is its type, hook number, priority and policy if it is a base chain."""

    name: str
    hook: tuple[str, int, int, int] | None
    userdata: bytes


class ListedRule(NamedTuple):
    """A rule; its expressions are as `expressions.py` makes them."""

    chain: str
    expressions: bytes
    userdata: bytes


class ListedElement(NamedTuple):
    """An element: its key, its value or verdict (code, chain), user data and flags."""

    key: bytes
    value: bytes
    verdict: tuple[int, str] | None
    userdata: bytes
    flags: int


class Listing:
    """Lists about one table of one family, each read to its end before the next. All raise KernelStateError."""

    def __init__(self, kernel: Nftables, family: int, table: str) -> None:
        self._socket = kernel.socket
        self._generic = GENERIC.pack(family, 0, 0)
        self._table = text(1, table)
        self._name = table
        self._bytes = table.encode() + b"\0"

    def table(self) -> ListedTable | None:
        """The table itself; None if there is none."""
        tables = [found for found in self._listed(r.GET_TABLE, b"", "tables") if found[1] == self._bytes]
        return (
            ListedTable(_number(tables[0].get(2)) or 0, bytes(tables[0].get(6, NOTHING))) if tables else None
        )

    def chains(self) -> list[ListedChain]:
        """All chains, in the order in which they were made."""
        return [
            ListedChain(_text(found[3]), _hook(found), bytes(found.get(12, NOTHING)))
            for found in self._listed(r.GET_CHAIN, b"", "chains")
            if found[1] == self._bytes
        ]

    def rules(self, chain: str = "") -> list[ListedRule]:
        """All rules, chain by chain, each chain's in their order; or those of one chain, quickly."""
        which = self._table + (text(2, chain) if chain else b"")
        return [
            ListedRule(_text(found[2]), bytes(found.get(4, NOTHING)), bytes(found.get(7, NOTHING)))
            for found in self._listed(r.GET_RULE, which, "rules")
        ]

    def sets(self) -> list[tuple[str, SetForm]]:
        """All sets and maps, those without a name too (flag ANONYMOUS)."""
        return [(_text(found[2]), _form(found)) for found in self._listed(r.GET_SET, self._table, "sets")]

    def elements(self, name: str) -> list[ListedElement]:
        """All elements of a set, in no order."""
        lists = self._listed(r.GET_ELEMENTS, self._table + text(2, name), f"elements of {name}")
        return [each for found in lists for each in elements_in(found.get(3, NOTHING))]

    def _listed(self, kind: int, which: bytes, what: str) -> Iterator[dict[int, memoryview]]:
        request = message(SUBSYSTEM | kind, DUMP, self._generic + which)
        for answer in listed(self._socket, request, f"listing {what} of table {self._name}"):
            yield attributes(answer.body[GENERIC.size :])


def elements_in(members: bytes | memoryview) -> list[ListedElement]:
    """The elements in the content of an NFTA_SET_ELEM_LIST_ELEMENTS, in their order."""
    return [_element(attributes(one)) for _, one in walk(memoryview(members))]


def consistent(kernel: Nftables, read: Callable[[], T]) -> T:
    """What `read` returns, of one and the same generation of the tables. Raises KernelStateError if they change
    all the time."""
    for _ in range(READINGS):
        before = kernel.generation()
        try:
            found = read()
        except KernelStateError:
            if kernel.generation() == before:
                raise
            continue
        if kernel.generation() == before:
            return found
    raise KernelStateError(f"nf_tables changed while it was read, {READINGS} times")


def said(userdata: bytes, kind: int = COMMENT) -> str:
    """The comment in user data (libnftnl/udata.h); empty if there is none."""
    at = 0
    while at + 2 <= len(userdata):
        found, length = userdata[at], userdata[at + 1]
        if found == kind:
            return userdata[at + 2 : at + 2 + length].rstrip(b"\0").decode(errors="replace")
        at += 2 + length
    return ""


def _text(value: memoryview) -> str:
    return str(value[:-1], "utf-8", "replace")


def _number(value: memoryview | None) -> int | None:
    return int.from_bytes(value, "big") if value is not None else None


def _hook(found: dict[int, memoryview]) -> tuple[str, int, int, int] | None:
    if 4 not in found:
        return None
    at = attributes(found[4])
    priority = int.from_bytes(at[2], "big", signed=True)
    return _text(found[7]), int.from_bytes(at[1], "big"), priority, int.from_bytes(found[5], "big")


def _form(found: dict[int, memoryview]) -> SetForm:
    """A set as it was asked for; the identity that it had within its transaction is gone."""
    described = attributes(found.get(9, NOTHING))
    return SetForm(
        _number(found.get(3)) or 0,
        _number(found.get(4)) or 0,
        _number(found.get(5)) or 0,
        _number(found.get(6)),
        0 if _number(found.get(6)) == r.TO_VERDICTS else _number(found.get(7)) or 0,
        _number(described.get(1)),
        _number(found.get(11)),
        bytes(found.get(13, NOTHING)),
    )


def _element(found: dict[int, memoryview]) -> ListedElement:
    value, verdict = b"", None
    for kind, content in walk(found.get(2, NOTHING)):
        if kind == 1:
            value = bytes(content)
        else:
            to = attributes(content)
            verdict = int.from_bytes(to[1], "big"), _text(to[2]) if 2 in to else ""
    key = bytes(found[1][4:]) if 1 in found else b""  # one attribute, NFTA_DATA_VALUE
    return ListedElement(
        key, value, verdict, bytes(found.get(6, NOTHING)), int.from_bytes(found.get(3, b""), "big")
    )
