"""A transaction of nf_tables: many requests in one message, carried out all or not at all.

The kernel works on it while `sendmsg` runs, and whatever it complains of lies in the socket when that returns
(nfnetlink_rcv_batch in net/netfilter/nfnetlink.c). So no answer is asked for where all is well. Knows sockets and
sizes; knows nothing of what the requests mean.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence

from testbed.datapaths.nftables.netlink.culprit import named
from testbed.datapaths.nftables.netlink.expressions import be32
from testbed.datapaths.nftables.netlink.requests import GET_GENERATION, SUBSYSTEM
from testbed.errors import KernelStateError
from testbed.machine.netlink import (
    ERROR,
    GENERIC,
    HEADER,
    RECEIVE_BYTES,
    REQUEST,
    U32,
    Received,
    attributes,
    complaint,
    explained,
    failure,
    message,
    place,
    received,
)

BEGIN, END = 16, 17  # NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END
GENERATION = 1  # NFNL_BATCH_GENID, and NFTA_GEN_ID
WHOSE = GENERIC.pack(socket.AF_UNSPEC, 0, SUBSYSTEM >> 8)
SO_SNDBUFFORCE = 32  # asm-generic/socket.h
OVERHEAD = 32  # bytes of its send buffer that a socket keeps for itself (netlink_sendmsg)
LARGEST = 1 << 29  # bytes; the kernel doubles it, and keeps it in a signed 32-bit number


class Nftables:
    """A netlink socket to nf_tables. It stays in the namespace it was opened in, whichever thread uses it."""

    def __init__(self, opened: socket.socket) -> None:
        """`opened` is of AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER; from now on it is closed here."""
        self.socket = opened
        explained(opened)
        self.limit = _widened(opened)

    def commit(self, requests: Sequence[bytes], generation: int | None = None) -> bool:
        """Carry out the requests, all or none. Nothing is done and the answer is False if the kernel's tables are
        no longer of this `generation`.

        Raises KernelStateError, which names the object of the first request that was refused; or if the requests
        are more than `limit` bytes, which an ordinary user cannot widen.
        """
        if not requests:
            return True
        self._send(batch(requests, generation))
        refused = sorted(self._complaints(), key=lambda answer: answer.sequence)
        if not refused:
            return True
        if refused[0].sequence == 0 and failure(refused[0]) == errno.ERESTART:
            return False
        raise KernelStateError(_told(refused[0], requests))

    def generation(self) -> int:
        """The number of the last transaction of this network namespace, whoever's it was."""
        self.socket.send(message(SUBSYSTEM | GET_GENERATION, 0, GENERIC.pack(socket.AF_UNSPEC, 0, 0)))
        [answer] = received(self.socket.recv(RECEIVE_BYTES))
        if answer.kind == ERROR:
            raise KernelStateError(f"generation of nf_tables: {complaint(answer)}")
        return int.from_bytes(attributes(answer.body[GENERIC.size :])[GENERATION], "big")

    def close(self) -> None:
        """Close the socket; an open one keeps its namespace alive."""
        self.socket.close()

    def _send(self, batch: bytes) -> None:
        if len(batch) > self.limit:
            raise KernelStateError(
                f"a transaction of {len(batch)} bytes is more than the {self.limit} that may be sent at once"
                "\n    fix: sysctl -w net.core.wmem_max=67108864"
            )
        try:
            self.socket.send(batch)
        except OSError as error:
            raise KernelStateError(f"sending {len(batch)} bytes to nf_tables: {error.strerror}") from error

    def _complaints(self) -> Iterator[Received]:
        """What lies in the socket. If there was no room for all of it (ENOBUFS), the first ones are there."""
        while True:
            try:
                data = self.socket.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise KernelStateError(f"answer of nf_tables: {error.strerror}") from error
                continue
            yield from (answer for answer in received(data) if answer.kind == ERROR and failure(answer))


def _widened(opened: socket.socket) -> int:
    """Make the send buffer as large as is allowed; returns how many bytes may be sent at once.

    Without CAP_NET_ADMIN in the first user namespace that is twice net.core.wmem_max (sock_setsockopt).
    """
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, LARGEST)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - OVERHEAD


def weight(requests: Sequence[bytes]) -> int:
    """How many bytes a transaction of these requests is, to hold against `Nftables.limit`."""
    return sum(map(len, requests)) + 64  # its two ends


def batch(requests: Sequence[bytes], generation: int | None) -> bytes:
    """The requests between their two ends, numbered from 1."""
    expected = be32(GENERATION, generation) if generation is not None else b""
    whole = bytearray(message(BEGIN, 0, WHOSE + expected))
    at = len(whole)
    whole += b"".join(requests)
    for number, request in enumerate(requests, 1):
        U32.pack_into(whole, at + 8, number)  # nlmsg_seq
        at += len(request)
    whole += HEADER.pack(HEADER.size + len(WHOSE), END, REQUEST, len(requests) + 1, 0) + WHOSE
    return bytes(whole)


def _told(refused: Received, requests: Sequence[bytes]) -> str:
    """The object and what the kernel said of it. An error without a request of its own is about the whole."""
    which = refused.sequence - 1
    if 0 <= which < len(requests):
        return f"{named(requests[which], place(refused))}: {complaint(refused)}"
    return f"a transaction of {len(requests)} requests: {complaint(refused)}"
