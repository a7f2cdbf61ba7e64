"""The server's side, spoken to in bytes: what is no request of ours must not harm others."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.cluster.rpc import Client
from testbed.cluster.server import Server


def echo(word: str) -> str:
    return word


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tb-") as folder:
        made = Path(folder) / "api.sock"
        with Server(made, {"echo": echo}) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            yield made
            server.shutdown()
            thread.join()


def ask(path: Path, line: bytes) -> Any:
    """One line sent, the first line that comes back; None if the connection is closed instead."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(path))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline()
        return json.loads(answer) if answer else None


def test_a_request_is_a_line(path: Path) -> None:
    assert ask(path, b'{"verb": "echo", "arguments": {"word": "hello"}}\n') == {"result": "hello"}


@pytest.mark.parametrize(
    "line",
    [
        b"not JSON\n",
        b"{}\n",
        b"[1]\n",
        b'{"verb": "echo"}\n',
        b'{"verb": ["echo"], "arguments": {}}\n',
        b"\xff\n",
    ],
)
def test_what_is_no_request_is_an_error(path: Path, line: bytes) -> None:
    assert ask(path, line)["error"]["kind"] == "UsageError"


@pytest.mark.parametrize("arguments", ["{}", '{"word": "hello", "bogus": 1}', '{"progress": 1}'])
def test_arguments_that_a_verb_does_not_take_are_wrong_usage(path: Path, arguments: str) -> None:
    error = ask(path, f'{{"verb": "echo", "arguments": {arguments}}}\n'.encode())["error"]
    assert (error["kind"], error["message"].split(":")[0]) == ("UsageError", "echo")


def test_who_hangs_up_harms_nobody(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(path))
        connection.sendall(b'{"verb": "echo", "arguments": {"word": "hello"}}\n' * 100)
    with Client(path) as client:
        assert client.call("echo", word="still there") == "still there"
