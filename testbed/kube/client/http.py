"""HTTP over a daemon's Unix socket: a request, its answer, or a stream of lines.

Knows sockets and HTTP, and that a failure's body is a Status object. Knows no resource.
"""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.errors import StatusError, TestbedError, error_from_json

JSON = "application/json"
_LINE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `target` is an escaped path with its query, `body` is sent as JSON unless None."""

    method: str
    target: str
    body: Any = None
    content_type: str = JSON
    accept: str = JSON


class _UnixConnection(http.client.HTTPConnection):
    """http.client over a socket in the file system."""

    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost")
        self._path, self._seconds = path, timeout

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        try:
            self.sock.connect(str(self._path))
        except OSError as error:
            self.close()
            raise TestbedError(f"no daemon answers at {self._path}: {error.strerror}") from error

    def hang_up_if_over(self) -> None:
        """A server cuts off whoever says nothing for long (`apiserver/http.py`); the next request connects anew.

        Nothing comes unasked, so what can be read here is the end.
        """
        if self.sock is not None and select.select([self.sock], (), (), 0)[0]:
            self.close()


def say_nothing(_: str) -> None:
    """What to do with warnings where nobody reads them."""


class Transport:
    """A connection that is kept, and one more for each stream. For one thread.

    `timeout` is how many seconds an answer may stay away (None: for ever); streams have none. `warn` is called
    with each warning that comes with an answer.
    """

    def __init__(self, path: Path, timeout: float | None, warn: Callable[[str], None]) -> None:
        self._path, self._warn = path, warn
        self._connection = _UnixConnection(path, timeout)

    def call(self, request: Request) -> Any:
        """The answer's JSON. Raises the error that a failure's Status tells, TestbedError if nobody answers."""
        with _told(self._path):
            response = self._send(self._connection, request)
            body = response.read()
        if response.status >= http.client.BAD_REQUEST:
            raise _failure(body)
        return _parsed(body)

    def lines(self, request: Request) -> Iterator[bytes]:
        """The answer line by line, as it comes; ends when the other side ends it. Raises as `call`.

        The request has been answered, and refused if so, before this returns.
        """
        connection = _UnixConnection(self._path, None)
        try:
            with _told(self._path):
                response = self._send(connection, request)
                if response.status >= http.client.BAD_REQUEST:
                    raise _failure(response.read())
        except TestbedError:
            connection.close()
            raise
        return self._streamed(connection, response)

    def _streamed(self, connection: _UnixConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            with _told(self._path):
                while line := response.readline():
                    yield line
        finally:
            response.close()
            connection.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _send(self, connection: _UnixConnection, request: Request) -> http.client.HTTPResponse:
        headers = {"Accept": request.accept}
        body = None
        if request.body is not None:
            body = json.dumps(request.body).encode()
            headers["Content-Type"] = request.content_type
        connection.hang_up_if_over()
        connection.request(request.method, request.target, body, headers)
        response = connection.getresponse()
        for warning in response.headers.get_all("Warning", ()):
            self._warn(_warning_text(warning))
        return response


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A connection that fails is told in one line."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise TestbedError(f"the daemon at {path} went away: {error or type(error).__name__}") from error


def _failure(body: bytes) -> TestbedError:
    """The error of ours that a Status carries, else the Status itself."""
    status = _parsed(body)
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return TestbedError(f"the daemon refuses without a reason: {body[:200]!r}")
    return error_from_json(status["testbed"]) if "testbed" in status else StatusError(status)


def _warning_text(header: str) -> str:
    """The text of a warning (RFC 7234, 5.5): `299 - "text"`."""
    _, quote, rest = header.partition('"')
    text = rest.rpartition('"')[0] if quote else header
    return text.replace('\\"', '"').replace("\\\\", "\\")


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise TestbedError(f"the daemon's answer is no JSON: {body[:200]!r}") from error
