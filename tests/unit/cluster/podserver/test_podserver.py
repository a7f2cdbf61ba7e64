"""The parts of the pod server that need no socket."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from testbed.cluster.podserver.control import serve
from testbed.cluster.podserver.server import Server
from testbed.cluster.podserver.sockets import address_text
from testbed.cluster.podserver.spec import Identity, PodSpec, Port, spec_of
from testbed.cluster.podserver.stream import REQUEST

SPEC = PodSpec("default/a/app", "default_a", Identity("a", "default", "node1", "10.244.0.2"), (Port(80),))


def test_spec_survives_the_pipe() -> None:
    assert spec_of(json.loads(json.dumps(SPEC.json()))) == SPEC


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("10.244.0.2", 80), "10.244.0.2:80"),
        (("::ffff:10.244.0.2", 80, 0, 0), "10.244.0.2:80"),
        (("fd00:10:244::2", 80, 0, 0), "[fd00:10:244::2]:80"),
        (("::ffff:1", 80, 0, 0), "[::ffff:1]:80"),  # an ordinary, if odd, IPv6 address
    ],
)
def test_address_of_a_client(address: tuple[object, ...], text: str) -> None:
    assert address_text(address) == text


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1", b"OPTIONS * HTTP/1.1"])
def test_request_is_known_by_its_method(data: bytes) -> None:
    assert REQUEST.match(data)


@pytest.mark.parametrize("data", [b"", b"GET", b"GETS ", b"get / ", b"hello GET "])
def test_other_bytes_are_no_request(data: bytes) -> None:
    assert REQUEST.match(data) is None


def conversation(tmp_path: Path, *lines: bytes) -> list[dict[str, Any]]:
    """What a server says to these lines, until the end of its input."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.writelines(line + b"\n" for line in lines)
    with open(tmp_path / "answers", "wb") as answers:
        asyncio.run(serve(Server(tmp_path), os.fdopen(reading, "rb"), answers))
    return [json.loads(line) for line in (tmp_path / "answers").read_text().splitlines()]


def test_ping_and_close_of_nothing_are_answered(tmp_path: Path) -> None:
    said = conversation(tmp_path, b'{"id": 1, "ping": {}}', b'{"id": 2, "close": {"key": "none"}}')
    assert said == [{"id": 1, "ok": True}, {"id": 2, "ok": True}]


@pytest.mark.parametrize("batch", [True, False])
def test_open_in_a_namespace_that_is_not_there(tmp_path: Path, batch: bool) -> None:
    request = {"id": 7, "open": [SPEC.json()] if batch else SPEC.json()}
    [answer] = conversation(tmp_path, json.dumps(request).encode())
    assert answer["id"] == 7
    assert [(e["key"], e["port"], e["protocol"]) for e in answer["errors"]] == [("default/a/app", 80, "TCP")]
    assert "default_a" in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("line", "number"),
    [(b"{", None), (b"[]", None), (b'{"id": 3, "dance": {}}', 3), (b'{"id": 4, "open": {"key": "a"}}', 4)],
)
def test_what_is_no_request_gets_an_error(tmp_path: Path, line: bytes, number: int | None) -> None:
    [answer] = conversation(tmp_path, line)
    assert answer["id"] == number
    assert "no such request" in answer["error"]
