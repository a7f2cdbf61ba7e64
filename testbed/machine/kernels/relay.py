"""The host's end of the wire: the sockets of a guest's instance, in a folder of the host.

    FOLDER/api.sock, kube-api.sock   each connection is a channel to the socket of the same name inside
    FOLDER/door.sock                 takes a listening TCP socket, as the daemon does (`cluster/apiserver/door.py`);
                                     each connection that it gets is a channel to the daemon's server inside
    FOLDER/exec.sock                 each connection is one program inside, asked for by `enter`: frames go through

So whoever speaks to an instance speaks to one in a guest, and notices nothing. Only the sockets' owner may connect
(mode 0600). Knows sockets and the wire; knows nothing of what is said.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from testbed.errors import KernelStateError
from testbed.machine.kernels.connection import Answer, Connection
from testbed.machine.kernels.loop import Loop
from testbed.machine.kernels.wire import CLOSE, OPEN, Frame, Wire

EXEC, DOOR = "exec.sock", "door.sock"
FORWARDED = ("api.sock", "kube-api.sock")
WAITING_CONNECTIONS = 128
LONGEST_REASON = 1000  # bytes


class Relay:
    """Serves the sockets of one guest until its wire ends."""

    def __init__(self, descriptor: int, folder: Path, inside: Path, greeted: Callable[[], None]) -> None:
        """The wire's descriptor (a socket, or a terminal that is raw), the folder outside and the one inside.

        `greeted` is called when the guest's agent serves. Raises KernelStateError if a socket cannot be made.
        """
        os.set_blocking(descriptor, False)
        self.loop = Loop()
        self.folder, self.inside = folder, inside
        self.why = ""  # why it has ended
        self.numbers = itertools.count(1)
        self.wire = Wire(self.loop, descriptor, _refuse, self._ended)
        self.wire.expect_greeting(greeted)
        door = _Door(self)
        for name in FORWARDED:
            self._listen(name, partial(self.forward, request={"connect": str(inside / name)}))
        self._listen(DOOR, door.visit)
        self._listen(EXEC, self._execute)

    def run(self) -> str:
        """Serve; returns why the wire ended. All connections are closed then, and the sockets removed."""
        self.loop.run()
        return self.why

    def _ended(self, why: str) -> None:
        self.why = why
        for name in (*FORWARDED, DOOR, EXEC):
            (self.folder / name).unlink(missing_ok=True)
        self.loop.stop()

    def _listen(self, name: str, taken: Callable[[socket.socket], None]) -> None:
        self.accept(listen(self.folder / name), taken)

    def accept(self, listening: socket.socket, taken: Callable[[socket.socket], None]) -> None:
        """From now on hand over what connects there."""
        listening.setblocking(False)

        def take(_events: int) -> None:
            with suppress(OSError):  # whoever it was has gone, or there is no descriptor left for him
                connection, _ = listening.accept()
                taken(connection)

        self.loop.reader(listening.fileno(), take)

    def open(self, request: Mapping[str, Any]) -> int:
        """A new channel, for this."""
        number = next(self.numbers)
        self.wire.send(number, OPEN, json.dumps(request).encode())
        return number

    def forward(self, connection: socket.socket, request: Mapping[str, Any]) -> None:
        """Make a channel of a connection."""
        number = self.open(request)
        self.wire.channels[number] = Connection(self.wire, number, connection)

    def _execute(self, connection: socket.socket) -> None:
        """Frames between `enter` and the agent: only the channel's number is another on each side."""

        def begin(frame: Frame) -> None:
            if not entered.channels and self.wire.whole:
                number = next(self.numbers)
                entered.channels[frame.channel] = _Crossing(entered, frame.channel, self.wire, number)
                self.wire.channels[number] = _Crossing(self.wire, number, entered, frame.channel)
                self.wire.send(number, OPEN, frame.payload)

        connection.setblocking(False)
        entered = Wire(self.loop, connection.detach(), begin, _refuse)
        entered.single = True
        entered.read_no_faster_than(self.wire)


class _Crossing:
    """What comes on one wire's channel goes on as another's, until either says CLOSE."""

    def __init__(self, own: Wire, number: int, other: Wire, other_number: int) -> None:
        self._own, self._number = own, number
        self._other, self._other_number = other, other_number

    def take(self, frame: Frame) -> None:
        self._other.send(self._other_number, frame.kind, frame.payload, frame.stream)
        if frame.kind == CLOSE:
            self._leave()

    def lost(self, why: str) -> None:
        self._other.send(self._other_number, CLOSE, why.encode()[:LONGEST_REASON])
        self._leave()

    def _leave(self) -> None:
        for wire, number in ((self._own, self._number), (self._other, self._other_number)):
            wire.channels.pop(number, None)
            if wire.single:
                wire.finish()


class _Door:
    """The door: the first listening socket that works is kept, and later visitors get what the first one got."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._access: dict[str, Any] | None = None

    def visit(self, visitor: socket.socket) -> None:
        """Somebody has connected; his socket comes with his first byte."""
        visitor.setblocking(False)
        self._relay.loop.reader(visitor.fileno(), lambda _: self._welcome(visitor))

    def _welcome(self, visitor: socket.socket) -> None:
        self._relay.loop.forget(visitor.fileno())
        visitor.setblocking(True)  # it has something to say, and a line fits its buffer
        listening = _received(visitor)
        if listening is None:
            _reply(visitor, {"error": "one listening socket is wanted"})
        elif self._access is not None:
            listening.close()
            _reply(visitor, self._access)
        else:
            self._ask(visitor, listening)

    def _ask(self, visitor: socket.socket, listening: socket.socket) -> None:
        """Have the daemon serve on a socket inside, of the agent's making."""
        number = self._relay.open({"door": str(self._relay.inside / DOOR)})

        def told(answer: bytes) -> None:
            _reply(visitor, self._settle(answer, listening))

        self._relay.wire.channels[number] = Answer(self._relay.wire, number, told)

    def _settle(self, answer: bytes, listening: socket.socket) -> dict[str, Any]:
        """What the visitor is told: the daemon's words, with the address out here."""
        try:
            access: dict[str, Any] = json.loads(answer)
            inside = int(access["server"].rpartition(":")[2])
        except (ValueError, KeyError) as error:
            listening.close()
            return {"error": f"no answer from the door inside: {answer.decode(errors='replace') or error}"}
        if self._access is None:
            host, port = listening.getsockname()
            self._access = {**access, "server": f"https://{host}:{port}"}
            self._relay.accept(listening, partial(self._relay.forward, request={"port": inside}))
        else:
            listening.close()
        return self._access


def _refuse(_: object) -> None:
    """Nothing to do: guests open no channels, and what ends with a wire of its own was told already."""


def _received(visitor: socket.socket) -> socket.socket | None:
    """The one listening socket that came, or None."""
    try:
        _, descriptors, _, _ = socket.recv_fds(visitor, 1, 1)
    except OSError:
        return None
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    if len(sockets) == 1 and sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return sockets[0]
    for other in sockets:
        other.close()
    return None


def _reply(visitor: socket.socket, told: Mapping[str, Any]) -> None:
    """One line, which a socket's buffer holds."""
    with visitor, suppress(OSError):  # whoever it was has gone
        visitor.sendall(json.dumps(told).encode() + b"\n")


def listen(path: Path) -> socket.socket:
    """A Unix socket at a path, for its owner only. Raises KernelStateError."""
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
        listening.listen(WAITING_CONNECTIONS)
    except OSError as error:
        listening.close()
        raise KernelStateError(f"listening at {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    return listening
