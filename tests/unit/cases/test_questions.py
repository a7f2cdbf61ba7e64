"""What the sender says, and when an answer is whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from testbed.errors import TestbedError
from tests.net.questions import LINE, question

IDENTITY = json.dumps({"pod": "web-1"}).encode()


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


def got(body: dict[str, Any]) -> bytes:
    return response(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("protocol", "size", "path", "begins", "length"),
    [
        ("TCP", 0, "", LINE, len(LINE)),
        ("SCTP", 0, "", LINE, len(LINE)),
        ("UDP", 0, "", LINE, len(LINE)),
        ("UDP", 4000, "", b"xxxx", 4000),
        ("TCP", 5, "", b"POST / HTTP/1.1\r\n", None),
        ("TCP", 0, "/healthz", b"GET /healthz HTTP/1.1\r\n", None),
    ],
)
def test_words(protocol: str, size: int, path: str, begins: bytes, length: int | None) -> None:
    words = question(protocol, size, path).words
    assert words.startswith(begins)
    assert length is None or len(words) == length


def test_a_large_request_has_its_bytes() -> None:
    head, _, body = question("TCP", 70_000, "").words.partition(b"\r\n\r\n")
    assert b"Content-Length: 70000" in head
    assert len(body) == 70_000


@pytest.mark.parametrize(
    ("asked", "pieces", "told"),
    [
        (("TCP", 0, ""), [IDENTITY + b"\nrest"], {"pod": "web-1"}),
        (("TCP", 0, ""), [IDENTITY[:3], IDENTITY[3:], b"\n"], {"pod": "web-1"}),
        (("UDP", 0, ""), [IDENTITY], {"pod": "web-1"}),
        (("UDP", 3, ""), [json.dumps({"pod": "web-1", "echo": "xxx"}).encode()], {"pod": "web-1"}),
        (("TCP", 3, ""), [got({"pod": "web-1", "bodyBytes": 3})], {"pod": "web-1", "bodyBytes": 3}),
        (("TCP", 0, "/"), [got({"a": 1})[:20], got({"a": 1})[20:]], {"status": 200, "body": {"a": 1}}),
        (("TCP", 0, "/"), [response(b"no", b"503 Unavailable")], {"status": 503, "body": {}}),
    ],
)
def test_an_answer_that_is_whole(
    asked: tuple[str, int, str], pieces: Sequence[bytes], told: dict[str, Any]
) -> None:
    question_ = question(*asked)
    answers = [question_.answered(piece) for piece in pieces]
    assert answers == [None] * (len(pieces) - 1) + [told]


@pytest.mark.parametrize(
    ("asked", "data", "message"),
    [
        (("UDP", 4000, ""), json.dumps({"echo": "xxx"}).encode(), "3 of 4000 bytes arrived"),
        (("TCP", 9, ""), got({"pod": "web-1", "bodyBytes": 8}), "8 of 9 bytes arrived"),
        (("TCP", 0, "/healthz"), b"who are you?\r\n\r\n", "no HTTP"),
    ],
)
def test_a_wrong_answer(asked: tuple[str, int, str], data: bytes, message: str) -> None:
    with pytest.raises(TestbedError, match=message):
        question(*asked).answered(data)


def test_an_identity_that_is_none() -> None:
    with pytest.raises(json.JSONDecodeError):
        question("TCP", 0, "").answered(b"go away\n")
