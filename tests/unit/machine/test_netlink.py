"""Netlink messages as bytes: attributes, answers, and what an error says."""

from __future__ import annotations

import errno
import struct

import pytest

from testbed.machine import netlink as n


def answer(kind: int, flags: int, body: bytes) -> n.Received:
    [only] = n.received(n.HEADER.pack(n.HEADER.size + len(body), kind, flags, 7, 0) + body)
    return only


@pytest.mark.parametrize("size", range(5))
def test_an_attribute_is_filled_up_to_four_bytes(size: int) -> None:
    made = n.attribute(3, b"x" * size)
    assert len(made) % 4 == 0
    assert [(kind, bytes(value)) for kind, value in n.walk(memoryview(made))] == [(3, b"x" * size)]


def test_attributes_follow_each_other_and_hold_others() -> None:
    made = n.text(1, "ab") + n.nested(2, n.attribute(1, b"x"), n.attribute(5, b"yz"))
    found = n.attributes(memoryview(made))
    assert bytes(found[1]) == b"ab\0"
    assert {kind: bytes(value) for kind, value in n.walk(found[2])} == {1: b"x", 5: b"yz"}


def test_a_datagram_holds_several_messages() -> None:
    data = n.message(16, n.ACK, b"", 1) + n.message(17, 0, b"abcd", 2)
    found = [(each.kind, each.flags, each.sequence, bytes(each.body)) for each in n.received(data)]
    assert found == [(16, n.ACK | n.REQUEST, 1, b""), (17, n.REQUEST, 2, b"abcd")]


def test_an_error_tells_its_errno_in_words() -> None:
    told = answer(n.ERROR, n.CAPPED, struct.pack("=i", -errno.ENOENT) + bytes(n.HEADER.size))
    assert n.failure(told) == errno.ENOENT
    assert n.complaint(told) == "No such file or directory"
    assert n.place(told) is None


@pytest.mark.parametrize(("flags", "repeated"), [(n.CAPPED, 0), (0, 8)], ids=["capped", "whole"])
def test_an_error_brings_the_kernels_own_words_and_a_place(flags: int, repeated: int) -> None:
    request = n.HEADER.pack(n.HEADER.size + repeated, 1, 0, 0, 0) + bytes(repeated)
    more = n.attribute(2, n.U32.pack(40)) + n.text(1, "Chain is busy")
    told = answer(n.ERROR, flags | n.ACK_TLVS, struct.pack("=i", -errno.EBUSY) + request + more)
    assert n.complaint(told) == "Device or resource busy (Chain is busy)"
    assert n.place(told) == 40


def test_success_is_no_failure() -> None:
    assert n.failure(answer(n.ERROR, n.CAPPED, bytes(4 + n.HEADER.size))) == 0
    assert n.failure(answer(n.DONE, 0, bytes(4))) == 0
