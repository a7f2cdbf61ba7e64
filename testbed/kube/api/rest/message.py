"""A request and a response of the API, without any socket.

Knows HTTP's words. Knows neither paths nor objects.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from testbed.kube.api.rest import status

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
Stream = Generator[bytes, None, None]


@dataclass(frozen=True, slots=True)
class Request:
    """`path` is decoded; `query` has the last value of each parameter; names of `headers` are in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def flag(self, name: str) -> bool:
        """A boolean parameter, as Go's strconv.ParseBool and the API's conversion read it: present is true."""
        value = self.query.get(name, "false").lower()
        return value not in ("false", "f", "0")

    def number(self, name: str) -> int | None:
        """A parameter that is a whole number and not negative, None if it is not there. Raises StatusError."""
        text = self.query.get(name, "")
        if text == "":
            return None
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise status.bad_request(f'invalid query parameter {name}: strconv.ParseInt: parsing "{text}"')
        return int(text)

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. A `body` that is a generator is a stream: it yields b"" when it has nothing to say for a while,
    so that the transport can look whether anybody still listens, and is closed when nobody does."""

    code: int
    body: bytes | Stream
    content_type: str = JSON
    warnings: tuple[str, ...] = ()


def dumps(value: Any) -> bytes:
    """JSON as the API sends it: compact, one line."""
    return json.dumps(value, separators=(",", ":")).encode()


def answer(value: Any, code: int = 200, warnings: tuple[str, ...] = ()) -> Response:
    """A response with a JSON value."""
    return Response(code, dumps(value) + b"\n", JSON, warnings)
