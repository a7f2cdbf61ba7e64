"""`testbed exec`: one becomes the program, in a node, a client, a pod or the sandbox, as root and as nobody."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.machine.process import ProcessId
from tests.net import manifests as m
from tests.net.command import ROOT, Command, deployed
from tests.net.persons import PERSONS

# Ready as soon as it prints; ends with a code of its own on Ctrl-C.
PATIENT = "trap 'kill $!; echo interrupted; exit 42' INT; sleep 1000 & echo waiting; wait"
CONTAINER: m.Object = {
    "command": ["sh", "-c", "echo begun by $GREETING; exec sleep 1000"],
    "env": [
        {"name": "GREETING", "value": "hello"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ],
}
PLACES = {
    "node": ("node1",),
    "node-by-kind": ("node/node1",),
    "client": ("client1",),
    "pod": ("pod/served",),
    "pod-with-command": ("pod/real",),
    "sandbox": ("--sandbox",),
}


@pytest.fixture(scope="module", params=PERSONS)
def lab(request: pytest.FixtureRequest) -> Iterator[Command]:
    objects = m.text(m.cluster(), m.pod("served"), m.pod("real", **CONTAINER))
    with deployed("exec", request.param, objects) as made:
        yield made


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("code", [0, 7])
def test_the_exit_code_is_passed_on(lab: Command, place: str, code: int) -> None:
    assert lab.run("exec", *PLACES[place], "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize("place", PLACES)
def test_what_goes_in_comes_out(lab: Command, place: str) -> None:
    sent = "a line\nand one without an end"
    done = lab.run("exec", *PLACES[place], "--", "sh", "-c", "cat; echo aside >&2", stdin=sent)
    assert (done.stdout, done.stderr) == (sent, "aside\n")


@pytest.mark.parametrize("place", PLACES)
def test_ctrl_c_is_the_programs(lab: Command, place: str) -> None:
    with lab.begin("exec", *PLACES[place], "--", "sh", "-c", PATIENT) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "waiting\n"
        interrupt_all(running.pid)
        assert running.stdout.readline() == "interrupted\n"
        assert running.wait(20.0) == 42


def interrupt_all(pid: int) -> None:
    """SIGINT to a process and its descendants, as a terminal sends it to its foreground processes."""
    pids = [pid]
    for each in pids:
        pids += [int(word) for word in Path(f"/proc/{each}/task/{each}/children").read_text().split()]
    for each in pids:
        ProcessId.of(each).kill(signal.SIGINT)


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("node1", "192.168.0.1"),
        ("client1", "203.0.113.11"),
        ("pod/served", "10.244.0."),
        ("pod/real", "10.244.0."),
    ],
)
def test_one_is_in_the_right_network(lab: Command, target: str, address: str) -> None:
    assert f"inet {address}" in lab.ok("exec", target, "--", "ip", "-o", "-4", "address", "show", "eth0")


@pytest.mark.parametrize("name", ["node1", "client1", "default_served", "default_real"])
def test_inside_everything_has_its_name(lab: Command, name: str) -> None:
    assert name in lab.ok("exec", "--sandbox", "--", "ip", "netns", "list").split()
    shown = lab.ok("exec", "--sandbox", "--", "ip", "netns", "exec", name, "ip", "-o", "link", "show", "eth0")
    assert "eth0" in shown


def test_the_switch_is_in_the_sandbox(lab: Command) -> None:
    shown = lab.ok("exec", "--sandbox", "--", "ip", "-o", "link", "show", "master", "s1")
    assert {line.split(": ")[1].partition("@")[0] for line in shown.splitlines()} == {
        "s1-node1",
        "s1-client1",
    }


def test_a_pod_with_a_command_has_a_host_name(lab: Command) -> None:
    assert lab.ok("exec", "pod/real", "--", "hostname") == "real\n"


def test_a_pod_with_a_command_has_processes_of_its_own(lab: Command) -> None:
    assert lab.ok("exec", "pod/real", "--", "cat", "/proc/1/comm") == "sleep\n"


@pytest.mark.parametrize("of", ["its first process", "what is run in it"])
def test_a_pod_with_a_command_has_its_environment(lab: Command, of: str) -> None:
    what = ("cat", "/proc/1/environ") if of == "its first process" else ("env", "-0")
    told = lab.ok("exec", "pod/real", "--", *what).split("\0")
    [ip] = [pod["status"]["podIP"] for pod in lab.get("pods") if pod["metadata"]["name"] == "real"]
    assert {"GREETING=hello", "POD=real", f"IP={ip}"} <= set(told)


def test_a_pod_with_a_command_has_a_log(lab: Command) -> None:
    [log] = [path for path in lab.folder.glob("pods/**/*") if path.is_file() and "real" in str(path)]
    assert log.read_text().split(" ", 1)[1] == "stdout F begun by hello\n"


def test_what_writes_into_a_closed_pipe_ends_silently(lab: Command) -> None:
    with lab.begin("exec", "--sandbox", "--", "yes") as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == "y\n"
        running.stdout.close()
        assert running.wait(20.0) == 128 + signal.SIGPIPE
        assert running.stderr.read() == ""


def test_a_program_is_ended_with_its_command(lab: Command) -> None:
    with lab.begin("exec", "--sandbox", "--", "sh", "-c", "echo waiting; exec sleep 1000") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "waiting\n"
        running.terminate()
        assert running.wait(20.0) == 128 + signal.SIGTERM


def test_one_stays_in_the_folder(lab: Command) -> None:
    assert lab.ok("exec", "node1", "--", "pwd") == f"{ROOT}\n"


def test_a_container_that_is_not_there(lab: Command) -> None:
    done = lab.run("exec", "--container", "other", "pod/real", "--", "true")
    assert done.returncode == 1
    assert "no container 'other'; there are: app" in done.stderr


@pytest.mark.parametrize("place", PLACES)
def test_a_program_that_is_not_there(lab: Command, place: str) -> None:
    done = lab.run("exec", *PLACES[place], "--", "/no/such/program")
    assert done.returncode == 127
    assert "/no/such/program" in done.stderr


@pytest.mark.parametrize("place", PLACES)
def test_a_program_that_cannot_be_run(lab: Command, place: str) -> None:
    done = lab.run("exec", *PLACES[place], "--", "/etc")
    assert done.returncode == 126
    assert "/etc" in done.stderr
