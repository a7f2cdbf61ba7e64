"""A process of ours that speaks one JSON document per line: asked on its stdin, it answers on its stdout.

Used for what must run beside or inside something else: the background load, the worker in the sandbox. The
end of its input ends the process, so it never outlives who started it. Knows pipes; knows no requests.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testbed.errors import CommandFailed, UsageError

Document = dict[str, Any]
PACKAGE_ROOT = Path(__file__).parents[3]
TIMEOUT = 600.0


def python(module: str) -> list[str]:
    """The argv that runs a module of ours with this very interpreter."""
    return [sys.executable, "-m", module]


def pin(cpu: int | None) -> None:
    """Run this process, and what it starts, on one CPU only. Raises UsageError if there is no such CPU."""
    if cpu is not None:
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError as error:
            raise UsageError(f"CPU {cpu}: {error.strerror}") from error


class Child:
    """A running process, asked one thing at a time. Close it, or use it with `with`."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = tuple(argv)
        self._buffer = b""
        # What it says on stderr is kept for the message if it ends badly; a pipe could fill and block it.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        path = os.pathsep.join(filter(None, (str(PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
        try:
            self._process = subprocess.Popen(
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
                env={**os.environ, "PYTHONPATH": path}, bufsize=0,
                # A terminal's Ctrl-C is for who asks, who then ends this process in good order.
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._stderr.close()
            raise CommandFailed(self._argv, 127, str(error)) from error

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: Mapping[str, Any], timeout: float = TIMEOUT) -> Document:
        """Send a request and return the answer. Raises CommandFailed if the process ends or does not answer.

        An interrupted request ends the process: its late answer would be taken for that of the next.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            answer: Document = json.loads(self._line(time.monotonic() + timeout))
        except BrokenPipeError as error:
            raise self._failed("has ended") from error
        except KeyboardInterrupt:
            self._process.kill()
            raise
        return answer

    def _line(self, deadline: float) -> bytes:
        """The next line of its output."""
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                raise self._failed("gave no answer in time")
            chunk = self._process.stdout.read(1 << 16)
            if not chunk:
                raise self._failed("ended without an answer")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _failed(self, what: str) -> CommandFailed:
        """The error for a process that cannot be talked to; it is ended."""
        self._process.kill()
        status = self._process.wait()
        self._stderr.seek(0)
        return CommandFailed(self._argv, status, f"{what}\n{self._stderr.read().decode(errors='replace')}")

    def close(self, timeout: float = 5.0) -> None:
        """End the process by the end of its input, by force after `timeout` seconds."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._stderr.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
