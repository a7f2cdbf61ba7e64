"""HTTP servers of kube-proxies in real network namespaces: many in one thread, opened and closed. Needs root."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from ipaddress import ip_address
from pathlib import Path

import pytest

from testbed.cluster.kubeproxy.http import Answer, Handler, HttpServers
from testbed.errors import KernelStateError
from testbed.machine import netns
from testbed.machine.netns import Netns

ANY, ANY6 = ip_address("0.0.0.0"), ip_address("::")
PORT, MANY = 30914, 50


@pytest.fixture
def servers() -> Iterator[HttpServers]:
    made = HttpServers()
    yield made
    made.stop()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Netns]]:
    made = netns.create(["node1", "node2"], folder=tmp_path)
    for node in made:
        node.run(["ip", "link", "set", "lo", "up"])
    yield made
    for node in made:
        netns.delete(node)


def echo(path: str) -> Answer:
    """Says which path was asked for, and in which thread."""
    return Answer(path.encode(), 200, {"X-Thread": threading.current_thread().name})


def named(name: str) -> Handler:
    """Says a name, and in which thread."""
    return lambda path: Answer(name.encode(), 200, echo(path).headers)


class Connection(HTTPConnection):
    """A client in a namespace; it keeps its connection as long as the server does."""

    def __init__(self, node: Netns, host: str = "127.0.0.1") -> None:
        super().__init__(host, PORT, timeout=10.0)
        self.node = node

    def connect(self) -> None:
        """Open the socket inside."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.sock = self.node.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(10.0)
        self.sock.connect((self.host, self.port))

    def ask(self, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
        """One request on this connection."""
        self.request(method, path)
        response = self.getresponse()
        return response, response.read()


def test_each_namespace_has_its_own_server_and_all_one_thread(
    servers: HttpServers, nodes: list[Netns]
) -> None:
    told = []
    for node in nodes:
        servers.listen(node, ANY, PORT, named(node.name))
    for node in nodes:
        with closing(Connection(node)) as client:
            response, body = client.ask("/")
            told.append((body.decode(), response.headers["X-Thread"]))
    assert told == [("node1", "kube-proxy-http"), ("node2", "kube-proxy-http")]


def test_both_families_may_have_the_port(servers: HttpServers, nodes: list[Netns]) -> None:
    servers.listen(nodes[0], ANY, PORT, lambda _: Answer(b"four"))
    servers.listen(nodes[0], ANY6, PORT, lambda _: Answer(b"six"))
    bodies = []
    for host in ("127.0.0.1", "::1"):
        with closing(Connection(nodes[0], host)) as client:
            bodies.append(client.ask("/")[1])
    assert bodies == [b"four", b"six"]


def test_many_requests_on_one_connection(servers: HttpServers, nodes: list[Netns]) -> None:
    servers.listen(nodes[0], ANY, PORT, echo)
    with closing(Connection(nodes[0])) as client:
        paths = [f"/{number}" for number in range(MANY)]
        assert [client.ask(path)[1].decode() for path in paths] == paths


def test_many_connections_at_once(servers: HttpServers, nodes: list[Netns]) -> None:
    servers.listen(nodes[0], ANY, PORT, echo)
    clients = [Connection(nodes[0]) for _ in range(MANY)]
    for number, client in enumerate(clients):
        client.request("GET", f"/{number}")
    assert [client.getresponse().read().decode() for client in clients] == [f"/{n}" for n in range(MANY)]
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("method", "path", "body"), [("GET", "/a?b=c", b"/a"), ("HEAD", "/a", b""), ("POST", "/a", b"/a")]
)
def test_requests(servers: HttpServers, nodes: list[Netns], method: str, path: str, body: bytes) -> None:
    servers.listen(nodes[0], ANY, PORT, echo)
    with closing(Connection(nodes[0])) as client:
        response, told = client.ask(path, method)
        assert (response.status, told, response.headers["Content-Length"]) == (200, body, "2")


@pytest.mark.parametrize("words", [b"hello\r\n\r\n", b"GET /\r\n\r\n", b"\0" * 100_000])
def test_what_is_no_request_is_refused_and_hurts_nobody(
    servers: HttpServers, nodes: list[Netns], words: bytes
) -> None:
    servers.listen(nodes[0], ANY, PORT, echo)
    with nodes[0].socket(socket.AF_INET, socket.SOCK_STREAM) as rude:
        rude.connect(("127.0.0.1", PORT))
        rude.sendall(words)
        assert rude.recv(100).startswith(b"HTTP/1.1 4")
    with closing(Connection(nodes[0])) as client:
        assert client.ask("/")[1] == b"/"


def test_a_client_that_hangs_holds_up_nobody(servers: HttpServers, nodes: list[Netns]) -> None:
    servers.listen(nodes[0], ANY, PORT, echo)
    with nodes[0].socket(socket.AF_INET, socket.SOCK_STREAM) as idle:
        idle.connect(("127.0.0.1", PORT))
        idle.sendall(b"GET / HTT")
        with closing(Connection(nodes[0])) as client:
            assert client.ask("/")[1] == b"/"


def test_a_closed_port_is_free_for_others_at_once(servers: HttpServers, nodes: list[Netns]) -> None:
    for name in ("first", "second", "third"):
        listener = servers.listen(nodes[0], ANY, PORT, named(name))
        with closing(Connection(nodes[0])) as client:
            assert client.ask("/")[1] == name.encode()
        listener.close()
    with closing(Connection(nodes[0])) as client, pytest.raises(ConnectionRefusedError):
        client.connect()


def test_an_answer_under_way_survives_the_end_of_its_server(servers: HttpServers, nodes: list[Netns]) -> None:
    listener = servers.listen(nodes[0], ANY, PORT, echo)
    with closing(Connection(nodes[0])) as client:
        client.ask("/first")
        listener.close()
        assert client.ask("/second")[1] == b"/second"


def test_a_port_that_is_taken_is_told(servers: HttpServers, nodes: list[Netns]) -> None:
    servers.listen(nodes[0], ANY, PORT, echo)
    with pytest.raises(
        KernelStateError, match=r"node1: cannot serve 0\.0\.0\.0 port 30914: Address already in use"
    ):
        servers.listen(nodes[0], ANY, PORT, echo)
