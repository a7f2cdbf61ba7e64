"""The one place that starts processes and waits for them.

Everything that touches the machine through a program passes here, so that it can be logged, timed and faked
(`fake_run.py` beside this file). Knows argv and pipes; knows nothing of namespaces: a caller that must run
elsewhere enters the namespace first (`netns.py`), and the child inherits it from the calling thread.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.errors import CommandFailed

PIPE_BYTES = 1 << 16  # pipe(7)
INPUT_LINE = re.compile(r"line:? (\d+)")


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished process left: `seconds` is wall time from start to exit."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float


def run(
    argv: Sequence[str],
    *,
    stdin: str | bytes | None = None,
    check: bool = True,
    timeout: float = 600.0,
    env: Mapping[str, str] | None = None,
    where: str = "",
) -> Result:
    """Run `argv` to its end and return its output as text.

    Raises CommandFailed if the program cannot be started, does not end within `timeout` seconds, or, with
    `check`, ends with another status than 0. `where` names the place in the error (`node1`).
    """
    text = stdin.encode() if isinstance(stdin, str) else stdin
    start = time.perf_counter()
    try:
        # close_fds=False lets CPython use vfork, several milliseconds cheaper from a large process; our own
        # descriptors are all close-on-exec (PEP 446), so nothing leaks by it.
        with _fed(text or b"") as feed:
            done = subprocess.run(
                list(argv), capture_output=True, timeout=timeout, env=env, close_fds=False, **feed
            )
    except OSError as error:
        raise CommandFailed(argv, 127, str(error), where=where) from error
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(argv, 124, f"no end within {timeout:g} s", where=where) from error
    result = Result(
        tuple(argv), done.returncode, done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"), time.perf_counter() - start,
    )  # fmt: skip
    if check and result.status != 0:
        raise CommandFailed(
            argv, result.status, result.stderr, where=where, input_line=_culprit(text, result.stderr)
        )
    return result


@contextlib.contextmanager
def _fed(text: bytes) -> Iterator[dict[str, Any]]:
    """How a process gets its input: what a pipe cannot hold, as a file in memory, which it reads by itself.

    Through a pipe, reader and writer take turns: for ten megabytes that took a tenth longer.
    """
    if len(text) <= PIPE_BYTES:
        yield {"input": text}
        return
    with open(os.memfd_create("stdin"), "w+b", buffering=0) as file:
        file.write(text)
        file.seek(0)
        yield {"stdin": file}


def _culprit(text: bytes | None, stderr: str) -> str:
    """The input line that a tool complained about by number, for the error message."""
    match = INPUT_LINE.search(stderr)
    if text is None or match is None:
        return ""
    lines = text.decode(errors="replace").splitlines()
    number = int(match.group(1))
    return f"{number}: {lines[number - 1]}" if 0 < number <= len(lines) else ""
