"""Netlink as all its families share it (linux/netlink.h): messages, attributes, and what an answer says.

For those who encode requests by hand, as a library takes a large part of a millisecond for each: rtnetlink,
connection tracking, nf_tables, and whatever else comes over a netlink socket. Everything is bytes, nothing is an
object per attribute. Knows no family's own numbers, and opens no socket.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from testbed.errors import KernelStateError

REQUEST, MULTI, ACK, DUMP_INTERRUPTED = 0x1, 0x2, 0x4, 0x10
REPLACE, EXCL, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800  # of requests that make something
DUMP = 0x300  # of requests that list something
CAPPED, ACK_TLVS = 0x100, 0x200  # of answers
NOOP, ERROR, DONE, OVERRUN = 1, 2, 3, 4
SOL_NETLINK, CAP_ACK, EXT_ACK = 270, 10, 11  # an answer need not repeat the request; it may bring a text
MESSAGE_TEXT, PLACE = 1, 2  # NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS
NESTED = 0x8000
KIND = 0x3FFF  # of an attribute's type; the rest are flags
NETFILTER = 12  # the protocol of nf_tables, ipset and connection tracking (NETLINK_NETFILTER)

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # length, type
GENERIC = struct.Struct(">BBH")  # nfgenmsg (linux/netfilter/nfnetlink.h): family, version, resource
U32 = struct.Struct("=I")
LARGEST_ATTRIBUTE = (1 << 16) - 1 - ATTRIBUTE.size  # bytes of payload

RECEIVE_BYTES = 1 << 16  # the kernel cuts lists into pieces of at most half of that


class Received(NamedTuple):
    """One message of an answer; `body` is what follows its header, and valid as long as its datagram."""

    kind: int
    flags: int
    sequence: int
    body: memoryview


def attribute(kind: int, payload: bytes) -> bytes:
    """Type, length and value, filled up to four bytes."""
    length = ATTRIBUTE.size + len(payload)
    return ATTRIBUTE.pack(length, kind) + payload + bytes(-length % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """An attribute that holds a name, ended by a zero byte."""
    return attribute(kind, value.encode() + b"\0")


def message(kind: int, flags: int, body: bytes, sequence: int = 0) -> bytes:
    """A request with its header; bodies are made of attributes, so they need no filling up."""
    return HEADER.pack(HEADER.size + len(body), kind, flags | REQUEST, sequence, 0) + body


def aligned(length: int) -> int:
    """Filled up to four bytes."""
    return (length + 3) & ~3


def walk(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Each attribute's type, without flags, and its payload, in their order."""
    at, end = 0, len(data)
    while at < end:
        length, kind = ATTRIBUTE.unpack_from(data, at)
        yield kind & KIND, data[at + ATTRIBUTE.size : at + length]
        at += aligned(length)


def attributes(data: memoryview) -> dict[int, memoryview]:
    """The payload of each attribute by its type; for those that occur once."""
    return dict(walk(data))


def received(data: bytes) -> Iterator[Received]:
    """The messages of one datagram."""
    view = memoryview(data)
    while view:
        length, kind, flags, sequence, _ = HEADER.unpack_from(view)
        yield Received(kind, flags, sequence, view[HEADER.size : length])
        view = view[aligned(length) :]


def failure(answer: Received) -> int:
    """The errno of an ERROR message, or of a DONE that ends a list; 0 is success."""
    return -int.from_bytes(answer.body[:4], "little", signed=True) if answer.body else 0


def complaint(answer: Received) -> str:
    """What an ERROR message says: the text of its errno, and the kernel's own words where it has some."""
    told = _extended(answer).get(MESSAGE_TEXT, memoryview(b""))
    own = bytes(told).rstrip(b"\0").decode(errors="replace")
    plain = os.strerror(failure(answer))
    return f"{plain} ({own})" if own else plain


def place(answer: Received) -> int | None:
    """The offset into the request, its header counted, of the attribute that an ERROR message is about."""
    told = _extended(answer).get(PLACE)
    return U32.unpack_from(told)[0] if told is not None else None


def _extended(answer: Received) -> dict[int, memoryview]:
    """The attributes of an ERROR message; they follow the request, or its header if it is capped to that."""
    if not answer.flags & ACK_TLVS:
        return {}
    repeated = HEADER.size if answer.flags & CAPPED else U32.unpack_from(answer.body, 4)[0]
    return attributes(answer.body[4 + aligned(repeated) :])


def explained(opened: socket.socket) -> None:
    """Ask for answers that bring a text and do not repeat the request."""
    opened.setsockopt(SOL_NETLINK, CAP_ACK, 1)
    opened.setsockopt(SOL_NETLINK, EXT_ACK, 1)


def listed(opened: socket.socket, request: bytes, what: str) -> Iterator[Received]:
    """Ask for a list (a DUMP request) and yield its messages, to be read to the end.

    Raises KernelStateError, naming `what`, if the kernel refuses, or if the list changed while it was read.
    """
    opened.send(request)
    interrupted = False
    while True:
        for answer in received(_datagram(opened, what)):
            interrupted |= bool(answer.flags & DUMP_INTERRUPTED)
            if answer.kind in (ERROR, DONE):
                _ended(answer, interrupted, what)
                return
            yield answer


def _datagram(opened: socket.socket, what: str) -> bytes:
    try:
        return opened.recv(RECEIVE_BYTES)
    except OSError as error:
        raise KernelStateError(f"{what}: {error.strerror}") from error


def _ended(answer: Received, interrupted: bool, what: str) -> None:
    if failure(answer):
        raise KernelStateError(f"{what}: {complaint(answer)}")
    if interrupted:
        raise KernelStateError(f"{what}: {os.strerror(errno.EINTR)}: it changed while it was listed")
