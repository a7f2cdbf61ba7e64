"""The pod server with real sockets in real namespaces."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.cluster.podserver.client import PodServer
from testbed.cluster.podserver.spec import Identity, PodSpec, Port
from testbed.errors import CommandFailed
from testbed.machine import netns as namespaces
from testbed.machine.netns import Netns

PORTS = (
    Port(8080, "TCP", "http"),
    Port(8080, "UDP", "dns"),
    Port(7, "TCP", "echo"),
    Port(7, "UDP", "echo"),
    Port(9, "TCP", "discard"),
    Port(9, "UDP", "discard"),
)
LOCALHOST = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
FAMILIES = pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["ipv4", "ipv6"])


def spec(name: str, netns: Netns, ports: tuple[Port, ...] = PORTS) -> PodSpec:
    return PodSpec(f"default/{name}", netns.name, Identity(name, "default", "node1", "10.244.0.2"), ports)


@pytest.fixture(scope="module")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Netns]]:
    """Two namespaces with a loopback device, as two pods."""
    made = namespaces.create(["default_web-1", "default_web-2"], tmp_path_factory.mktemp("netns"))
    for netns in made:
        netns.run(["ip", "link", "set", "lo", "up"])
    yield made
    for netns in made:
        namespaces.delete(netns)


@pytest.fixture(scope="module")
def server(pods: list[Netns]) -> Iterator[PodServer]:
    """A server with the first pod open."""
    server = PodServer(pods[0].path.parent)
    server.start()
    assert server.open([spec("web-1", pods[0])]) == {}
    yield server
    server.stop()


@pytest.fixture
def own_server(pods: list[Netns]) -> Iterator[PodServer]:
    """A server that a test may kill."""
    server = PodServer(pods[0].path.parent)
    server.start()
    yield server
    server.stop()


def connect(netns: Netns, port: int, family: int = socket.AF_INET) -> socket.socket:
    sock = netns.socket(family, socket.SOCK_STREAM)
    sock.settimeout(5)
    sock.connect((LOCALHOST[socket.AddressFamily(family)], port))
    return sock


def udp(netns: Netns, port: int, family: int = socket.AF_INET) -> socket.socket:
    sock = netns.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(5)
    sock.connect((LOCALHOST[socket.AddressFamily(family)], port))
    return sock


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def send_all(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def http_to(netns: Netns, family: int = socket.AF_INET) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("web.example", 8080)
    connection.sock = connect(netns, 8080, family)
    try:
        yield connection
    finally:
        connection.close()


def ask(connection: http.client.HTTPConnection, method: str, path: str, **more: Any) -> tuple[int, bytes]:
    connection.request(method, path, **more)
    answer = connection.getresponse()
    return answer.status, answer.read()


@FAMILIES
def test_http_tells_who_answers_and_what_came(server: PodServer, pods: list[Netns], family: int) -> None:
    with http_to(pods[0], family) as connection:
        host, port = connection.sock.getsockname()[:2]
        status, body = ask(connection, "GET", "/a?b=c", headers={"X-Twice": "one"})
    answer = json.loads(body)
    client = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
    headers = answer.pop("headers")
    assert status == 200
    assert headers["X-Twice"] == "one"
    assert answer == {
        "pod": "web-1", "namespace": "default", "node": "node1", "podIP": "10.244.0.2",
        "clientAddress": client, "method": "GET", "path": "/a?b=c", "host": "web.example:8080",
        "protocol": "HTTP/1.1", "port": 8080, "bodyBytes": 0,
    }  # fmt: skip


def test_http_keeps_the_connection(server: PodServer, pods: list[Netns]) -> None:
    with http_to(pods[0]) as connection:
        clients = {json.loads(ask(connection, "GET", "/")[1])["clientAddress"] for _ in range(23)}
    assert len(clients) == 1


def test_http_head_has_the_length_and_no_body(server: PodServer, pods: list[Netns]) -> None:
    with http_to(pods[0]) as connection:
        connection.request("HEAD", "/")
        answer = connection.getresponse()
        assert int(answer.headers["Content-Length"]) > 0
        assert answer.read() == b""
        assert ask(connection, "GET", "/")[0] == 200


@pytest.mark.parametrize(
    "body", [b"x" * 100_003, iter([b"x" * 3, b"x" * 100_000])], ids=["content-length", "chunked"]
)
def test_http_counts_the_body(server: PodServer, pods: list[Netns], body: Any) -> None:
    with http_to(pods[0]) as connection:
        answer = json.loads(ask(connection, "POST", "/", body=body)[1])
    assert (answer["method"], answer["bodyBytes"]) == ("POST", 100_003)


def test_http_invites_a_body_that_waits(server: PodServer, pods: list[Netns]) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n"
    with connect(pods[0], 8080) as sock:
        sock.sendall(head + b"Connection: close\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"x")
        assert b'"bodyBytes": 1' in read_all(sock)


@pytest.mark.parametrize("status", [200, 204, 304, 404, 503, 599])
def test_http_status_by_path(server: PodServer, pods: list[Netns], status: int) -> None:
    with http_to(pods[0]) as connection:
        assert ask(connection, "GET", f"/status/{status}")[0] == status
        assert ask(connection, "GET", "/")[0] == 200  # the connection is still good


def test_http_delay_by_path(server: PodServer, pods: list[Netns]) -> None:
    begin = time.monotonic()
    with http_to(pods[0]) as connection:
        assert ask(connection, "GET", "/delay/0.25")[0] == 200
    assert time.monotonic() - begin >= 0.25


def test_http_answers_pipelined_requests_in_order(server: PodServer, pods: list[Netns]) -> None:
    last = b"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with connect(pods[0], 8080) as sock:
        sock.sendall(b"GET /delay/0.05 HTTP/1.1\r\nHost: a\r\n\r\n" + last)
        text = read_all(sock)
    assert 0 < text.index(b'"/delay/0.05"') < text.index(b'"/2"')


def test_http_answers_a_client_that_closed_its_write_side(server: PodServer, pods: list[Netns]) -> None:
    with connect(pods[0], 8080) as sock:
        sock.sendall(b"GET /delay/0.05 HTTP/1.1\r\nHost: a\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).startswith(b"HTTP/1.1 200 OK")


def test_http_refuses_what_is_no_request(server: PodServer, pods: list[Netns]) -> None:
    with connect(pods[0], 8080) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")


@FAMILIES
def test_tcp_identity_then_echo(server: PodServer, pods: list[Netns], family: int) -> None:
    with connect(pods[0], 8080, family) as sock:
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        line, _, echo = read_all(sock).partition(b"\n")
    answer = json.loads(line)
    assert (answer["pod"], answer["port"], answer["protocol"], echo) == ("web-1", 8080, "TCP", b"hello")


def test_tcp_silent_client_gets_identity_when_it_closes(server: PodServer, pods: list[Netns]) -> None:
    with connect(pods[0], 8080) as sock:
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(5)
        sock.shutdown(socket.SHUT_WR)
        assert json.loads(read_all(sock))["pod"] == "web-1"


@pytest.mark.parametrize("first", [b"G", b"PATCH"])
def test_tcp_half_a_method_is_echoed_in_the_end(server: PodServer, pods: list[Netns], first: bytes) -> None:
    with connect(pods[0], 8080) as sock:
        sock.sendall(first)
        assert sock.recv(65536).endswith(b"\n" + first)


def test_tcp_request_in_pieces_is_http(server: PodServer, pods: list[Netns]) -> None:
    with connect(pods[0], 8080) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b"G", b"ET", b" / HTTP/1.1\r\nHost: a\r\nConnec", b"tion: close\r\n\r\n"):
            sock.sendall(piece)
        assert read_all(sock).startswith(b"HTTP/1.1 200 OK")


def test_echo_port_gives_every_byte_back(server: PodServer, pods: list[Netns]) -> None:
    data = os.urandom(3_000_017)  # far more than the buffers hold: the server must stop reading meanwhile
    with connect(pods[0], 7) as sock:
        sender = threading.Thread(target=send_all, args=(sock, data))
        sender.start()
        assert read_all(sock) == data
        sender.join()


def test_discard_port_says_nothing(server: PodServer, pods: list[Netns]) -> None:
    with connect(pods[0], 9) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""


@FAMILIES
def test_udp_identity_and_echo(server: PodServer, pods: list[Netns], family: int) -> None:
    with udp(pods[0], 8080, family) as sock:
        sock.send(b"ping\xff")
        answer = json.loads(sock.recv(65536))
        host, port = sock.getsockname()[:2]
    client = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
    assert answer == {
        "pod": "web-1", "namespace": "default", "node": "node1", "podIP": "10.244.0.2",
        "clientAddress": client, "protocol": "UDP", "port": 8080, "echo": "ping\xff",
    }  # fmt: skip


def test_udp_echo_port_gives_the_payload_back(server: PodServer, pods: list[Netns]) -> None:
    with udp(pods[0], 7) as sock:
        sock.send(b"as it came")
        assert sock.recv(65536) == b"as it came"


def test_udp_discard_port_neither_answers_nor_refuses(server: PodServer, pods: list[Netns]) -> None:
    with udp(pods[0], 9) as sock:
        for _ in range(23):
            sock.send(b"x")  # ConnectionRefusedError from the second one on, if nobody owned the port
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_a_taken_port_is_reported_and_the_others_serve(own_server: PodServer, pods: list[Netns]) -> None:
    with pods[1].socket(socket.AF_INET6, socket.SOCK_STREAM) as taken:
        taken.bind(("::", 8081))
        taken.listen()
        ports = (Port(8081), Port(8082))
        errors = own_server.open([spec("web-2", pods[1], ports)])
        connect(pods[1], 8082).close()
    assert [str(error) for error in errors["default/web-2"]] == ["8081/TCP: Address already in use"]


def test_sctp_serves_or_is_reported(own_server: PodServer, pods: list[Netns]) -> None:
    errors = own_server.open([spec("web-2", pods[1], (Port(5000, "SCTP"),))])
    try:
        sock = pods[1].socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    except OSError:
        assert [(e.port, e.protocol) for e in errors["default/web-2"]] == [(5000, "SCTP")]
        return
    with sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", 5000))
        sock.sendall(b"hello")
        assert json.loads(sock.recv(65536).partition(b"\n")[0])["protocol"] == "SCTP"


def test_a_missing_namespace_is_reported(own_server: PodServer, pods: list[Netns]) -> None:
    gone = Netns("default_gone", pods[0].path.parent)
    [error] = own_server.open([spec("gone", gone, (Port(80),))])["default/gone"]
    assert "default_gone" in error.message


def test_close_breaks_connections_and_frees_the_port(own_server: PodServer, pods: list[Netns]) -> None:
    own_server.open([spec("web-2", pods[1])])
    with connect(pods[1], 8080) as sock:
        sock.sendall(b"hello\n")
        assert sock.recv(65536)
        own_server.close(["default/web-2"])
        assert sock.recv(65536) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(pods[1], 8080)
    assert own_server.open([spec("web-2", pods[1])]) == {}


def test_opening_again_takes_the_place_of_the_first(own_server: PodServer, pods: list[Netns]) -> None:
    own_server.open([spec("web-2", pods[1])])
    assert own_server.open([spec("web-2", pods[1])]) == {}


def test_death_is_told_at_once(own_server: PodServer) -> None:
    died = threading.Event()
    statuses: list[int] = []
    other = PodServer()

    def on_exit(status: int) -> None:
        statuses.append(status)
        died.set()

    other.start(on_exit)
    assert other.pid is not None
    os.kill(other.pid, signal.SIGKILL)
    assert died.wait(5)
    assert statuses == [-signal.SIGKILL]
    with pytest.raises(CommandFailed):
        other.ping()
    other.start()
    other.ping()
    other.stop()
    assert other.wait(0) == 0


def test_death_while_asked_fails_the_question(own_server: PodServer) -> None:
    pid = own_server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that the question is certainly under way
    failures: list[CommandFailed] = []

    def question() -> None:
        try:
            own_server.ping()
        except CommandFailed as error:
            failures.append(error)

    asker = threading.Thread(target=question)
    asker.start()
    os.kill(pid, signal.SIGKILL)
    asker.join(5)
    assert [failure.status for failure in failures] == [-signal.SIGKILL]
