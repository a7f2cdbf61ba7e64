"""Speaking to a process, and what is said when it dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from testbed.bench.traffic.child import Child, pin
from testbed.errors import CommandFailed, UsageError

ECHO = "import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()"
DIES = "import sys; sys.stdin.readline(); sys.exit('out of luck')"
MUTE = "import sys; sys.stdin.read()"
INTERRUPTS = "import os, sys; sys.stdin.readline(); os.kill(os.getppid(), 2); sys.stdin.read()"


def python(code: str) -> Child:
    return Child([sys.executable, "-c", code])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as a program of its own has it, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_answers_come_in_order() -> None:
    with python(ECHO) as child:
        assert [child.ask({"n": n}) for n in range(3)] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_an_answer_may_be_long() -> None:
    with python(ECHO) as child:
        assert child.ask({"text": "x" * 300_000}) == {"text": "x" * 300_000}


def test_a_death_is_told_with_its_last_words() -> None:
    with python(DIES) as child, pytest.raises(CommandFailed, match="out of luck") as caught:
        child.ask({})
    assert caught.value.status == 1


def test_asking_the_dead_fails() -> None:
    with python(DIES) as child:
        with pytest.raises(CommandFailed):
            child.ask({})
        with pytest.raises(CommandFailed, match="has ended"):
            child.ask({})


def test_silence_ends() -> None:
    with python(MUTE) as child, pytest.raises(CommandFailed, match="in time"):
        child.ask({}, timeout=0.1)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandFailed, match="127"):
        Child(["/no/such/program"])


def test_a_cpu_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="CPU 4095"):
        pin(4095)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_request_is_the_last() -> None:
    with python(INTERRUPTS) as child:
        with pytest.raises(KeyboardInterrupt):
            child.ask({})
        with pytest.raises(CommandFailed, match="ended"):
            child.ask({})


def test_a_terminals_signals_are_not_for_children() -> None:
    with python(MUTE) as child:
        assert os.getsid(child.pid) == child.pid
