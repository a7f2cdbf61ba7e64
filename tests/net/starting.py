"""How a lab's processes are started: by exec as a user does it, or by forks of one that has everything loaded.

A start of Python with all of testbed takes two seconds in User Mode Linux, a fork a few milliseconds; a guest that
tries hundreds of cases forks. Knows commands, namespaces and processes; knows no case.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

from testbed.errors import TestbedError
from testbed.machine import libc
from testbed.machine.sandbox import Instance

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("testbed"))
STREAMS = 3
INNER = ("mnt", "net", "ipc", "uts", "pid_for_children")
LOADED = ("testbed.cli.main", "testbed.cli.deploy", "testbed.cli.destroy", "testbed.cluster.daemon")


class Process(Protocol):
    """What is talked with over its standard streams."""

    @property
    def stdin(self) -> IO[str] | None: ...

    @property
    def stdout(self) -> IO[str] | None: ...

    def wait(self) -> int:
        """Its exit status."""
        ...


class Starter(Protocol):
    """Starts what a lab consists of."""

    def command(self, arguments: Sequence[str], text: str = "") -> str:
        """What the command `testbed` prints. Raises TestbedError with what it said if it fails."""
        ...

    def inside(self, instance: Instance, module: str) -> Process:
        """A Python module of ours, run inside a sandbox, in which it has no folder to find its modules by."""
        ...


class ByExec:
    """As a user starts them."""

    def command(self, arguments: Sequence[str], text: str = "") -> str:
        return output([COMMAND, *arguments], text)

    def inside(self, instance: Instance, module: str) -> Process:
        argv = [*instance.enter_argv(), sys.executable, "-m", module]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


class ByFork:
    """By forks of this process, which must have one thread, and be root."""

    def __init__(self) -> None:
        datapaths = importlib.import_module("testbed.datapaths.find").names()
        for name in (*LOADED, *(f"testbed.datapaths.{each}" for each in datapaths)):
            importlib.import_module(name)

    def command(self, arguments: Sequence[str], text: str = "") -> str:
        with (
            tempfile.TemporaryFile("w+") as given,
            tempfile.TemporaryFile("w+") as printed,
            tempfile.TemporaryFile("w+") as said,
        ):
            given.write(text)
            given.seek(0)
            run = importlib.import_module("testbed.cli.main").main
            child = _forked(lambda: int(run(list(arguments)) or 0), [given, printed, said])
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            printed.seek(0)
            said.seek(0)
            if status:
                raise TestbedError(f"testbed {' '.join(arguments)}: status {status}: {said.read().strip()}")
            return printed.read()

    def inside(self, instance: Instance, module: str) -> Process:
        run = importlib.import_module(module).main
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        with open(theirs_in) as given, open(theirs_out, "w") as answers:
            pid = _forked(lambda: _inside(instance.daemon.pid, run), [given, answers, sys.stderr])
        return Child(pid, open(ours_out, "w"), open(ours_in))


class Child:
    """A forked process and its streams."""

    def __init__(self, pid: int, stdin: IO[str], stdout: IO[str]) -> None:
        self.pid = pid
        self.stdin: IO[str] | None = stdin
        self.stdout: IO[str] | None = stdout

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def output(argv: Sequence[str], text: str = "") -> str:
    """What a program prints. Raises TestbedError with what it said if it fails."""
    done = subprocess.run(argv, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbedError(f"{' '.join(argv)}: status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _forked(action: Callable[[], int], streams: Sequence[IO[str]]) -> int:
    """Have a child do something with these as its standard streams and no other descriptor; its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, stream in enumerate(streams):
            os.dup2(stream.fileno(), number)
        os.closerange(STREAMS, 1 << 16)
        modes = zip(("stdin", "stdout", "stderr"), "rww", strict=True)
        for number, (name, mode) in enumerate(modes):
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
        status = action()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - a child must never return into its parent's work
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _inside(process: int, run: Callable[[], None]) -> int:
    """Do something in another process's namespaces; only a child is in its PID namespace (pid_namespaces(7))."""
    opened = [os.open(f"/proc/{process}/ns/{kind}", os.O_RDONLY) for kind in INNER]
    for descriptor in opened:
        libc.setns(descriptor, 0, f"entering a namespace of {process}")
        os.close(descriptor)
    os.chdir("/")
    child = os.fork()
    if child == 0:
        run()
        return 0
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
