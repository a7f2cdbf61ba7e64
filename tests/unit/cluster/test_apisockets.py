"""The API's sockets take clients before anything is loaded that could answer them."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from testbed.cluster.apiserver.door import knock
from testbed.cluster.apisockets import API_SOCKET, DOOR_SOCKET, ApiSockets
from testbed.kube.api.rest import Api
from tests.unit.cluster.apiserver.serving import UnixConnection, an_api

HEAVY = (
    "testbed.cluster.apiserver",
    "testbed.kube.api.rest",
    "testbed.kube.client",
    "prometheus_client",
    "http.client",
)


class Made:
    """Makes an API, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.times = folder, 0

    def __call__(self) -> Api:
        self.times += 1
        return an_api(self._folder)[1]


def health(folder: Path) -> bytes:
    connection = UnixConnection(folder / API_SOCKET)
    connection.request("GET", "/healthz")
    answer = connection.getresponse().read()
    connection.close()
    return answer


def test_who_comes_before_the_start_is_answered_after_it(tmp_path: Path) -> None:
    sockets = ApiSockets(tmp_path, "test", Made(tmp_path))
    with socket.socket(socket.AF_UNIX) as early:
        early.connect(str(tmp_path / API_SOCKET))
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        sockets.start()
        early.settimeout(20)
        assert early.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_the_api_is_made_for_the_first_client_and_once(tmp_path: Path) -> None:
    make = Made(tmp_path)
    ApiSockets(tmp_path, "test", make).start()
    assert make.times == 0
    assert [health(tmp_path), health(tmp_path)] == [b"ok", b"ok"]
    assert make.times == 1


def test_the_door_opens_it_too(tmp_path: Path) -> None:
    make = Made(tmp_path)
    ApiSockets(tmp_path, "test", make).start()
    assert knock(tmp_path / DOOR_SOCKET).server.startswith("https://127.0.0.1:")
    assert make.times == 1


def test_nobody_but_the_owner_may_connect(tmp_path: Path) -> None:
    ApiSockets(tmp_path, "test", Made(tmp_path))
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in (API_SOCKET, DOOR_SOCKET)} == {0o600}


def test_a_deploy_loads_nothing_of_what_answers() -> None:
    script = "import sys, testbed.cli.main, testbed.cli.deploy, testbed.cluster.daemon; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True)
    assert not {*HEAVY} & {*loaded.stdout.split()}
