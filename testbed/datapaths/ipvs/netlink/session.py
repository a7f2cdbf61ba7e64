"""A netlink socket in a node's namespace: many requests per system call, and the one that fails by its name.

Knows no family of requests. The kernel carries requests out in their order; it answers each error, and success only
where it is asked to, which is the last request of each piece.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from testbed.datapaths.contract import Node
from testbed.errors import KernelStateError
from testbed.machine import netlink

AT_ONCE = 200
"""Requests in one piece. Should each of them fail, their answers still fit into a socket's usual buffer."""
LARGEST_SEND = 1 << 16  # bytes; well under the usual net.core.wmem_default


class Request(NamedTuple):
    """`what` is told, as text, only if the kernel refuses."""

    kind: int
    flags: int
    body: bytes
    what: object


class Session:
    """One socket. `explain` says an errno that is a family's own; it may answer nothing."""

    def __init__(self, node: Node, protocol: int, explain: Callable[[int], str] = lambda _: "") -> None:
        """Raises KernelStateError if the kernel has no such protocol."""
        self._node, self._explain = node, explain
        self.requests = self.bytes = 0  # sent so far
        try:
            kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
            self._socket = node.socket(socket.AF_NETLINK, kind, protocol)
        except OSError as error:
            raise KernelStateError(f"{node.name}: netlink protocol {protocol}: {error.strerror}") from error
        netlink.explained(self._socket)

    def close(self) -> None:
        """An open socket keeps its namespace alive."""
        self._socket.close()

    def send(self, requests: Iterable[Request]) -> None:
        """Have them carried out in their order. Raises KernelStateError for the first that is refused; others of
        its piece may have been carried out."""
        piece: list[Request] = []
        size = 0
        for request in requests:
            length = netlink.HEADER.size + len(request.body)
            if piece and (len(piece) == AT_ONCE or size + length > LARGEST_SEND):
                self._exchange(piece, size)
                piece, size = [], 0
            piece.append(request)
            size += length
        if piece:
            self._exchange(piece, size)

    def _exchange(self, piece: list[Request], size: int) -> None:
        self.requests += len(piece)
        self.bytes += size
        last, pack = len(piece) - 1, netlink.message
        messages = [pack(r.kind, r.flags, r.body, n) for n, r in enumerate(piece)]
        messages[last] = pack(piece[last].kind, piece[last].flags | netlink.ACK, piece[last].body, last)
        try:
            self._socket.send(b"".join(messages))
            self._hear(piece)
        except OSError as error:
            raise KernelStateError(f"{self._node.name}: {piece[0].what}: {error.strerror}") from error

    def _hear(self, piece: list[Request]) -> None:
        refused: KernelStateError | None = None
        while True:
            for answer in netlink.received(self._socket.recv(netlink.RECEIVE_BYTES)):
                if netlink.failure(answer) and refused is None:
                    refused = self._refused(piece[answer.sequence].what, answer)
                if answer.sequence == len(piece) - 1:
                    if refused is not None:
                        raise refused
                    return

    def ask(self, request: Request) -> netlink.Received | None:
        """One request with one answer; None if the kernel says that there is no such thing."""
        self._socket.send(netlink.message(request.kind, request.flags, request.body))
        answer = next(netlink.received(self._socket.recv(netlink.RECEIVE_BYTES)))
        if answer.kind != netlink.ERROR:
            return answer
        if netlink.failure(answer) in ABSENT:
            return None
        raise self._refused(request.what, answer)

    def list(self, request: Request) -> Iterator[netlink.Received]:
        """A list, to be read to its end. Raises KernelStateError."""
        message = netlink.message(request.kind, request.flags | netlink.DUMP, request.body)
        return netlink.listed(self._socket, message, f"{self._node.name}: {request.what}")

    def _refused(self, what: object, answer: netlink.Received) -> KernelStateError:
        said = self._explain(netlink.failure(answer)) or netlink.complaint(answer)
        return KernelStateError(f"{self._node.name}: {what}: {said}")


ABSENT = frozenset({2, 3, 19})  # ENOENT, ESRCH, ENODEV
