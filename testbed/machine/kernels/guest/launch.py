"""How the agent starts programs: by exec, or, what is `testbed` itself, by a fork of a process that has it loaded.

A start of Python with all of testbed takes a second or more in User Mode Linux; a fork takes a few milliseconds.
`Warm` keeps such a process (`warm.py`) and uses it where the outcome is the same; else, and without it, it is exec.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed.machine.kernels.loop import Loop

LENGTH = struct.Struct("!I")
PROGRAM = "testbed"  # the name of our own command, as pip installs it beside the interpreter
PACKAGE = Path(__file__).parents[3]
UNBUFFERED, NO_BYTECODE = "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"  # a fork can still follow these
UTF8 = ("UTF-8", "UTF8")
NEUTRAL = ("", "C", "POSIX")  # Python takes these for UTF-8 as well (PEP 538, PEP 540)


@dataclass(frozen=True, slots=True)
class Order:
    """A program to be run: as execve(2) wants it, with its folder, umask, and which of 0, 1, 2 is its terminal."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    umask: int
    terminal: int  # -1: none

    @property
    def folder(self) -> str:
        """Its folder, if there is such inside; else the root, as when a mount namespace is entered."""
        return self.cwd if os.path.isdir(self.cwd) else "/"  # noqa: PTH112 - paths of others, as they are


class Run:
    """A program that was ordered. `ended` gets its exit code, -N if signal N killed it."""

    def __init__(self, ended: Callable[[int], None]) -> None:
        self.ended = ended
        self.pid = 0  # 0: not begun yet
        self._early: list[int] = []
        self._over = False

    def begin(self, pid: int) -> None:
        """It has this process id, and is the leader of its group."""
        self.pid = pid
        for number in self._early:
            self.signal(number)

    def end(self, status: int) -> None:
        """It has ended, and was waited for."""
        self._over = True
        self.ended(status)

    def signal(self, number: int) -> None:
        """Send a signal: what a terminal sends to the whole group, else to the program alone."""
        if self._over:
            return
        if not self.pid:
            self._early.append(number)
            return
        whole = number in (signal.SIGINT, signal.SIGQUIT)
        try:
            (os.killpg if whole else os.kill)(self.pid, number)
        except ProcessLookupError:
            return  # it ends just now

    def hang_up(self) -> None:
        """Nobody is there for it any more: what a lost terminal says, to the whole group."""
        if self.pid and not self._over:
            for number in (signal.SIGHUP, signal.SIGCONT):
                try:
                    os.killpg(self.pid, number)
                except ProcessLookupError:
                    return


def execute(loop: Loop, order: Order, streams: Sequence[int], run: Run) -> None:
    """Start a program by exec. Raises OSError if it cannot be started."""
    adopt = (lambda: take_terminal(order.terminal)) if order.terminal >= 0 else None
    stdin, stdout, stderr = streams
    child = subprocess.Popen(  # noqa: PLW1509 - this process has one thread
        order.argv,
        env=order.env,
        cwd=order.folder,
        umask=order.umask,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=adopt,
    )
    run.begin(child.pid)
    when_ended(loop, child.pid, lambda: run.end(child.wait()))


def take_terminal(number: int) -> None:
    """Make one of our descriptors the terminal that controls this new session."""
    fcntl.ioctl(number, termios.TIOCSCTTY, 0)


def when_ended(loop: Loop, pid: int, work: Callable[[], None]) -> None:
    """Do this when a child of ours has ended."""
    descriptor = os.pidfd_open(pid)

    def over(_events: int) -> None:
        loop.forget(descriptor)
        os.close(descriptor)
        work()

    loop.reader(descriptor, over)


class Warm:
    """The agent's side of the warm process: orders go there, process ids and exit codes come back."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._socket, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.warm", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=PACKAGE.parent,
        )
        theirs.close()
        self._runs: dict[int, Run] = {}
        self._bytes = b""
        self._alive = True
        loop.reader(self._socket.fileno(), self._read)

    def wants(self, order: Order) -> bool:
        """True if a fork does the same as an exec."""
        return self._alive and ours(order) and same_python(order.env)

    def start(self, order: Order, streams: Sequence[int], run: Run) -> None:
        """Order a program there."""
        number = max(self._runs, default=0) + 1
        told = json.dumps({"number": number, **asdict(order)}).encode()
        self._runs[number] = run
        try:
            socket.send_fds(self._socket, [LENGTH.pack(len(told))], list(streams))
            self._socket.sendall(told)
        except OSError:
            self._lose()

    def _read(self, _events: int) -> None:
        data = self._socket.recv(1 << 16)
        if not data:
            self._lose()
            return
        *lines, self._bytes = (self._bytes + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, told: Mapping[str, Any]) -> None:
        if "pid" in told:
            self._runs[told["number"]].begin(told["pid"])
        else:
            self._runs.pop(told["number"]).end(told["status"])

    def _lose(self) -> None:
        """It has died: whoever it had started has lost its parent, and what became of it nobody knows."""
        self._alive = False
        self._loop.forget(self._socket.fileno())
        self._process.wait()
        runs, self._runs = self._runs, {}
        for run in runs.values():
            run.hang_up()
            run.end(-signal.SIGKILL)


def ours(order: Order) -> bool:
    """True if it is `testbed …`, or `python -m testbed.….…` of this very interpreter and package."""
    first, *rest = order.argv
    if Path(first).name == PROGRAM:
        found = shutil.which(first, path=order.env.get("PATH"))
        return found is not None and Path(found) == Path(sys.executable).with_name(PROGRAM)
    if first != sys.executable or rest[:1] != ["-m"] or not "".join(rest[1:2]).startswith(f"{PROGRAM}."):
        return False
    there = Path(order.folder, PROGRAM)  # what `-m` would find first
    return not there.is_dir() or there.samefile(PACKAGE)


def same_python(env: Mapping[str, str]) -> bool:
    """True if a Python with this environment would start as this one did."""
    words = {name for name in {*env, *os.environ} if name.startswith("PYTHON")} - {UNBUFFERED, NO_BYTECODE}
    if any(env.get(name) != os.environ.get(name) for name in words):
        return False
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    return locale in NEUTRAL or locale.upper().endswith(UTF8)
