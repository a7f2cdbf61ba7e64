"""ipset by nfnetlink (linux/netfilter/ipset/ip_set.h): sets and their elements, many elements in one message.

Knows the types that kube-proxy uses: bitmap:port and the hashes of addresses, ports and networks. What a set holds
is written and read as `Element`s; knows nothing of why it does.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from testbed.datapaths.contract import Node
from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.items import Element
from testbed.datapaths.ipvs.netlink.session import Request, Session
from testbed.machine.netlink import GENERIC, NETFILTER, attribute, attributes, nested, text, walk
from testbed.proxier.plan import Family

SUBSYSTEM = 6 << 8
CREATE, DESTROY, LIST, ADD, DEL, TYPE = 2, 3, 7, 9, 10, 13
PROTOCOL, SETNAME, TYPENAME, REVISION, FAMILY, FLAGS, DATA, ADT, LINENO = range(1, 10)
IP, PORT, PORT_TO, PROTO, IP2, CIDR2 = 1, 4, 5, 7, 20, 21
HASHSIZE, MAXELEM, ELEMENTS, REFERENCES = 18, 19, 24, 25
IPV4, IPV6 = 1, 2
NET = 0x4000  # the value is in network order (NLA_F_NET_BYTEORDER)
LIST_HEADER = 4  # IPSET_FLAG_LIST_HEADER: no elements
VERSION = attribute(PROTOCOL, b"\7")
MOST_AT_ONCE = 500  # elements in a message; an attribute holds 64 KiB

_FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_ERRORS = {  # enum ipset_errno
    4098: "the kernel has no set of this type",
    4100: "rules use the set",
    4102: "there is a set of this name and another type",
    4103: "the element is there already, or is not there",
    4108: "rules use the set",
    4352: "the set is full",
}


class Count(NamedTuple):
    """A set's size, and how many rules use it."""

    elements: int
    references: int


class Ipset:
    """The ipsets of one node. Raises KernelStateError wherever the kernel refuses."""

    def __init__(self, node: Node) -> None:
        self._session = Session(node, NETFILTER, lambda errno: _ERRORS.get(errno, ""))
        self._revisions: dict[tuple[str, int], bytes] = {}

    def close(self) -> None:
        """Close the socket."""
        self._session.close()

    @property
    def sent(self) -> tuple[int, int]:
        """Requests and bytes so far."""
        return self._session.requests, self._session.bytes

    def create(self, names: Iterable[tuple[str, Family]]) -> None:
        """Make our sets of these names and families; those that are there with their type stay as they are."""
        self._session.send([self._created(name, family) for name, family in names])

    def _created(self, name: str, family: Family) -> Request:
        kind = sets.KINDS[name].type
        af = 0 if kind == sets.BITMAP_PORT else _FAMILIES[family]
        if kind == sets.BITMAP_PORT:
            data = nested(DATA, attribute(PORT | NET, bytes(2)), attribute(PORT_TO | NET, b"\xff\xff"))
        else:
            data = nested(
                DATA,
                attribute(HASHSIZE | NET, sets.HASH_SIZE.to_bytes(4, "big")),
                attribute(MAXELEM | NET, sets.MAX_ELEMENTS.to_bytes(4, "big")),
            )
        revision = attribute(REVISION, self._revision(kind, af))
        told = text(TYPENAME, kind) + revision + attribute(FAMILY, bytes([af])) + data
        return _request(CREATE, sets.name_of(name, family), told)

    def _revision(self, kind: str, af: int) -> bytes:
        """The newest revision of a type that the kernel has."""
        if (kind, af) not in self._revisions:
            asked = VERSION + text(TYPENAME, kind) + attribute(FAMILY, bytes([af]))
            body = GENERIC.pack(socket.AF_INET, 0, 0) + asked
            answer = self._session.ask(Request(SUBSYSTEM | TYPE, 0, body, f"sets of type {kind}"))
            found = attributes(answer.body[GENERIC.size :]) if answer else {}
            self._revisions[kind, af] = bytes(found.get(REVISION, b"\0")[:1])
        return self._revisions[kind, af]

    def destroy(self, names: Iterable[str]) -> None:
        """Remove sets by their names in the kernel."""
        self._session.send([_request(DESTROY, name, b"") for name in names])

    def add(self, elements: Iterable[Element]) -> None:
        """Put elements into their sets; those that are there already are no error."""
        self._session.send(_adt(ADD, elements))

    def delete(self, elements: Iterable[Element]) -> None:
        """Take elements out of their sets; those that are not there are no error."""
        self._session.send(_adt(DEL, elements))

    def counts(self) -> dict[str, Count]:
        """Every set of the node by its name, ours or not."""
        found = {}
        for told in self._list(attribute(FLAGS | NET, LIST_HEADER.to_bytes(4, "big"))):
            data = attributes(told[DATA])
            numbers = (int.from_bytes(data[kind], "big") for kind in (ELEMENTS, REFERENCES))
            found[_name(told)] = Count(*numbers)
        return found

    def held(self) -> dict[str, set[Element]]:
        """Our sets, by their names in the kernel, with all their elements."""
        found: dict[str, set[Element]] = {}
        for told in self._list(b""):
            ours = sets.NAMES.get(_name(told))
            if ours is not None:
                elements = found.setdefault(_name(told), set())
                elements.update(
                    _element(*ours, attributes(item)) for _, item in walk(told.get(ADT, _NOTHING))
                )
        return found

    def _list(self, asked: bytes) -> Iterator[Mapping[int, memoryview]]:
        body = GENERIC.pack(socket.AF_INET, 0, 0) + VERSION + asked
        for answer in self._session.list(Request(SUBSYSTEM | LIST, 0, body, "listing ipsets")):
            yield attributes(answer.body[GENERIC.size :])


