"""Runs a program in another process's namespaces as if it were our own: terminal, signals and exit code are its.

    we, outside: wait ── forks ── the program, inside

A process cannot change its own PID namespace, only that of its next children (pid_namespaces(7)), so somebody has
to wait outside. nsenter(1) would die there of a Ctrl-C that was meant for the program, and leave it behind.
Knows setns(2) and signals; knows nothing of what is run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from testbed.errors import CommandFailed, KernelStateError
from testbed.machine import libc

INNER = ("mnt", "net", "ipc", "uts", "pid_for_children")
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)  # a terminal sends these to the program as well
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # a shell's statuses (POSIX, 2.8.2 Exit Status for Commands)
PASSED_ON = (signal.SIGTERM, signal.SIGHUP)


def run_inside(process: Path, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run a program in all namespaces of a process, in the folder that we are in, if there is such inside.

    `process` is its folder in a /proc; without `env` the program gets our environment. The caller stays in these
    namespaces, and must have one thread only. Returns the program's exit code, 128 + N if signal N killed it.
    Raises KernelStateError, and CommandFailed if the program cannot be started.
    """
    _enter(process)
    return run_beside(argv, env)


def run_beside(argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Run a program that has our terminal, and stand by: it decides what becomes of a Ctrl-C, SIGTERM is passed on.

    Returns its exit code, 128 + N if signal N killed it. Raises CommandFailed if it cannot be started. To be
    called by the main thread, whose signal handlers stay as they are then.
    """
    early: list[int] = []
    # Handlers, not SIG_IGN: exec(2) gives the program the default again.
    for number in FROM_TERMINAL:
        signal.signal(number, _leave_it)
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: early.append(number))
    try:
        program = subprocess.Popen(argv, env=env)
    except OSError as error:
        status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        raise CommandFailed(argv, status, error.strerror or str(error)) from error
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: program.send_signal(number))
    for missed in early:
        program.send_signal(missed)
    status = program.wait()
    return status if status >= 0 else 128 - status


def environment(process: Path) -> dict[str, str]:
    """The environment that a process was started with, with our terminal's name. Raises KernelStateError."""
    try:
        entries = (process / "environ").read_bytes().decode(errors="surrogateescape").split("\0")
    except OSError as error:
        raise KernelStateError(f"{process}: {error.strerror}; has the process ended?") from error
    found = dict(entry.split("=", 1) for entry in entries if "=" in entry)
    return {"TERM": os.environ["TERM"], **found} if "TERM" in os.environ else found


def _enter(process: Path) -> None:
    here = Path.cwd()
    # An ordinary user's namespaces belong to a user namespace, which must be entered first.
    kinds = INNER if os.geteuid() == 0 else ("user", *INNER)
    with contextlib.ExitStack() as stack:
        opened = {kind: _open(process / "ns" / kind) for kind in kinds}
        for descriptor in opened.values():
            stack.callback(os.close, descriptor)
        for kind, descriptor in opened.items():
            libc.setns(descriptor, 0, f"entering the {kind} namespace of {process}")
    with contextlib.suppress(OSError):
        os.chdir(here)  # entering a mount namespace leads to its root folder


def _open(namespace: Path) -> int:
    try:
        return os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelStateError(f"{namespace}: {error.strerror}; has the process ended?") from error


def _leave_it(number: int, frame: FrameType | None) -> None:
    """Nothing: the program decides what becomes of it."""
