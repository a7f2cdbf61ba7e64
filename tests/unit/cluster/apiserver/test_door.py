"""TCP by a socket that the client brings: TLS, the token, and that a second client gets the same."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import stat
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from testbed.cluster.apiserver import Door
from testbed.cluster.apiserver.door import Access, knock
from testbed.cluster.apiserver.tls import make
from testbed.errors import TestbedError
from tests.unit.cluster.apiserver.serving import an_api, running


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Path]:
    """The socket of an instance's door."""
    _, api = an_api(tmp_path)
    path = tmp_path / "door.sock"
    with Door(path, "test", api) as server, running(server):
        yield path


def asked(access: Access, token: str, authority: str = "") -> tuple[int, dict[str, object]]:
    """GET /version over TLS, as kubectl does."""
    context = ssl.create_default_context(cadata=authority or access.authority)
    host = access.server.removeprefix("https://")
    connection = HTTPSConnection(host, context=context, timeout=20)
    connection.request("GET", "/version", headers={"Authorization": f"Bearer {token}"} if token else {})
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


def test_with_the_token(door: Path) -> None:
    access = knock(door)
    code, version = asked(access, access.token)
    assert (code, version["major"]) == (200, "1")


@pytest.mark.parametrize("token", ["", "wrong", "t\xf6ken"])
def test_without_the_token(door: Path, token: str) -> None:
    code, status = asked(knock(door), token)
    assert (code, status["reason"]) == (401, "Unauthorized")


def test_a_client_that_trusts_somebody_else(door: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        asked(knock(door), "", make("other").authority.decode())


def test_a_second_client_gets_the_same(door: Path) -> None:
    assert knock(door) == knock(door)


def test_only_its_owner_may_knock(door: Path) -> None:
    assert stat.S_IMODE(door.stat().st_mode) == 0o600


def test_it_listens_on_the_loopback_alone(door: Path) -> None:
    assert knock(door).server.startswith("https://127.0.0.1:")


def test_no_key_stays_on_disk(door: Path) -> None:
    knock(door)
    assert [path.name for path in door.parent.iterdir()] == ["door.sock"]


def test_plain_bytes_where_tls_is_spoken(door: Path) -> None:
    access = knock(door)
    port = int(access.server.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in client.recv(1024)
    assert asked(access, access.token)[0] == 200


def test_what_is_no_listening_socket_is_refused(door: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client, socket.socket() as deaf:
        client.settimeout(20)
        client.connect(str(door))
        socket.send_fds(client, [b"\0"], [deaf.fileno()])
        assert json.loads(client.makefile("rb").readline()) == {"error": "one listening socket is wanted"}


def test_nobody_at_home(tmp_path: Path) -> None:
    with pytest.raises(TestbedError, match="no daemon answers at"):
        knock(tmp_path / "door.sock")
