"""A connected socket as a channel: bytes both ways, each way with an end of its own, as sockets have.

Both ends of the wire use it: the relay for whoever connects to it, the agent for the socket inside that is meant.
Knows sockets; knows nothing of what is said.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from testbed.machine.kernels.pumps import Sink, Source, Stream
from testbed.machine.kernels.wire import CLOSE, DATA, END, WINDOW, Frame, Wire


class Connection:
    """A connected socket as a channel: bytes both ways, each way with an end of its own, as sockets have."""

    def __init__(self, wire: Wire, number: int, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._wire, self._number, self._socket = wire, number, connection
        self._ended = 0  # directions that are over
        self._going = False  # CLOSE has come: what is here is still written
        stream = Stream(wire, number)
        descriptor = connection.fileno()
        self._sink = Sink(stream, descriptor, self._written, self._abort)
        self._source = Source(stream, descriptor, self._read)

    def take(self, frame: Frame) -> None:
        """A frame of the channel has come."""
        if frame.kind == DATA:
            self._sink.data(frame.payload)
        elif frame.kind == END:
            self._sink.end()
        elif frame.kind == WINDOW:
            self._source.grant(frame.payload)
        elif frame.kind == CLOSE:
            self._going = True
            self._wire.channels.pop(self._number, None)
            self._source.stop()
            self._sink.end()
            if self._sink.done:
                self._shut()

    def lost(self, _why: str) -> None:
        """The wire has ended."""
        self._shut()

    def _read(self, gone: bool) -> None:
        """Our side has said all; `gone`: and does not listen either."""
        if gone:
            self._abort()
        else:
            self._over()

    def _written(self) -> None:
        if self._going:
            self._shut()
            return
        with suppress(OSError):  # it has gone already
            self._socket.shutdown(socket.SHUT_WR)
        self._over()

    def _over(self) -> None:
        self._ended += 1
        if self._ended == 2:
            self._abort()

    def _abort(self) -> None:
        """Nothing more will come from here, and nothing is wanted."""
        if self._going:
            self._shut()
            return
        if self._wire.channels.pop(self._number, None):
            self._wire.send(self._number, CLOSE)
        self._shut()

    def _shut(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._source.stop()
        self._sink.stop()
        self._socket.close()


class Answer:
    """A channel on which one short answer comes, and nothing is said."""

    def __init__(self, wire: Wire, number: int, told: Callable[[bytes], None]) -> None:
        """`told` gets all of it in the end; the reason as text if the channel failed."""
        self._wire, self._number, self._told = wire, number, told
        self._bytes = b""

    def take(self, frame: Frame) -> None:
        """A frame of the channel has come."""
        if frame.kind == DATA:
            self._bytes += frame.payload
        elif frame.kind == END:
            self._wire.send(self._number, END)  # nothing is said here: so the other end has both, and closes
        elif frame.kind == CLOSE:
            self._wire.channels.pop(self._number, None)
            self._told(self._bytes or frame.payload)

    def lost(self, why: str) -> None:
        """The wire has ended."""
        self._told(why.encode())
