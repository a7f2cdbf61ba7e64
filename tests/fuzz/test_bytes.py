"""Bytes on the API's socket, damaged on the way: an answer in HTTP or none, and the next request is answered."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.damage import torn
from tests.fuzz.world import SEEDS, dice
from tests.generated.seeds import seeds
from tests.unit.cluster.apiserver.serving import MAPS, UnixConnection, said, served

REQUESTS = 20
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW", "get", "")
HEADERS = (
    "Content-Length: 99999999999", "Content-Length: -1", "Content-Length: 1, 2", "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip", "Expect: 100-continue", "Connection: close", "Host: x", "Accept: \x00",
    "X: " + "y" * 70000, "Content-Type: application/yaml", "Content-Encoding: gzip", ": x", " folded", "A" * 300,
    "Upgrade: h2c",
)  # fmt: skip


def request(rolled: Random) -> bytes:
    """One request, whole or torn."""
    body = json.dumps(rolled.choice(SEEDS)).encode()
    path = rolled.choice(
        (MAPS, f"{MAPS}/conf", f"{MAPS}?watch=1&timeoutSeconds=0", "/", "*", "//", "/../x", "x", "")
    )
    lines = [f"{rolled.choice(METHODS)} {path} HTTP/1.1", f"Content-Length: {len(body)}"]
    lines += rolled.sample(HEADERS, rolled.choice((0, 0, 1, 2)))
    whole = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
    return torn(rolled, whole) if rolled.random() < 0.6 else whole


@pytest.mark.parametrize("number", seeds(10))
def test_an_answer_or_none(number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rolled = dice(number)
    with caplog.at_level(logging.ERROR), served(tmp_path) as (_, path):
        for _ in range(REQUESTS):
            sent = request(rolled)
            answer = said(path, sent)
            assert not answer or answer.startswith(b"HTTP/1.1 "), (sent, answer)
            assert not answer.startswith(b"HTTP/1.1 500"), (sent, answer)
        connection = UnixConnection(path)
        connection.request("GET", MAPS)
        assert connection.getresponse().status == 200
        connection.close()
    assert not caplog.records
