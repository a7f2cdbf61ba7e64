"""Packet cases in a kernel of their own: a guest for each test process, and a talk with the runner inside.

A guest is booted for the first case that wants its kernel. One that dies, or does not answer, fails that case with
the last lines of what it said, and the next case gets a new one. Knows kernels and the lines of `guest_cases.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO

from testbed.errors import TestbedError
from testbed.machine.kernels import NATIVE
from testbed.machine.run import run
from tests.net.arms import Arm

ROOT = Path(__file__).parents[2]
RUNNER = (sys.executable, "-m", "tests.net.guest_cases")
# Of ICMP errors a whole machine sends a thousand a second, whatever its hosts allow themselves (ip-sysctl.rst; one
# count for all network namespaces before Linux 6.13). Cases are full of refusals, so here there is no such limit.
MANY_ERRORS = ("net.ipv4.icmp_msgs_per_sec=1000000", "net.ipv4.icmp_msgs_burst=1000000")
LAST_LINES = 30  # of what a runner that died has said
END_SECONDS = 60.0  # for the runner to destroy its labs, and for a guest to end

Boot = Callable[[str], AbstractContextManager[Sequence[str]]]
"""A kernel's name -> the command line, valid inside `with`, that runs the runner in a guest."""


@contextlib.contextmanager
def booted(kernel: str) -> Iterator[Sequence[str]]:
    """A guest; natively a plain process, which is how the runner itself is tested."""
    if kernel == NATIVE:
        yield RUNNER
        return
    from testbed.machine.kernels import guests

    with guests.running(kernel) as guest:
        run(guest.argv(["sysctl", "-q", "-w", *MANY_ERRORS]))
        yield guest.argv(list(RUNNER))


class Runner:
    """The process that tries cases, wherever it runs."""

    def __init__(self, argv: Sequence[str]) -> None:
        # What it says goes to a file: a pipe could fill while nobody reads it. Open until `close`.
        self._said: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def told(self, path: Path, text: str, arm: Arm) -> str:
        """What is wrong with a case under an arm, empty if nothing is. Raises TestbedError if nobody can say."""
        request = {"path": str(path), "text": text, "arm": asdict(arm)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise TestbedError(
                f"the runner ended with status {self._process.wait(END_SECONDS)}\n{self._last()}"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise TestbedError(answer["error"])
        found: str = answer["told"]
        return found

    def close(self) -> None:
        """Let it destroy its labs, and end it in any case."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._said.close()

    def _last(self) -> str:
        self._said.seek(0)
        return "".join(self._said.readlines()[-LAST_LINES:])


class Guests:
    """The runners of one test process, by kernel."""

    def __init__(self, boot: Boot = booted) -> None:
        self._boot = boot
        self._running: dict[str, tuple[Runner, ExitStack]] = {}

    def told(self, path: Path, text: str, arm: Arm) -> str:
        """See `Runner.told`. A runner that cannot say is not asked again."""
        runner, _ = self._running.get(arm.kernel) or self._start(arm.kernel)
        try:
            return runner.told(path, text, arm)
        except BaseException:
            self._end(arm.kernel)
            raise

    def close(self) -> None:
        """End them all."""
        for kernel in [*self._running]:
            self._end(kernel)

    def _start(self, kernel: str) -> tuple[Runner, ExitStack]:
        stack = ExitStack()
        runner = Runner(stack.enter_context(self._boot(kernel)))
        stack.callback(runner.close)
        self._running[kernel] = runner, stack
        return self._running[kernel]

    def _end(self, kernel: str) -> None:
        _, stack = self._running.pop(kernel)
        stack.close()
