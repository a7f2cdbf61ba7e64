"""One ICMP echo request and what became of it: answered, refused by an ICMP error, or nothing.

A raw socket: in a fresh network namespace the kernel lets no group use the others (ping_group_range, icmp(7)).
Knows sockets; knows neither cases nor namespaces' names.
"""

from __future__ import annotations

import errno
import itertools
import os
import select
import socket
import struct
import time
from typing import Any, Protocol

IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h
ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}  # request and reply (RFC 792, RFC 4443)
PROTOCOL = {socket.AF_INET: socket.IPPROTO_ICMP, socket.AF_INET6: socket.IPPROTO_ICMPV6}
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)  # no route, or nobody there who would have the address
HEAD = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence
PAYLOAD = b"who is there?!"
_sequences = itertools.count(1)


class Opener(Protocol):
    """Makes a socket where the request is to be sent from (`testbed.machine.netns.Netns`)."""

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket: ...


class Ping:
    """One echo request, sent when it is made."""

    def __init__(self, place: Opener, address: str, patience: float) -> None:
        self.patience = patience
        self.family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = place.socket(self.family, socket.SOCK_RAW, PROTOCOL[self.family])
        self.socket.setblocking(False)
        if self.family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        self.mark = os.getpid() & 0xFFFF, next(_sequences) & 0xFFFF
        self.answer: dict[str, Any] | None = None
        try:
            self.socket.connect((address, 0))
            self.socket.send(self._request())
        except OSError as error:
            self._failed(error.errno or 0)

    def wait(self, seconds: float) -> dict[str, Any] | None:
        """What became of it so far, after at most `seconds`; None is silence."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        while self.answer is None:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            try:
                self._read(self.socket.recv(2048))
            except BlockingIOError:
                continue
            except OSError as error:
                self._failed(error.errno or 0)
        return self.answer

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _request(self) -> bytes:
        kind, _ = ECHO[self.family]
        head = HEAD.pack(kind, 0, 0, *self.mark)
        return HEAD.pack(kind, 0, checksum(head + PAYLOAD), *self.mark) + PAYLOAD

    def _read(self, data: bytes) -> None:
        """Take the reply to this request; a raw socket gets everybody's, and for IPv4 with the IP header."""
        body = data[(data[0] & 0xF) * 4 :] if self.family == socket.AF_INET else data
        kind, _, _, *mark = HEAD.unpack_from(body)
        if kind == ECHO[self.family][1] and tuple(mark) == self.mark:
            self.answer = _told("answered")

    def _failed(self, number: int) -> None:
        if number == errno.ECONNREFUSED:
            self.answer = _told("refused")
        elif number in UNREACHABLE:
            self.answer = _told("unreachable")
        elif number != errno.EPERM:  # dropped on the way out: a drop like any other
            self.answer = _told("broken", errno.errorcode.get(number, str(number)))


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071). For ICMPv6 the kernel puts its own in its place (RFC 3542, 3.1)."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _told(outcome: str, note: str = "") -> dict[str, Any]:
    return {"outcome": outcome, "identity": {}, "note": note}
