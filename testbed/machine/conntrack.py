"""ctnetlink messages: the UDP flows that a network namespace's connection tracking knows, and their removal.

pyroute2 decodes a message in about a millisecond, and a busy node has 10,000 flows: so the two requests that
are needed are encoded here, and of an answer only what is asked for is read. The kernel sorts out protocol,
family and port itself (CTA_FILTER, since Linux 5.8). Knows numbers of the kernel's headers
(linux/netfilter/nfnetlink_conntrack.h); knows nothing of Services.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from testbed.errors import KernelStateError
from testbed.machine.netlink import (
    ACK,
    ATTRIBUTE,
    CAP_ACK,
    DONE,
    DUMP,
    ERROR,
    GENERIC,
    HEADER,
    NESTED,
    NETFILTER,
    RECEIVE_BYTES,
    REQUEST,
    SOL_NETLINK,
    U32,
    aligned,
    attribute,
)

Place = tuple[bytes, int]  # an address in network order, and a port

SUBSYSTEM, GET, DELETE, GET_STATS = 1 << 8, 1, 2, 5
TUPLE_ORIG, TUPLE_REPLY, ID, FILTER = 1, 2, 12, 25
GLOBAL_ENTRIES = 1  # of CTA_STATS_GLOBAL
TUPLE_IP, TUPLE_PROTO, PROTO_NUM, DST_PORT = 1, 2, 1, 3
ORIG_FLAGS, ONLY_PROTOCOL, ONLY_DST_PORT = 1, 1 << 3, 1 << 5  # net/netfilter/nf_internals.h, CTA_FILTER_F_*
# A tuple as the kernel writes it: headers of the IP part, source, destination; of the protocol part, its number
# (which fills four bytes), source port, destination port. Each value has a header of four bytes before it.
TUPLE = {
    socket.AF_INET: struct.Struct(">8x4s4x4s4x8x4xH2x4xH2x"),
    socket.AF_INET6: struct.Struct(">8x16s4x16s4x8x4xH2x4xH2x"),
}
DELETED_AT_ONCE = 128  # each may be answered by an error, and a socket's buffer holds some 250 of them


class Flow(NamedTuple):
    """One tracked UDP flow: where its first packet was sent, and from where answers are expected.

    The two differ where the destination is translated. `identity` is what the kernel finds the entry by.
    """

    destination: Place
    replier: Place
    identity: bytes


class Conntrack:
    """A socket in the calling thread's network namespace; it stays there, whichever thread uses it."""

    def __init__(self) -> None:
        """Raises KernelStateError."""
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        try:
            self._socket = socket.socket(socket.AF_NETLINK, kind, NETFILTER)
            self._socket.setsockopt(SOL_NETLINK, CAP_ACK, 1)
        except OSError as error:
            raise KernelStateError(f"opening connection tracking: {error.strerror}") from error

    def udp(self, family: int, port: int | None = None) -> Iterator[Flow]:
        """The UDP flows of one family (AF_INET, AF_INET6), or those that were sent to one port.

        To be read to the end before the socket is used again. Raises KernelStateError.
        """
        if not self.entries():
            return  # for a list the kernel looks at every bucket of its table, which all namespaces share
        self._request([_message(GET, DUMP, family, _wanted(port))])
        layout = TUPLE[socket.AddressFamily(family)]
        for kind, body in self._answers():
            if kind == DONE:
                return
            if kind == ERROR:
                raise KernelStateError(f"listing UDP flows: {os.strerror(_error(body))}")
            yield _flow(body, layout)

    def entries(self) -> int:
        """How many flows of all kinds are tracked. Raises KernelStateError."""
        self._request([_message(GET_STATS, 0, socket.AF_UNSPEC, b"")])
        kind, body = next(self._answers())
        if kind == ERROR:
            raise KernelStateError(f"counting flows: {os.strerror(_error(body))}")
        found = _attributes(body[GENERIC.size :], (GLOBAL_ENTRIES,))
        return int.from_bytes(found[GLOBAL_ENTRIES], "big")

    def delete(self, family: int, flows: Sequence[Flow]) -> int:
        """Forget flows: their next packets are new ones. Returns how many were still there.

        Raises KernelStateError if the kernel refuses; flows that have ended meanwhile are no error.
        """
        rest, deleted = iter(flows), 0
        while batch := list(islice(rest, DELETED_AT_ONCE)):
            deleted += self._delete(family, batch)
        return deleted

    def _delete(self, family: int, batch: Sequence[Flow]) -> int:
        self._request([_message(DELETE, ACK, family, flow.identity) for flow in batch])
        answers = self._answers()
        errors = [_error(next(answers)[1]) for _ in batch]
        refused = next((error for error in errors if error not in (0, errno.ENOENT)), 0)
        if refused:
            raise KernelStateError(f"deleting UDP flows: {os.strerror(refused)}")
        return errors.count(0)

    def _request(self, messages: Sequence[bytes]) -> None:
        try:
            self._socket.send(b"".join(messages))
        except OSError as error:
            raise KernelStateError(f"asking connection tracking: {error.strerror}") from error

    def _answers(self) -> Iterator[tuple[int, memoryview]]:
        """Each message's kind and what follows its header, for as long as one asks."""
        while True:
            try:
                data = memoryview(self._socket.recv(RECEIVE_BYTES))
            except OSError as error:
                raise KernelStateError(f"reading connection tracking: {error.strerror}") from error
            while data:
                length, kind, *_ = HEADER.unpack_from(data)
                yield kind, data[HEADER.size : length]
                data = data[aligned(length) :]

    def close(self) -> None:
        """Close the socket; an open one keeps its namespace alive."""
        self._socket.close()


