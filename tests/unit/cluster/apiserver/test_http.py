"""HTTP: connections that live, streams, limits, and clients that behave badly."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.kube.store import Store
from tests.unit.cluster.apiserver.serving import MAPS, UnixConnection, said, served, status_of
from tests.waiting import until

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
BODY = json.dumps(MAP).encode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Store, Path]]:
    """A store, and the socket where its API is served."""
    with served(tmp_path) as found:
        yield found


@pytest.fixture
def path(server: tuple[Store, Path]) -> Path:
    """The socket."""
    return server[1]


def ask(
    connection: UnixConnection, method: str, target: str, body: Any = None, **headers: str
) -> tuple[int, Any]:
    connection.request(method, target, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_only_its_owner_may_connect(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_many_requests_on_one_connection(path: Path) -> None:
    connection = UnixConnection(path)
    codes = [
        ask(connection, "POST", MAPS, MAP)[0],
        ask(connection, "POST", MAPS, MAP)[0],
        ask(connection, "GET", f"{MAPS}/c")[0],
        ask(connection, "DELETE", f"{MAPS}/c")[0],
        ask(connection, "GET", f"{MAPS}/c")[0],
    ]
    connection.close()
    assert codes == [201, 409, 200, 200, 404]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (f"{MAPS}?labelSelector=a%3Db%2Cc", 200),
        (f"{MAPS}/a%20b", 404),
        (f"{MAPS}/%2e%2e", 404),
        (f"{MAPS}/..%2f..%2fsecrets", 400),
        (f"{MAPS}/%ff", 404),
        ("//api/v1//pods", 404),
        (f"{MAPS}?limit=1&limit=x", 400),
        (f"{MAPS}?{'a=b&' * 200}", 400),
    ],
)
def test_targets(path: Path, target: str, code: int) -> None:
    connection = UnixConnection(path)
    assert ask(connection, "GET", target)[0] == code
    connection.close()


def test_a_chunked_body(path: Path) -> None:
    half = len(BODY) // 2
    chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (len(part), part) for part in (BODY[:half], BODY[half:]))
    head = (
        f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    )
    assert status_of(said(path, head + chunks + b"0\r\nTrailer: t\r\n\r\n"))[0] == 201


def request(method: str = "POST", *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {MAPS} HTTP/1.1", "Host: x", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(request("POST", "Connection: close"), 400, id="no length is no body"),
        pytest.param(request("POST", "Content-Length: x"), 400, id="a length that is no number"),
        pytest.param(request("POST", "Content-Length: -1"), 400, id="a negative length"),
        pytest.param(
            request("POST", "Content-Length: 99999999999999999999"), 400, id="a length of 20 digits"
        ),
        pytest.param(request("POST", f"Content-Length: {4 << 20}"), 413, id="4 MiB are announced"),
        pytest.param(request("POST", "Content-Length: 100", body=b"{"), 400, id="a body that ends early"),
        pytest.param(request("POST", "Transfer-Encoding: gzip"), 400, id="another encoding"),
        pytest.param(
            request("POST", "Transfer-Encoding: chunked", body=b"zz\r\n"), 400, id="a chunk without size"
        ),
        pytest.param(
            request("POST", "Transfer-Encoding: chunked", body=b"-5\r\n"), 413, id="a negative chunk"
        ),
        pytest.param(
            request("POST", "Transfer-Encoding: chunked", body=b"fffffff\r\n"), 413, id="a large chunk"
        ),
        pytest.param(
            request("POST", "Transfer-Encoding: chunked", body=b"5\r\nab"), 400, id="a chunk that ends early"
        ),
        pytest.param(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", 414, id="a long first line"),
        pytest.param(request("GET", "X: " + "a" * 100_000), 431, id="a long header"),
        pytest.param(request("GET", *(f"X{n}: a" for n in range(200))), 431, id="many headers"),
        pytest.param(b"GET /api HTTP/9.9\r\n\r\n", 505, id="another version"),
        pytest.param(b"GET\r\n\r\n", 400, id="no target"),
        pytest.param(b"GET /api\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, id="TLS where none is spoken"),
        pytest.param(request("BREW", "Connection: close"), 405, id="an unknown method"),
        pytest.param(request("HEAD", "Connection: close"), 405, id="HEAD"),
    ],
)
def test_clients_that_behave_badly(path: Path, data: bytes, code: int) -> None:
    answer = said(path, data)
    assert int(answer.split()[1]) == code
    if not data.startswith(b"HEAD"):
        assert status_of(answer)[1]["kind"] == "Status"


def test_others_are_served_while_one_says_nothing(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(path))
        silent.sendall(b"POST ")
        connection = UnixConnection(path)
        assert ask(connection, "GET", "/version")[0] == 200
        connection.close()


def test_a_warning_is_one_line(path: Path) -> None:
    connection = UnixConnection(path)
    connection.request("POST", MAPS, json.dumps(MAP | {'say "\r\nhi': 1}))
    response = connection.getresponse()
    response.read()
    connection.close()
    assert (response.status, response.headers["Warning"]) == (
        201,
        '299 - "unknown field \\"[say \\" hi]\\""',
    )


def test_a_watch_is_a_stream(server: tuple[Store, Path]) -> None:
    store, path = server
    connection = UnixConnection(path)
    connection.request("GET", f"{MAPS}?watch=true")
    response = connection.getresponse()
    assert response.headers["Transfer-Encoding"] == "chunked"
    for name in "ab":
        store.create({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}})
        event = json.loads(response.readline())
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
    response.close()
    connection.close()


def test_a_watch_ends_as_a_whole_answer(path: Path) -> None:
    connection = UnixConnection(path)
    connection.request("GET", f"{MAPS}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true")
    assert json.loads(connection.getresponse().read())["type"] == "BOOKMARK"
    assert ask(connection, "GET", "/version")[0] == 200
    connection.close()


def test_who_hangs_up_in_a_watch_is_forgotten(server: tuple[Store, Path]) -> None:
    store, path = server
    connection = UnixConnection(path)
    connection.request("GET", f"{MAPS}?watch=true")
    response = connection.getresponse()
    assert len(store.watching()) == 1
    response.close()
    connection.close()
    until(lambda: not store.watching(), "the watch to be closed")


def test_a_bug_ends_the_connection_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served(tmp_path) as (store, path):
        store.create({"kind": "Pod", "metadata": {"name": "a", "namespace": "default"}, "spec": {}})
        assert said(path, b"GET /api/v1/namespaces/default/pods/a/log HTTP/1.1\r\n\r\n") == b""
    assert "an API request failed" in caplog.text
