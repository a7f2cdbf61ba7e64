"""`python -m testbed.machine.kernels.guest.agent WIRE`: serves the wire inside a guest, until it ends.

WIRE is a serial line (`/dev/ttyS0`), or `fd:N`. Each channel that the host opens asks for one thing, by JSON:

    {"connect": PATH}   the Unix socket at PATH                       {"port": N}   TCP port N of the loopback
    {"exec": {…}}       a program (`programs.py`)
    {"door": PATH}      hand a new listening socket of the loopback to the daemon's door; its answer comes back

Runs as a child of process 1, with one thread, and ends when the host has gone.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import termios
import tty
from typing import Any

from testbed.machine.kernels.connection import Connection
from testbed.machine.kernels.guest.launch import Warm
from testbed.machine.kernels.guest.programs import Program
from testbed.machine.kernels.loop import Loop
from testbed.machine.kernels.wire import CLOSE, OTHER_ROOM, TERMINAL_ROOM, Frame, Wire

GREETING_SECONDS = 0.2
RETRY_SECONDS = 0.01
LOOPBACK = "127.0.0.1"


class Agent:
    """The guest's end of one wire."""

    def __init__(self, descriptor: int, *, warm: bool = True) -> None:
        """`descriptor` is the wire, raw if it is a terminal. Without `warm`, every program is started by exec."""
        os.set_blocking(descriptor, False)
        self.loop = Loop()
        self._wire = Wire(self.loop, descriptor, self._open, self._ended)
        self._wire.greet(GREETING_SECONDS, TERMINAL_ROOM if os.isatty(descriptor) else OTHER_ROOM)
        self._warm = Warm(self.loop) if warm else None

    def run(self) -> None:
        """Serve until the wire ends; programs that still run have lost their terminals then."""
        self.loop.run()

    def _ended(self, why: str) -> None:
        sys.stderr.write(f"agent: {why}\n")  # the console
        self.loop.stop()

    def _open(self, frame: Frame) -> None:
        request = json.loads(frame.payload)
        try:
            self._serve(frame.channel, request)
        except OSError as error:
            self._refuse(frame.channel, error)

    def _refuse(self, number: int, error: OSError) -> None:
        self._wire.channels.pop(number, None)
        self._wire.send(number, CLOSE, (error.strerror or str(error)).encode())

    def _serve(self, number: int, request: dict[str, Any]) -> None:
        if "exec" in request:
            Program(self._wire, number, request["exec"], self._warm)
        elif "connect" in request:
            self._wire.channels[number] = Waiting()
            self._connect(number, request["connect"])
        elif "port" in request:
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex((LOOPBACK, request["port"]))
            self._wire.channels[number] = Connection(self._wire, number, connection)
        else:
            door = socket.socket(socket.AF_UNIX)
            door.connect(request["door"])
            with socket.create_server((LOOPBACK, 0)) as listening:
                socket.send_fds(door, [b"\0"], [listening.fileno()])
            self._wire.channels[number] = Connection(self._wire, number, door)

    def _connect(self, number: int, path: str) -> None:
        """Connect to a Unix socket; again and again while more wait there than it takes (unix(7): EAGAIN)."""
        waiting = self._wire.channels.get(number)
        if not isinstance(waiting, Waiting) or not self._wire.whole:
            return
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        status = connection.connect_ex(path)
        if status == errno.EAGAIN:
            connection.close()
            if waiting.given_up:
                self._wire.channels.pop(number)
                return
            self.loop.later(RETRY_SECONDS, lambda: self._connect(number, path))
        elif status:
            connection.close()
            self._refuse(number, OSError(status, os.strerror(status)))
        else:
            made = self._wire.channels[number] = Connection(self._wire, number, connection)
            for frame in waiting.frames:
                made.take(frame)


class Waiting:
    """A channel that is being connected: what comes meanwhile is kept; credit bounds it."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    @property
    def given_up(self) -> bool:
        return any(frame.kind == CLOSE for frame in self.frames)

    def take(self, frame: Frame) -> None:
        """A frame of the channel has come."""
        self.frames.append(frame)

    def lost(self, _why: str) -> None:
        """The wire has ended."""


def opened(name: str) -> int:
    """The wire as a descriptor, raw: no echo, no translation, no characters that mean something."""
    if name.startswith("fd:"):
        descriptor = int(name.removeprefix("fd:"))
        os.set_inheritable(descriptor, False)
    else:
        descriptor = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    if os.isatty(descriptor):
        tty.setraw(descriptor, termios.TCSANOW)
    return descriptor


def main(argv: list[str]) -> int:
    """Serve the wire that is named."""
    os.environ.pop("PYTHONPATH", None)  # it was for us; programs bring an environment of their own
    Agent(opened(argv[0])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
