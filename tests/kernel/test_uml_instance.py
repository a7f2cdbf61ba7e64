"""A sandbox inside a User Mode Linux guest: from outside it begins and ends as a native one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.starter import ROOT, Starter, starting
from tests.net.persons import PERSONS
from tests.require import require_in
from tests.waiting import until

SECONDS = 60.0


@pytest.fixture(params=PERSONS)
def starter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Starter]:
    require_in("uml", "netns")
    with starting(request.param, f"um-{os.getpid()}-{abs(hash(tmp_path)) % 10**8}", "uml") as made:
        yield made


def run_in_guest(starter: Starter, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run something beside the sandbox, in its guest."""
    enter = [sys.executable, "-m", "testbed.machine.kernels.enter", str(starter.folder), "--", *argv]
    return subprocess.run(
        [*starter.person.prefix, *enter], cwd=ROOT, env=starter.person.env, text=True, capture_output=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip


def test_it_runs_in_the_guest(starter: Starter) -> None:
    started = starter.start()
    assert started.daemon.alive()
    assert "testbed-daemon" in run_in_guest(starter, "ps", "-A", "-o", "comm").stdout.split()


def test_the_guest_ends_with_its_daemon(starter: Starter) -> None:
    started = starter.start()
    run_in_guest(starter, "pkill", "-KILL", "testbed-daemon")
    until(lambda: not started.daemon.alive(), "the guest to end")
    until(lambda: not starter.files(), "the folder to go")


def test_a_killed_guest_leaves_nothing(starter: Starter) -> None:
    started = starter.start()
    started.daemon.kill()
    assert started.supervisor.wait(SECONDS)
    assert starter.files() == set()


def test_what_a_killed_supervisor_leaves_goes_at_the_next_start(starter: Starter) -> None:
    started = starter.start()
    started.supervisor.kill()
    until(lambda: not started.daemon.alive(), "the guest to end")
    starter.start(f"{starter.name}-b")
    assert starter.name not in starter.files()


def test_a_daemon_that_fails_is_told_of_and_leaves_nothing(starter: Starter) -> None:
    done = starter.run("fail")
    assert done.returncode == 1
    assert "this daemon fails on purpose" in done.stderr
    assert starter.files() == set()


def test_a_name_is_given_once(starter: Starter) -> None:
    first = starter.start()
    again = starter.run("serve")
    assert again.returncode == 2
    assert f"lab instance '{starter.name}' is running already" in again.stderr
    assert first.daemon.alive()


def test_a_start_that_is_interrupted_leaves_nothing(starter: Starter) -> None:
    with starter.begin("dawdle") as begun:
        started = until(starter.record, "the record")
        begun.send_signal(signal.SIGINT)
        assert begun.wait(SECONDS) != 0
    assert started is not None
    until(lambda: not started.daemon.alive(), "the guest to end")
    until(lambda: not starter.files(), "the folder to go")
