"""Clients that break off, say nothing, never listen, or write at the same time: the daemon and the others go on."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from testbed.errors import StatusError
from testbed.kube.client.client import APPLY_PATH
from testbed.kube.objects import load_text
from tests.net import manifests as m
from tests.net.command import Command, deployed, finished

MANY = 200


@pytest.fixture(scope="module")
def lab() -> Iterator[Command]:
    with deployed("hostile", manifests=m.text(m.cluster())) as made:
        yield made


def connected(lab: Command) -> socket.socket:
    """A connection to the API, as raw as it comes."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(lab.folder / "kube-api.sock"))
    return client


def services(prefix: str, count: int = 50) -> str:
    """A manifest of many Services."""
    return m.text(*(m.service(f"{prefix}-{n}", {}, clusterIP="") for n in range(count)))


def request(text: str) -> bytes:
    """What `testbed apply` sends."""
    manifests = [manifest.to_json() for manifest in load_text(text, "f.yaml").manifests]
    body = json.dumps({"manifests": manifests}).encode()
    return f"POST {APPLY_PATH} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def present(lab: Command, prefix: str) -> int:
    """How many of them there are."""
    return sum(obj["metadata"]["name"].startswith(f"{prefix}-") for obj in lab.get("services"))


@pytest.mark.parametrize("percent", [0, 1, 50, 99])
def test_an_apply_that_breaks_off_changes_nothing(lab: Command, percent: int) -> None:
    whole = request(services(f"cut{percent}"))
    with connected(lab) as client:
        client.sendall(whole[: len(whole) * percent // 100])
    assert present(lab, f"cut{percent}") == 0


def test_who_hangs_up_after_the_last_byte_has_applied_all(lab: Command) -> None:
    with connected(lab) as client:
        client.sendall(request(services("sent")))
        client.recv(1)
    assert present(lab, "sent") == 50


def test_an_interrupted_command_has_applied_all_or_nothing(lab: Command) -> None:
    file = lab.person.home / "many.yaml"
    file.write_text(services("killed", 500))
    with lab.begin("apply", "-f", str(file)) as running:
        running.terminate()
        finished(running)
    assert present(lab, "killed") in (0, 500)


def test_others_are_served_beside_those_who_say_nothing_or_never_listen(lab: Command) -> None:
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(lab)) for _ in range(MANY)]
        for client in idle[: MANY // 2]:
            client.sendall(b"GET /api/v1/services?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")  # and never reads
        for client in idle[MANY // 2 :]:
            client.sendall(b"POST /api/v1/namespaces/default/services HTTP/1.1\r\nContent-Le")  # and no more
        lab.ok("apply", "-f", "-", stdin=services("busy", 300))
        assert present(lab, "busy") == 300


def test_two_who_apply_the_same_at_once_lose_nothing(lab: Command) -> None:
    """Each says a field of its own; whoever comes second finds the first one's objects whole."""
    text = services("race", 100)
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda _: lab.ok("apply", "-f", "-", stdin=text).splitlines(), range(2)))
    verbs = [sorted(line.rsplit(" ", 1)[1] for line in lines) for lines in told]
    assert sorted(verbs) == [["created"] * 100, ["unchanged"] * 100]


def test_of_two_who_write_one_version_one_is_told_of_the_other(lab: Command) -> None:
    lab.ok("apply", "-f", "-", stdin=services("one", 1))
    with lab.client() as client:
        read = client.kube.get("Service", "default", "one-0")
        client.kube.replace({**read, "metadata": {**read["metadata"], "labels": {"a": "b"}}})
        with pytest.raises(StatusError, match="the object has been modified"):
            client.kube.replace({**read, "metadata": {**read["metadata"], "labels": {"c": "d"}}})
        assert client.kube.get("Service", "default", "one-0")["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize("words", [("get", "../x"), ("get", "pod", "../x"), ("get", "pods", "--name", "../../etc"),
    ("describe", "pod", "x;id"), ("delete", "pod", "../../x"), ("logs", "../x"), ("exec", "pod/../x", "--", "id"),
    ("scale", "deploy/../x", "--replicas=1")], ids=" ".join)  # fmt: skip
def test_hostile_words_are_refused_in_one_line(lab: Command, words: tuple[str, ...]) -> None:
    done = lab.run(*words)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr


def test_the_daemon_has_no_complaint_of_all_that(lab: Command) -> None:
    assert json.loads(lab.ok("inspect", "-o", "json"))["failure"] == ""
    assert "Traceback" not in (lab.folder / "daemon.log").read_text()
