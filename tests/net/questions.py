"""What the sender of a case says, and when the answer to it is whole. Pure: bytes in, bytes out.

A pod answers one line with one line, its identity (`testbed.cluster.podserver`); HTTP requests carry many bytes,
or ask for a path of something that is no pod.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

import h11

from testbed.errors import TestbedError

LINE = b"who is there?\n"

Json = dict[str, Any]


class Question(Protocol):
    """One question. `short` says that it and its answer are one segment each."""

    words: bytes
    short: bool

    def answered(self, data: bytes) -> Json | None:
        """Take in more of the answer, empty at its end; what it tells when it is whole.

        Raises TestbedError for a wrong answer, ValueError for one that is no JSON.
        """
        ...


def question(protocol: str, size: int, path: str) -> Question:
    """The question of a packet: one line, or `size` bytes, or an HTTP request for `path`."""
    if protocol == "UDP":
        return Datagram(size)
    return Http(size, path) if size or path else Line()


class Line:
    """One line over a connection, answered by one line."""

    words, short = LINE, True

    def __init__(self) -> None:
        self._received = b""

    def answered(self, data: bytes) -> Json | None:
        """The identity, once its line is whole."""
        self._received += data
        return _json(self._received.partition(b"\n")[0]) if b"\n" in self._received else None


class Datagram:
    """One datagram, answered by one; with a size it must be told back."""

    short = True

    def __init__(self, size: int) -> None:
        self.words = b"x" * size or LINE
        self._size = size

    def answered(self, data: bytes) -> Json | None:
        """The identity."""
        identity = _json(data.partition(b"\n")[0])
        return _arrived(identity, len(identity.pop("echo", "")), self._size) if self._size else identity


class Http:
    """An HTTP request: `size` bytes to a pod, or a question for `path` to whoever answers there."""

    short = False

    def __init__(self, size: int, path: str) -> None:
        self._connection, self._body, self._status = h11.Connection(h11.CLIENT), b"", 0
        self._size = size
        headers = [("Host", "case"), ("Connection", "close"), ("Content-Length", str(size))]
        request = h11.Request(method="POST" if size else "GET", target=path or "/", headers=headers)
        parts = [request, *([h11.Data(data=b"x" * size)] if size else []), h11.EndOfMessage()]
        self.words = b"".join(self._connection.send(part) or b"" for part in parts)

    def answered(self, data: bytes) -> Json | None:
        """The identity of a pod that got everything; for a path the status and, where it is JSON, the body."""
        self._connection.receive_data(data)
        while True:
            event = self._next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return self._told()

    def _next_event(self) -> Any:
        try:
            return self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise TestbedError(f"no HTTP: {error}") from error

    def _told(self) -> Json:
        if self._size:
            identity = _json(self._body)
            return _arrived(identity, int(identity["bodyBytes"]), self._size)
        try:
            return {"status": self._status, "body": json.loads(self._body)}
        except ValueError:  # a body for people
            return {"status": self._status, "body": {}}


def _json(text: bytes) -> Json:
    found: Json = json.loads(text)
    return found


def _arrived(identity: Json, count: int, size: int) -> Json:
    """The identity, if as many bytes arrived as were sent. Raises TestbedError."""
    if count != size:
        raise TestbedError(f"{count} of {size} bytes arrived")
    return identity
