"""Lab instances beside each other: the same addresses everywhere, and no way from one to another."""

from __future__ import annotations

import re

import pytest

from tests.net import manifests as m
from tests.net.command import Command, command, deployed
from tests.net.persons import PERSONS, person

PORT = 5353
PACKETS = 17
SECOND_POD = "10.244.0.3"


def lab(name: str, pods: int) -> str:
    """A cluster of one node whose pods have the same addresses as those of any other such cluster."""
    return m.text(m.cluster(), *m.pods(pods, name))


def who_answers(lab: Command, address: str) -> str:
    """The name of the pod that the client finds at an address."""
    told = lab.ok("exec", "client1", "--", "curl", "-s", "--max-time", "10", f"http://{address}:8080/")
    found = re.search(r'"pod": "([a-z0-9-]+)"', told)
    return found.group(1) if found else told


def arrived(lab: Command, pod: str) -> int:
    """How many of our packets a pod's kernel has counted."""
    told = lab.ok("exec", f"pod/{pod}", "--", "iptables-nft-save", "-c", "-t", "filter")
    return sum(int(count) for count in re.findall(rf"\[(\d+):\d+\] -A INPUT .*--dport {PORT}", told))


def send(lab: Command, address: str) -> None:
    """A prime number of datagrams from the client, without asking for an answer."""
    sending = (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        f"[s.sendto(b'x', ('{address}', {PORT})) for _ in range({PACKETS})]"
    )
    lab.ok("exec", "client1", "--", "python3", "-c", sending)


@pytest.mark.parametrize("who", PERSONS)
def test_each_finds_its_own_pod_at_the_same_address(who: str) -> None:
    with deployed("left", who, lab("left", 1)) as left, deployed("right", manifests=lab("right", 1)) as right:
        answers = who_answers(left, "10.244.0.2"), who_answers(right, "10.244.0.2")
    assert answers == ("left-1", "right-1")


def test_no_packet_crosses() -> None:
    with (
        deployed("left", manifests=lab("left", 1)) as left,
        deployed("right", manifests=lab("right", 2)) as right,
    ):
        count = ("iptables-nft", "-A", "INPUT", "-p", "udp", "--dport", str(PORT), "-j", "ACCEPT")
        right.ok("exec", "pod/right-2", "--", *count)
        send(left, SECOND_POD)
        assert arrived(right, "right-2") == 0
        send(right, SECOND_POD)  # the control: the counter does count
        assert arrived(right, "right-2") == PACKETS


def test_changes_of_one_leave_the_other_alone() -> None:
    with (
        deployed("left", manifests=lab("left", 1)) as left,
        deployed("right", manifests=lab("right", 1)) as right,
    ):
        before = right.get("Pod"), right.ok("exec", "node1", "--", "iptables-save")
        left.ok("apply", "--wait", "-f", "-", stdin=m.text(m.deployment(3, "left"), m.service()))
        left.ok("destroy")
        assert right.get("Pod") == before[0]
        after = right.ok("exec", "node1", "--", "iptables-save")
    assert rules(after) == rules(before[1])


def rules(saved: str) -> list[str]:
    """Without the comments, which tell the time."""
    return [line for line in saved.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("who", PERSONS)
def test_a_name_that_runs_is_refused(who: str) -> None:
    with deployed("twice", who) as first:
        before = first.record(), first.get("Node")
        again = first.run("deploy", "--topology", "one-node")
        assert again.returncode == 2
        assert f"lab instance '{first.name}' is running already; another --name, or:" in again.stderr
        assert (first.record(), first.get("Node")) == before


@pytest.mark.parametrize(
    "words", [("destroy",), ("inspect",), ("get", "pods"), ("exec", "node1", "--", "true"), ("wait",)]
)
def test_a_name_that_does_not_run_is_refused(words: tuple[str, ...]) -> None:
    with command("nobody") as lab:
        done = lab.run(*words)
    assert done.returncode == 2
    assert f"no lab instance '{lab.name}' is running; start one with: testbed deploy" in done.stderr


def test_a_person_sees_only_the_own_instances() -> None:
    with deployed("mine") as mine, person("ordinary") as other:
        stranger = Command(other, mine.name)
        assert stranger.run("get", "pods").returncode == 2
        assert stranger.ok("inspect", "--all").strip() == "no lab instance is running"


@pytest.mark.parametrize("name", ["Upper", "a/b"])
def test_a_name_that_cannot_be_a_folder_is_refused(name: str) -> None:
    with command("bad") as lab:
        done = Command(lab.person, name).run("deploy")
    assert done.returncode == 2
    assert f"--name {name!r}: small letters, digits and '-', at most 40" in done.stderr
