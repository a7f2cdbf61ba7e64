"""Commands on objects in a running lab instance: what a person sees, follows and interrupts."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.net import manifests as m
from tests.net.command import Command, Running, deployed, finished

COUNTING: m.Object = {
    "command": ["sh", "-c", "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.2; done"],
}
HOSTILE = ("../../api", "a b;c", "$(reboot)", "x" * 300, "\n")


@pytest.fixture(scope="module")
def lab() -> Iterator[Command]:
    objects = m.text(m.cluster(), m.deployment(2), m.service(), m.pod("counts", **COUNTING))
    with deployed("cli", manifests=objects) as made:
        yield made


def begin(lab: Command, *words: str) -> Running:
    """Start a command that Ctrl-C ends, also where these tests run in a shell's background, which ignores it."""
    argv = ["env", "--default-signal=INT", *lab.argv(*words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, env=lab.person.env, stdout=pipe, stderr=pipe, text=True)


def interrupted(running: Running) -> tuple[int, str]:
    """The exit code and the complaints of a command that somebody stops with Ctrl-C."""
    running.send_signal(signal.SIGINT)
    done = finished(running)
    return done.returncode, done.stderr


def test_a_watch_goes_on_until_ctrl_c(lab: Command) -> None:
    with begin(lab, "get", "pods", "-l", "pod-template-hash", "--watch") as running:
        assert running.stdout is not None
        assert running.stdout.readline().split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
        seen = {running.stdout.readline().split()[0] for _ in range(2)}
        lab.ok("delete", "pod", sorted(seen)[0], "--grace-period=1")
        changes = (line.split() for line in running.stdout)
        assert next(told[0] for told in changes if told[2] == "Terminating") == sorted(seen)[0]
        assert interrupted(running) == (130, "")


def test_a_followed_log_goes_on_until_ctrl_c(lab: Command) -> None:
    with begin(lab, "logs", "-f", "counts", "--tail", "1") as running:
        assert running.stdout is not None
        numbers = [int(running.stdout.readline().split()[1]) for _ in range(3)]
        assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
        assert interrupted(running) == (130, "")


@pytest.mark.parametrize(
    "words", [("get", "pods", "-w"), ("logs", "-f", "counts"), ("get", "pods", "-o", "yaml")]
)
def test_who_stops_reading_is_no_failure(lab: Command, words: tuple[str, ...]) -> None:
    with lab.begin(*words) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.stdout.close()
        lab.ok(
            "annotate", "pod", "counts", f"told-to={running.pid}", "--overwrite"
        )  # a watch has to write again
        assert running.stderr is not None
        assert (running.wait(30.0), running.stderr.read()) == (0, "")


@pytest.mark.parametrize("target", ["deploy/web", "svc/web", "deployment.apps/web"])
def test_exec_finds_a_pod_that_is_ready(lab: Command, target: str) -> None:
    pods = {pod["metadata"]["name"] for pod in lab.get("pods", "-l", "app=web")}
    assert lab.ok("exec", "-it", target, "--", "hostname").strip() in pods


@pytest.mark.parametrize("target", ["counts", "pod/counts"])
def test_exec_takes_options_behind_its_target(lab: Command, target: str) -> None:
    told = lab.ok("exec", target, "-n", "default", "--", "sh", "-c", "echo $0 -n $1", "--", "-c")
    assert told == "-- -n -c\n"


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "words", [("get", "pod"), ("describe", "pod"), ("delete", "svc"), ("logs",), ("get", "pods", "-n")]
)
def test_no_name_does_harm(lab: Command, words: tuple[str, ...], name: str) -> None:
    done = lab.run(*words, name)
    assert done.returncode in ((0, 2) if "-n" in words else (1, 2))
    assert "Traceback" not in done.stderr
    assert len(lab.get("services")) == 1


def test_scale_and_rollout(lab: Command) -> None:
    assert lab.ok("scale", "deploy/web", "--replicas", "4") == "deployment.apps/web scaled\n"
    told = lab.ok("rollout", "status", "deploy/web", "--timeout", "60s").splitlines()
    assert told[-1] == 'deployment "web" successfully rolled out'
    assert len(lab.get("pods", "-l", "app=web", "--field-selector", "status.phase=Running")) >= 4
    assert lab.ok("rollout", "restart", "deploy/web") == "deployment.apps/web restarted\n"
    lab.ok("rollout", "status", "deploy/web", "--timeout", "60s")
    lab.ok("scale", "deploy/web", "--replicas", "2")


def test_describe_tells_what_happened(lab: Command) -> None:
    page = lab.ok("describe", "pod", "counts")
    assert "Successfully assigned default/counts to node" in page
    assert page.startswith("Name:")


def test_whole_objects_are_json(lab: Command) -> None:
    assert json.loads(lab.ok("get", "pod/counts", "-o", "json"))["metadata"]["name"] == "counts"
    assert lab.ok("get", "svc", "web", "-o", "jsonpath={.spec.ports[0].port}").strip().isdigit()


def test_options_stand_anywhere(lab: Command) -> None:
    argv = lab.argv("get", "-o", "name", "pod", "-n", "default", "counts", "--ignore-not-found")
    done = subprocess.run(argv, env=lab.person.env, capture_output=True, text=True, check=True)
    assert done.stdout == "pod/counts\n"
