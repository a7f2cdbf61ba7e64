"""Pumps between a descriptor and a stream of a channel, with credit: who reads slowly stops his own stream only.

    descriptor ── Source ──→ DATA, END  ══ wire ══  DATA, END ──→ Sink ── descriptor
                    ↑ credit            ←═ WINDOW ═              │ written

A source reads only what it has credit for, and nothing while the wire is crowded. A sink gives credit for what
its descriptor has taken. Knows pipes, sockets and terminals; knows nothing of who is behind them.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from testbed.machine.kernels import loop as loops
from testbed.machine.kernels.wire import CHUNK, CREDIT, DATA, END, GRANT, WINDOW, Wire

COUNT = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Stream:
    """One direction of one channel of a wire, by its numbers."""

    wire: Wire
    channel: int
    number: int = 0

    def send(self, kind: int, payload: bytes = b"") -> None:
        """A frame of this stream."""
        self.wire.send(self.channel, kind, payload, self.number)


class Source:
    """What can be read from a descriptor, as DATA; `ended(gone)` after END: `gone` if a socket's peer has left."""

    def __init__(self, stream: Stream, descriptor: int, ended: Callable[[bool], None]) -> None:
        """The descriptor is the caller's to close. Begins at once."""
        self._stream, self.descriptor, self._ended = stream, descriptor, ended
        self._credit = CREDIT
        self._drained: Callable[[], None] | None = None
        self._left = 0  # bytes that a drain may still take
        self.open = True
        self._go_on()

    def grant(self, payload: bytes) -> None:
        """WINDOW has come."""
        had = self._credit
        self._credit += COUNT.unpack(payload)[0]
        if not had:
            self._go_on()

    def drain(self, done: Callable[[], None]) -> None:
        """Call `done` once, when all that is there now has been sent; others may go on writing for ever."""
        self._drained, self._left = done, CREDIT
        if not self.open:
            self._settle()
        self._go_on()

    def stop(self) -> None:
        """Read no more, and say nothing."""
        self.open = False
        self._stream.wire.loop.reader(self.descriptor, None)

    def _go_on(self) -> None:
        if self.open and self._stream.wire.whole:
            self._stream.wire.loop.reader(self.descriptor, self._ready)
            if self._drained:
                self._stream.wire.loop.soon(lambda: self._ready(0))

    def _settle(self) -> None:
        done, self._drained = self._drained, None
        if done:
            done()

    def _ready(self, events: int) -> None:
        if not (self.open and self._credit):
            return
        if self._stream.wire.crowded:
            self._stream.wire.loop.reader(self.descriptor, None)
            self._stream.wire.when_free(self._go_on)
            return
        data = self._read()
        if data is None:
            self._settle()
        elif not data:
            self._finish(bool(events & loops.HUP))
        else:
            self._send(data)

    def _finish(self, gone: bool) -> None:
        self.stop()
        self._stream.send(END)
        self._settle()
        self._ended(gone)

    def _send(self, data: bytes) -> None:
        self._stream.send(DATA, data)
        self._credit -= len(data)
        self._left -= len(data)
        if not self._credit:
            self._stream.wire.loop.reader(self.descriptor, None)
        if self._drained:
            self._stream.wire.loop.soon(self._settle if self._left <= 0 else lambda: self._ready(0))

    def _read(self) -> bytes | None:
        """What is there; None: nothing yet."""
        try:
            return os.read(self.descriptor, min(CHUNK, self._credit))
        except BlockingIOError:
            return None
        except OSError:
            return b""  # EIO: a terminal that nobody has open; ECONNRESET: a peer that has gone


class Sink:
    """Writes a stream's DATA into a descriptor; after END and the last byte `ended()`.

    `broken()` once, if nobody reads there any more: what comes then is thrown away, and counts as read.
    """

    def __init__(
        self,
        stream: Stream,
        descriptor: int,
        ended: Callable[[], None],
        broken: Callable[[], None],
        *,
        portion: int = 0,
    ) -> None:
        """The descriptor is the caller's to close. With `portion`, it may block: it is written when poll(2) says
        so, and no more than so many bytes at once (a pipe that is ready has room for PIPE_BUF of them)."""
        self._stream, self.descriptor, self._ended, self._on_broken = stream, descriptor, ended, broken
        self._portion = portion
        self._queue: deque[memoryview] = deque()
        self._owed = 0  # written, but no credit given for it yet
        self._last = False  # END has come
        self._lost = False  # nobody reads there any more
        self.done = False  # all is written that will ever be

    @property
    def empty(self) -> bool:
        return not self._queue

    def data(self, payload: bytes) -> None:
        """DATA has come."""
        if self._lost:
            self._owe(len(payload))
            return
        self._queue.append(memoryview(payload))
        if len(self._queue) == 1:
            if self._portion:
                self._stream.wire.loop.writer(self.descriptor, self._write)
            else:
                self._write(0)

    def end(self) -> None:
        """END has come."""
        self._last = True
        self._finish()

    def stop(self) -> None:
        """Write no more."""
        self._queue.clear()
        self.done = self._lost = True
        self._stream.wire.loop.writer(self.descriptor, None)

    def _write(self, _events: int) -> None:
        try:
            while self._queue:
                first = self._queue[0]
                count = os.write(self.descriptor, first[: self._portion] if self._portion else first)
                self._queue[0] = first[count:]
                if count == len(first):
                    self._queue.popleft()
                self._owe(count)
                if self._portion:
                    break
        except BlockingIOError:
            pass
        except OSError:
            self._break()
        waiting = bool(self._queue)
        self._stream.wire.loop.writer(self.descriptor, self._write if waiting else None)
        self._finish()

    def _break(self) -> None:
        self._owe(sum(len(piece) for piece in self._queue))
        self._queue.clear()
        if not self._lost:
            self._lost = True
            self._on_broken()

    def _owe(self, count: int) -> None:
        self._owed += count
        if self._owed >= GRANT:
            self._stream.send(WINDOW, COUNT.pack(self._owed))
            self._owed = 0

    def _finish(self) -> None:
        if self._last and not self._queue and not self.done:
            self.done = True
            self._ended()
