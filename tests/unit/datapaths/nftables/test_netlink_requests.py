"""Requests and transactions as bytes, without a kernel: portions, numbers, names of what was refused."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import pytest

from testbed.datapaths.nftables import unnamed
from testbed.datapaths.nftables.encode import Changes
from testbed.datapaths.nftables.keys import key_bytes, key_of
from testbed.datapaths.nftables.model import (
    Chain,
    DnatToAny,
    Element,
    Field,
    Key,
    KeyType,
    MatchesAny,
    Rule,
    Set,
    Table,
    Verdict,
)
from testbed.datapaths.nftables.netlink.culprit import named
from testbed.datapaths.nftables.netlink.listing import elements_in, said
from testbed.datapaths.nftables.netlink.requests import COMMENT, ENDS_INTERVAL, comment, note
from testbed.datapaths.nftables.netlink.transaction import batch, weight
from testbed.machine.netlink import GENERIC, HEADER, received, walk
from testbed.proxier.plan import Family

TABLE = Table(Family.IPV4, "t")
ADDRESS = ip_address("10.0.0.1")


def elements(count: int) -> list[Element]:
    return [Element("s", (ip_address("10.0.0.0") + n,), comment="x" * 100) for n in range(count)]


def test_many_elements_are_as_few_requests_as_attributes_hold() -> None:
    changes = Changes(TABLE)
    changes.add(elements(2000))
    assert 4 <= len(changes.requests) <= 5
    assert all(len(request) < 1 << 16 for request in changes.requests[:-1])


def test_no_element_is_lost_between_requests() -> None:
    changes = Changes(TABLE)
    changes.add(elements(2000))
    bodies = [memoryview(request)[HEADER.size + GENERIC.size :] for request in changes.requests]
    keys = [each.key for body in bodies for each in elements_in(dict(walk(body))[3])]
    assert keys == [key_bytes(element.key) for element in elements(2000)]


def test_elements_of_different_sets_are_different_requests() -> None:
    changes = Changes(TABLE)
    changes.add([Element("s", (80,)), Element("s", (81,)), Element("t", (80,)), Element("s", (82,))])
    assert [named(request) for request in changes.requests] == [
        f"element of set {name} of table t" for name in ("s", "t", "s")
    ]


def test_a_batch_numbers_its_requests_between_its_ends() -> None:
    changes = Changes(TABLE)
    changes.add([Chain("a"), Chain("b")])
    messages = list(received(batch(changes.requests, None)))
    assert [each.kind for each in messages] == [16, 0xA03, 0xA03, 17]
    assert [each.sequence for each in messages] == [0, 1, 2, 3]


def test_a_weight_is_what_the_batch_weighs_at_most() -> None:
    changes = Changes(TABLE)
    changes.add([Chain("a"), Chain("b")])
    assert len(batch(changes.requests, 7)) <= weight(changes.requests) <= len(batch(changes.requests, 7)) + 64


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda changes: changes.add_table(), "table t"),
        (lambda changes: changes.delete_table(), "deleting table t"),
        (lambda changes: changes.flush_table(), "flushing all chains of table t"),
        (lambda changes: changes.add([Chain("c")]), "chain c of table t"),
        (lambda changes: changes.delete([Chain("c")]), "deleting chain c of table t"),
        (lambda changes: changes.flush([Chain("c")]), "flushing chain c of table t"),
        (lambda changes: changes.add([Rule("c", (Verdict("drop"),))]), "rule of chain c of table t"),
        (lambda changes: changes.add([Set("s", (KeyType.PORT,))]), "set s of table t"),
        (lambda changes: changes.delete([Set("s", (KeyType.PORT,))]), "deleting set s of table t"),
        (lambda changes: changes.flush([Set("s", (KeyType.PORT,))]), "deleting an element of set s of table t"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_refused_request_is_told_by_its_object(call, expected: str) -> None:  # type: ignore[no-untyped-def]
    changes = Changes(TABLE)
    call(changes)
    assert [named(request) for request in changes.requests] == [expected]


def test_the_element_that_an_error_points_at_is_told_by_key_and_comment() -> None:
    changes = Changes(TABLE)
    changes.add([Element("s", (80,), comment="web"), Element("s", (81,), comment="more")])
    [request] = changes.requests
    second = request.index(b"\0\x51") - 8  # its key is a value in an attribute in its attribute
    assert named(request, second - 4) == "element of set s of table t (0051 more)"


@pytest.mark.parametrize(
    ("kinds", "key"),
    [
        ((KeyType.IPV4,), (ADDRESS,)),
        ((KeyType.PORT,), (80,)),
        ((KeyType.PROTOCOL,), ("sctp",)),
        ((KeyType.PROTOCOL, KeyType.PORT), ("udp", 53)),
        ((KeyType.IPV6, KeyType.PROTOCOL, KeyType.PORT), (ip_address("fd00::1"), "tcp", 65535)),
        ((KeyType.IPV4, KeyType.IPV4, KeyType.PROTOCOL, KeyType.PORT), (ADDRESS, ADDRESS + 1, "tcp", 1)),
    ],
    ids=str,
)
def test_a_key_as_bytes_and_back(kinds: tuple[KeyType, ...], key: Key) -> None:
    assert key_of(kinds, key_bytes(key)) == key


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        (["10.0.0.1", "10.0.0.2"], ["10.0.0.1", "10.0.0.2"]),
        (["10.0.0.0/24", "10.0.2.0/24"], ["0.0.0.0 end", "10.0.0.0", "10.0.1.0 end", "10.0.2.0", "10.0.3.0 end"]),
        (["10.0.0.0/24", "10.0.1.0/24"], ["0.0.0.0 end", "10.0.0.0", "10.0.2.0 end"]),
        (["0.0.0.0/8", "10.0.0.1"], ["0.0.0.0", "1.0.0.0 end", "10.0.0.1", "10.0.0.2 end"]),
        (["10.0.0.0/8", "255.0.0.0/8"], ["0.0.0.0 end", "10.0.0.0", "11.0.0.0 end", "255.0.0.0"]),
    ],
    ids=str,
)  # fmt: skip
def test_networks_as_elements(networks: list[str], expected: list[str]) -> None:
    own = unnamed.brought_by(Family.IPV4, MatchesAny(Field.SADDR, tuple(map(ip_network, networks))))
    assert own is not None
    listed = elements_in(b"".join(own.elements))
    told = [f"{socket.inet_ntoa(each.key)}{' end' * (each.flags & ENDS_INTERVAL)}" for each in listed]
    assert told == expected


def test_a_name_tells_the_content_and_is_given_once() -> None:
    one, two = (unnamed.brought_by(Family.IPV4, DnatToAny(((ADDRESS, port),))) for port in (80, 81))
    assert one is not None
    assert two is not None
    names = [unnamed.name(one), unnamed.name(one)]
    assert names[0] != names[1]
    assert {unnamed.told(name) for name in names} == {unnamed.digest(one)}
    assert unnamed.digest(one) != unnamed.digest(two)


@pytest.mark.parametrize("name", ["__map0", "__set17", "named"])
def test_a_name_of_somebody_else_tells_nothing(name: str) -> None:
    own = unnamed.brought_by(Family.IPV4, DnatToAny(((ADDRESS, 80),)))
    assert own is not None
    assert unnamed.told(name) != unnamed.digest(own)


def test_a_comment_in_user_data() -> None:
    assert said(note(1, b"\0\0\0\0") + comment("words, two")) == "words, two"
    assert said(note(1, b"\0\0\0\0")) == ""
    assert comment("") == b""
    assert comment("x")[0] == COMMENT