def _message(verb: int, flags: int, family: int, attributes: bytes) -> bytes:
    body = GENERIC.pack(family, 0, 0) + attributes
    return HEADER.pack(HEADER.size + len(body), SUBSYSTEM | verb, flags | REQUEST, 0, 0) + body


def _wanted(port: int | None) -> bytes:
    """The kernel's filter: protocol UDP, and the port if there is one."""
    protocol = attribute(PROTO_NUM, bytes([socket.IPPROTO_UDP]))
    flags = ONLY_PROTOCOL
    if port is not None:
        protocol += attribute(DST_PORT, port.to_bytes(2, "big"))
        flags |= ONLY_DST_PORT
    wanted = attribute(TUPLE_ORIG | NESTED, attribute(TUPLE_PROTO | NESTED, protocol))
    return wanted + attribute(FILTER | NESTED, attribute(ORIG_FLAGS, U32.pack(flags)))


def _flow(body: memoryview, layout: struct.Struct) -> Flow:
    found = _attributes(body[GENERIC.size :], (TUPLE_ORIG, TUPLE_REPLY, ID))
    _, destination, _, port = layout.unpack_from(found[TUPLE_ORIG])
    replier, _, reply_port, _ = layout.unpack_from(found[TUPLE_REPLY])
    identity = attribute(TUPLE_ORIG | NESTED, bytes(found[TUPLE_ORIG])) + attribute(ID, bytes(found[ID]))
    return Flow((destination, port), (replier, reply_port), identity)


def _attributes(data: memoryview, wanted: tuple[int, ...]) -> dict[int, memoryview]:
    """The payloads of the wanted attributes."""
    found: dict[int, memoryview] = {}
    at = 0
    while len(found) < len(wanted) and at < len(data):
        length, kind = ATTRIBUTE.unpack_from(data, at)
        if kind & ~NESTED in wanted:
            found[kind & ~NESTED] = data[at + ATTRIBUTE.size : at + length]
        at += aligned(length)
    return found


def _error(body: memoryview) -> int:
    return -int.from_bytes(body[:4], "little", signed=True)
