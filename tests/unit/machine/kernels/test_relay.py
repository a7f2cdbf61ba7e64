"""The relay's sockets: what connects to them outside talks to those of the same names inside."""

from __future__ import annotations

import json
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.cluster.apiserver.door import knock
from testbed.errors import TestbedError
from testbed.machine.kernels.relay import DOOR, EXEC, FORWARDED, listen
from tests.unit.machine.kernels.wiring import Pretended, pretended
from tests.waiting import until

PATIENCE = 30.0


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Pretended]:
    with pretended(tmp_path) as made:
        yield made


@pytest.fixture
def server(guest: Pretended) -> Iterator[socket.socket]:
    """A daemon's socket inside."""
    with listen(guest.inside / "api.sock") as listening:
        listening.settimeout(PATIENCE)
        yield listening


def connected(guest: Pretended, name: str = "api.sock") -> socket.socket:
    """A client outside."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(str(guest.folder / name))
    return client


def everything(end: socket.socket) -> bytes:
    """What comes until the other side says that it is all."""
    return b"".join(iter(lambda: end.recv(1 << 16), b""))


def has_left(end: socket.socket) -> bool:
    """True if the other side neither speaks nor listens."""
    try:
        end.sendall(b"another event")
    except BrokenPipeError:
        return True
    return False


@pytest.mark.parametrize("name", [*FORWARDED, DOOR, EXEC])
def test_only_the_owner_may_connect(guest: Pretended, name: str) -> None:
    assert stat.S_IMODE((guest.folder / name).stat().st_mode) == 0o600


def test_megabytes_go_both_ways_at_once(guest: Pretended, server: socket.socket) -> None:
    question, answer = bytes(range(256)) * 20_000, bytes(reversed(range(256))) * 20_000
    heard: list[bytes] = []

    def serve() -> None:
        taken, _ = server.accept()
        with taken:
            taken.settimeout(PATIENCE)
            sending = threading.Thread(target=taken.sendall, args=(answer,))
            sending.start()
            heard.append(everything(taken))
            sending.join()

    daemon = threading.Thread(target=serve)
    daemon.start()
    with connected(guest) as client:
        sending = threading.Thread(target=lambda: (client.sendall(question), client.shutdown(socket.SHUT_WR)))
        sending.start()
        assert everything(client) == answer
        sending.join()
    daemon.join()
    assert heard == [question]


def test_a_side_that_has_said_all_still_listens(guest: Pretended, server: socket.socket) -> None:
    with connected(guest) as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        taken, _ = server.accept()
        with taken:
            assert everything(taken) == b"question"
            taken.sendall(b"answer")
        assert everything(client) == b"answer"


def test_a_client_that_leaves_is_noticed_inside(guest: Pretended, server: socket.socket) -> None:
    client = connected(guest)
    taken, _ = server.accept()
    with taken:
        taken.settimeout(PATIENCE)
        taken.sendall(b"an event")
        assert client.recv(100) == b"an event"
        client.close()
        assert taken.recv(1) == b""
        until(lambda: has_left(taken), "the connection to be closed inside")


def test_nobody_listens_inside(guest: Pretended) -> None:
    with connected(guest) as client:
        assert client.recv(1) == b""


def test_when_the_agent_dies_all_connections_end(guest: Pretended, server: socket.socket) -> None:
    with connected(guest) as client:
        taken, _ = server.accept()
        with taken:
            guest.agent.kill()
            assert client.recv(1) == b""
    until(lambda: not (guest.folder / EXEC).exists(), "the sockets to be removed")


def test_the_door_leads_inside(guest: Pretended) -> None:
    """The daemon's server is inside; the port that the client brings is outside, and leads there."""
    served: list[socket.socket] = []

    def daemon(door: socket.socket) -> None:
        taken, _ = door.accept()
        with taken:
            _, descriptors, _, _ = socket.recv_fds(taken, 1, 1)
            served.append(socket.socket(fileno=descriptors[0]))
            port = served[0].getsockname()[1]
            told = {"server": f"https://127.0.0.1:{port}", "authority": "PEM", "token": "secret"}
            taken.sendall(json.dumps(told).encode() + b"\n")
            taken.shutdown(socket.SHUT_WR)  # first this, then the rest, as socketserver ends a visit
            taken.recv(1)

    with listen(guest.inside / DOOR) as door:
        thread = threading.Thread(target=daemon, args=(door,))
        thread.start()
        access = knock(guest.folder / DOOR)
        thread.join()
    with served[0], socket.create_connection(("127.0.0.1", int(access.server.rpartition(":")[2]))) as client:
        client.settimeout(PATIENCE)
        client.sendall(b"GET /")
        taken, _ = served[0].accept()
        with taken:
            assert served[0].getsockname() != client.getpeername()
            assert taken.recv(100) == b"GET /"
    assert (access.authority, access.token) == ("PEM", "secret")
    assert knock(guest.folder / DOOR) == access  # a second visitor gets what the first one got


def test_a_door_that_nobody_opens(guest: Pretended) -> None:
    with pytest.raises(TestbedError, match="No such file"):
        knock(guest.folder / DOOR)
