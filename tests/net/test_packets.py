"""The sender of the cases against known answers: what it calls answered, refused, silent, and not to be judged."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.machine import netns as namespaces
from testbed.machine.netns import Netns
from tests.net.packets import Sender

OPEN, CLOSED, GUARDED, SLOW, MUTE = 8080, 8081, 8082, 8083, 8084
IDENTITY = json.dumps({"pod": "web-1"}).encode() + b"\n"
ADDRESS = {"IPv4": "127.0.0.1", "IPv6": "::1"}
BOTH = pytest.mark.parametrize("protocol", ["TCP", "UDP"])
FAMILIES = pytest.mark.parametrize("family", ["IPv4", "IPv6"])


class Answering:
    """Servers in a namespace: OPEN answers at once; SLOW answers when somebody has asked OPEN; MUTE hangs up."""

    def __init__(self, netns: Netns) -> None:
        self.asked = threading.Event()
        self.sockets = [
            self._tcp(netns, OPEN),
            self._tcp(netns, SLOW),
            self._tcp(netns, MUTE),
            self._udp(netns),
        ]
        targets = (self._answer, self._answer_late, self._hang_up, self._answer_datagram)
        for target, bound in zip(targets, self.sockets, strict=True):
            threading.Thread(target=self._serve, args=(target, bound), daemon=True).start()

    def close(self) -> None:
        """End the threads: a shut-down socket fails what waits on it."""
        self.asked.set()
        for bound in self.sockets:
            with contextlib.suppress(OSError):
                bound.shutdown(socket.SHUT_RDWR)
            bound.close()

    @staticmethod
    def _tcp(netns: Netns, port: int) -> socket.socket:
        listening = netns.socket(socket.AF_INET6, socket.SOCK_STREAM)
        listening.bind(("::", port))
        listening.listen()
        return listening

    @staticmethod
    def _udp(netns: Netns) -> socket.socket:
        bound = netns.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        bound.bind(("::", OPEN))
        return bound

    @staticmethod
    def _serve(answer: Callable[[socket.socket], None], bound: socket.socket) -> None:
        while bound.fileno() >= 0:
            with contextlib.suppress(OSError):  # the asker's reset, or the end
                answer(bound)

    def _answer(self, listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)
            self.asked.set()
            connection.sendall(IDENTITY)
            connection.recv(100)

    def _answer_late(self, listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)
            self.asked.wait()
            connection.sendall(IDENTITY)
            connection.recv(100)

    def _hang_up(self, listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(100)

    def _answer_datagram(self, bound: socket.socket) -> None:
        _, asker = bound.recvfrom(100)
        if asker:  # nobody, once the socket is shut down
            bound.sendto(IDENTITY, asker)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Netns]:
    """A namespace in which GUARDED is silent."""
    [made] = namespaces.create(["host"], tmp_path_factory.mktemp("netns"))
    made.run(["ip", "link", "set", "lo", "up"])
    for tool in ("iptables", "ip6tables"):
        for protocol in ("tcp", "udp"):
            made.run([tool, "-w", "-A", "INPUT", "-p", protocol, "--dport", str(GUARDED), "-j", "DROP"])
    yield made
    namespaces.delete(made)


@pytest.fixture
def served(place: Netns, tmp_path: Path) -> Iterator[Netns]:
    """A namespace of its own with the servers in it."""
    [made] = namespaces.create(["host"], tmp_path)
    made.run(["ip", "link", "set", "lo", "up"])
    servers = Answering(made)
    yield made
    servers.close()
    namespaces.delete(made)


def to(port: int, protocol: str = "TCP", family: str = "IPv4", **more: Any) -> dict[str, Any]:
    fields = {"netns": "host", "address": ADDRESS[family], "port": port, "protocol": protocol, "count": 1}
    return {**fields, "patience": 5.0, "via": "", "controls": [], **more}


def outcome(netns: Netns, send: dict[str, Any], *controls: dict[str, Any]) -> dict[str, Any]:
    [[answer]] = Sender(netns.path.parent).send_all({"send": [send], "controls": controls})
    return answer


@BOTH
@FAMILIES
def test_an_answer(served: Netns, protocol: str, family: str) -> None:
    answer = outcome(served, to(OPEN, protocol, family))
    assert answer == {"outcome": "answered", "identity": {"pod": "web-1"}, "retransmitted": False, "note": ""}


@BOTH
@FAMILIES
def test_a_refusal(place: Netns, protocol: str, family: str) -> None:
    assert outcome(place, to(CLOSED, protocol, family))["outcome"] == "refused"


@BOTH
@FAMILIES
def test_silence_that_the_controls_prove(place: Netns, protocol: str, family: str) -> None:
    answer = outcome(place, to(GUARDED, protocol, family, patience=0.1), to(CLOSED))
    assert answer["outcome"] == "silent"


def test_an_answer_that_comes_while_the_controls_run_is_one(served: Netns) -> None:
    assert outcome(served, to(SLOW, patience=0.5), to(OPEN))["outcome"] == "answered"


def test_a_server_that_hangs_up_has_not_answered(served: Netns) -> None:
    answer = outcome(served, to(MUTE))
    assert (answer["outcome"], answer["note"]) == ("broken", "closed before it answered")


def test_no_route_is_neither_refused_nor_silent(place: Netns) -> None:
    answer = outcome(place, to(OPEN, address="192.0.2.1"))
    assert answer["outcome"] == "unreachable"


def test_each_time_is_a_flow_of_its_own(served: Netns) -> None:
    answers = Sender(served.path.parent).send_all({"send": [to(OPEN, count=3)], "controls": []})
    assert [answer["outcome"] for answer in answers[0]] == ["answered"] * 3


def test_silence_is_not_asked_for_again(place: Netns) -> None:
    answers = Sender(place.path.parent).send_all(
        {"send": [to(GUARDED, patience=0.1, count=5)], "controls": []}
    )
    assert [answer["outcome"] for answer in answers[0]] == ["silent"]


def test_addresses_of_a_namespace(place: Netns) -> None:
    place.run(["ip", "address", "add", "10.244.0.2/32", "dev", "lo"])
    assert Sender(place.path.parent).answer({"addresses": ["host"]}) == {"host": ["10.244.0.2"]}
