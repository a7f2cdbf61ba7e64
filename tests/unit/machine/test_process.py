"""Processes by number and start time: never a later one with the same number."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from testbed.machine.process import ProcessId


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as started:
        yield started
        started.kill()


def test_this_process_lives() -> None:
    assert ProcessId.of(os.getpid()).alive()


def test_another_start_time_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    before = ProcessId(sleeper.pid, ProcessId.of(sleeper.pid).started - 1)
    assert not before.alive()
    before.kill()
    assert sleeper.poll() is None
    assert before.wait(0.0)


def test_a_number_that_nobody_has() -> None:
    nobody = ProcessId.of(4_194_304)  # PID_MAX_LIMIT
    assert nobody.started == 0
    assert not nobody.alive()
    nobody.kill()
    assert nobody.wait(0.0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_it_ends(sleeper: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process = ProcessId.of(sleeper.pid)
    process.kill(number)
    assert process.wait(10.0)
    assert sleeper.wait(10.0) == -number


def test_a_zombie_is_dead(sleeper: subprocess.Popen[bytes]) -> None:
    process = ProcessId.of(sleeper.pid)
    process.kill()
    assert process.wait(10.0)
    assert not process.alive()  # although nobody has collected it yet


def test_waiting_ends_in_time(sleeper: subprocess.Popen[bytes]) -> None:
    assert not ProcessId.of(sleeper.pid).wait(0.01)
