"""The wire between a guest and its host: frames of many channels over one stream of bytes.

    frame     channel u32, length u32, kind u8, stream u8 (all big endian), then `length` bytes

    OPEN      what is wanted, as JSON; the opener chose the channel's number, which is never used again
    DATA      bytes of a stream; no more than the other end gave credit for
    END       the stream has no more bytes
    WINDOW    u32: credit for so many more bytes of a stream, because as many have reached their reader
    CLOSE     why, as text, empty if all went well: the channel is gone, nothing follows
    SIGNAL    u8: a signal for the channel's program            RESIZE   u16 rows, u16 columns of its terminal
    EXIT      u8: the program's exit code                       HELLO    here begin frames

A channel has streams that are told apart by number, each with credit of its own (`pumps.py`): a slow reader stops
its own stream and nobody else's, and what lies in memory is bounded. A serial line is noise until both ends
are there and set raw: the guest says HELLO, with bytes that a line that is not raw would change, until the host
answers it; before its answer the host sends nothing. Pure of any kernel; knows nothing of what channels are for.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from testbed.machine.kernels.loop import Loop

OPEN, DATA, END, WINDOW, CLOSE, SIGNAL, RESIZE, EXIT, HELLO = range(1, 10)

HEADER = struct.Struct("!IIBB")
CHUNK = 1 << 14  # bytes of one DATA frame: what a short answer may have to wait for on a slow line
CREDIT = 1 << 17  # bytes of a stream that may be on their way
GRANT = CREDIT // 4  # credit is given back in portions of at least so many bytes
GREETING = b"testbed 1\r\n\x03\x11\xff\xfe\x00"  # a terminal would take or change most of these
LIMITS = {
    OPEN: 1 << 22,  # twice what Linux lets a program have as arguments and environment
    DATA: CHUNK,
    END: 0,
    WINDOW: 4,
    CLOSE: 1 << 12,
    SIGNAL: 1,
    RESIZE: 4,
    EXIT: 1,
    HELLO: len(GREETING),
}
CROWDED, FREE = 1 << 16, 1 << 14  # bytes that wait to be written: sources stop at the one, go on at the other
READING = 1 << 16


class Frame(NamedTuple):
    """One frame."""

    channel: int
    kind: int
    stream: int
    payload: bytes


def encode(channel: int, kind: int, payload: bytes = b"", stream: int = 0) -> bytes:
    """A frame as bytes."""
    return HEADER.pack(channel, len(payload), kind, stream) + payload


HELLO_FRAME = encode(0, HELLO, GREETING)


class Garbage(NamedTuple):
    """What stands in the stream instead of a frame."""

    why: str


class Decoder:
    """Frames out of bytes as they come."""

    def __init__(self, *, greeted: bool) -> None:
        """Until `greeted`, everything before the first HELLO is noise."""
        self.greeted = greeted
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame | Garbage]:
        """The frames that are whole with these bytes; after Garbage nothing follows."""
        self._bytes += data
        if not self.greeted and not self._find_greeting():
            return
        start = 0
        while (found := self._frame(start)) is not None:
            yield found
            if isinstance(found, Garbage):
                return
            start += HEADER.size + len(found.payload)
        del self._bytes[:start]

    def _find_greeting(self) -> bool:
        at = self._bytes.find(HELLO_FRAME)
        del self._bytes[: at if at >= 0 else -len(HELLO_FRAME)]
        self.greeted = at >= 0
        return self.greeted

    def _frame(self, start: int) -> Frame | Garbage | None:
        if len(self._bytes) - start < HEADER.size:
            return None
        channel, length, kind, stream = HEADER.unpack_from(self._bytes, start)
        if length > LIMITS.get(kind, -1):
            return Garbage(f"no frame: {bytes(self._bytes[start : start + 32])!r}")
        begin = start + HEADER.size
        if len(self._bytes) - begin < length:
            return None
        return Frame(channel, kind, stream, bytes(self._bytes[begin : begin + length]))


class Taker(Protocol):
    """What a channel is to its wire."""

    def take(self, frame: Frame) -> None:
        """A frame of the channel has come."""

    def lost(self, why: str) -> None:
        """The wire has ended, or turned out to be none; said once."""


class Wire:
    """One end: writes frames without ever blocking, and hands those that come to their channels.

    `opened` is called with each OPEN; `ended` once, with the reason, after all channels were told. Frames for
    channels that are not in `channels` (any more) are late and mean nothing.
    """

    def __init__(
        self, loop: Loop, descriptor: int, opened: Callable[[Frame], None], ended: Callable[[str], None]
    ) -> None:
        """`descriptor` must be non-blocking, and raw if it is a terminal."""
        self.loop, self.descriptor = loop, descriptor
        self.channels: dict[int, Taker] = {}
        self.whole = True  # false from the moment it is lost
        self.single = False  # true if it is there for one channel, and ends with it
        self._opened, self._ended = opened, ended
        self._decoder = Decoder(greeted=True)
        self._silent = False  # a host before the greeting
        self._greeted: Callable[[], None] | None = None
        self._out: deque[bytes] = deque()
        self._waiting = 0  # bytes in `_out`
        self._flushing = False
        self._freed: deque[Callable[[], None]] = deque()
        self._ahead: Wire | None = None
        self._finishing = False
        loop.reader(descriptor, self._read)

    def expect_greeting(self, greeted: Callable[[], None]) -> None:
        """The host's way to begin: skip noise, write nothing until the guest greets, answer it."""
        self._decoder, self._silent, self._greeted = Decoder(greeted=False), True, greeted

    def greet(self, every: float) -> None:
        """The guest's way to begin: greet each `every` seconds until the host answers; skip noise until then."""
        self._decoder, self._silent = Decoder(greeted=False), True
        self._greet_again(every)

    def _greet_again(self, every: float) -> None:
        if not self._decoder.greeted and self.whole:
            if not self._out:
                self._put(HELLO_FRAME)
                self._flush()
            self.loop.later(every, lambda: self._greet_again(every))

    def send(self, channel: int, kind: int, payload: bytes = b"", stream: int = 0) -> None:
        """Send a frame: it is written with all others of this round, or when there is room."""
        self._put(encode(channel, kind, payload, stream))
        if not (self._flushing or self._silent):
            self._flushing = True
            self.loop.soon(self._flush)

    def _put(self, data: bytes) -> None:
        if self.whole:
            self._out.append(data)
            self._waiting += len(data)

    @property
    def crowded(self) -> bool:
        """True while so much waits to be written that nobody should add data (answers and credit always may)."""
        return self._waiting > CROWDED

    def when_free(self, work: Callable[[], None]) -> None:
        """Do this once, when there is room again; in the order of asking."""
        self._freed.append(work)

    def read_no_faster_than(self, other: Wire) -> None:
        """Read nothing while the other wire is crowded: what comes here goes there."""
        self._ahead = other

    def finish(self) -> None:
        """Close it when all that was sent is written. Nobody is told."""
        self._finishing = True
        self.loop.soon(self._flush)

    def close(self) -> None:
        """Watch the descriptor no more, and close it. Nobody is told."""
        if self.whole:
            self.whole = False
            self.loop.forget(self.descriptor)
            os.close(self.descriptor)

    def _flush(self) -> None:
        """Write as much as goes in one piece; the rest when there is room."""
        self._flushing = False
        if not self.whole:
            return
        if self._out:
            self._write()
        if self._finishing and not self._out:
            self.close()

    def _write(self) -> None:
        data = b"".join(self._out)
        try:
            written = os.write(self.descriptor, data)
        except BlockingIOError:
            written = 0
        except OSError:
            written = len(data)  # nobody reads any more; what was said before is still there to be read
        self._out = deque([data[written:]] if written < len(data) else ())
        self._waiting = len(data) - written
        self._flushing = bool(self._out)
        self.loop.writer(self.descriptor, (lambda _: self._flush()) if self._out else None)
        while self._freed and self._waiting <= FREE:
            self._freed.popleft()()

    def _read(self, _events: int) -> None:
        if self._ahead and self._ahead.crowded:
            self.loop.reader(self.descriptor, None)
            self._ahead.when_free(self._read_on)
            return
        try:
            data = os.read(self.descriptor, READING)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(f"the wire cannot be read: {error.strerror}")
            return
        if not data:
            self._lose("the other end has gone")
            return
        self._take(data)

    def _read_on(self) -> None:
        if self.whole:
            self.loop.reader(self.descriptor, self._read)

    def _take(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            if isinstance(frame, Garbage):
                self._lose(frame.why)
            elif frame.kind == HELLO:
                self._begin()
            elif frame.kind == OPEN:
                self._opened(frame)
            elif taker := self.channels.get(frame.channel):
                taker.take(frame)
            if not self.whole:
                return

    def _begin(self) -> None:
        if not self._silent:
            return  # the guest greeted again before our answer came
        self._silent = False
        if self._greeted:
            self._out.appendleft(HELLO_FRAME)
            self._waiting += len(HELLO_FRAME)
            self._greeted()
        self._flush()

    def _lose(self, why: str) -> None:
        self.close()
        self._out.clear()
        takers, self.channels = self.channels, {}
        for taker in takers.values():
            taker.lost(why)
        self._ended(why)