_NOTHING = memoryview(b"")


def _name(told: Mapping[int, memoryview]) -> str:
    return bytes(told[SETNAME]).rstrip(b"\0").decode()


def _request(command: int, name: str, rest: bytes, what: object = "") -> Request:
    body = GENERIC.pack(socket.AF_INET, 0, 0) + VERSION + text(SETNAME, name) + rest
    return Request(SUBSYSTEM | command, 0, body, what or f"ipset {name}")


def _adt(command: int, elements: Iterable[Element]) -> Iterator[Request]:
    """Messages for elements of any sets; those of one set that stand together go together."""
    for (name, family), members in groupby(elements, key=lambda e: e[:2]):
        some = list(members)
        for start in range(0, len(some), MOST_AT_ONCE):
            part = some[start : start + MOST_AT_ONCE]
            data = nested(ADT, *map(_data, part))
            told = attribute(LINENO, bytes(4)) + data
            yield _request(command, sets.name_of(name, family), told, _Some(sets.name_of(name, family), part))


class _Some(NamedTuple):
    """What an error says of elements."""

    name: str
    elements: Sequence[Element]

    def __str__(self) -> str:
        more = f" and {len(self.elements) - 1} more" if len(self.elements) > 1 else ""
        return f"ipset {self.name} {self.elements[0]}{more}"


def _data(element: Element) -> bytes:
    parts = []
    if element.address:
        parts.append(_address(IP, element.address))
    if element.protocol or not element.address:
        parts.append(attribute(PORT | NET, element.port.to_bytes(2, "big")))
    if element.protocol:
        parts.append(attribute(PROTO, bytes([element.protocol])))
    if element.other:
        parts.append(_address(IP2, element.other))
    if element.prefix:
        parts.append(attribute(CIDR2, bytes([element.prefix])))
    return nested(DATA, *parts)


def _address(kind: int, address: bytes) -> bytes:
    return nested(kind, attribute((IPV4 if len(address) == 4 else IPV6) | NET, address))


def _element(name: str, family: Family, told: Mapping[int, memoryview]) -> Element:
    return Element(
        name,
        family,
        _inner(told.get(IP)),
        told[PROTO][0] if PROTO in told else 0,
        int.from_bytes(told[PORT], "big") if PORT in told else 0,
        _inner(told.get(IP2)),
        told[CIDR2][0] if CIDR2 in told else 0,
    )


def _inner(address: memoryview | None) -> bytes:
    return bytes(next(payload for _, payload in walk(address))) if address is not None else b""
