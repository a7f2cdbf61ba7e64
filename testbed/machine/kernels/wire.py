"""The wire between a guest and its host: frames of many channels over one stream of bytes.

    frame     channel u32, length u32, kind u8, stream u8 (all big endian), then `length` bytes

    OPEN      what is wanted, as JSON; the opener chose the channel's number, which is never used again
    DATA      bytes of a stream; no more than the other end gave credit for
    END       the stream has no more bytes
    WINDOW    u32: credit for so many more bytes of a stream, because as many have reached their reader
    CLOSE     why, as text, empty if all went well: the channel is gone, nothing follows
    SIGNAL    u8: a signal for the channel's program            RESIZE   u16 rows, u16 columns of its terminal
    EXIT      u8: the program's exit code                       HELLO    here begin frames
    MORE      a part of the payload of the OPEN that follows    ACK      u32: so many bytes may follow on the line

A channel has streams that are told apart by number, each with credit of its own (`pumps.py`): a slow reader stops
its own stream and nobody else's, and what lies in memory is bounded. A serial line is noise until both ends
are there and set raw: the guest says HELLO, with bytes that a line that is not raw would change, until the host
answers it; before its answer the host sends nothing. Then the guest says with ACK how many bytes the line may hold
towards it, and again how many it has taken. User Mode Linux needs that: a terminal that is told to wait (at 3968
bytes) stops listening for good, since `line_throttle` in its line.c takes the descriptor out of epoll(7) and
nobody puts it back. Pure of any kernel; knows nothing of what channels are for.
"""

from __future__ import annotations

import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from testbed.machine.kernels.loop import Loop

OPEN, DATA, END, WINDOW, CLOSE, SIGNAL, RESIZE, EXIT, HELLO, MORE, ACK = range(1, 12)

HEADER = struct.Struct("!IIBB")
CHUNK = 1 << 14  # bytes of one DATA frame: what a short answer may have to wait for on a slow line
CREDIT = 1 << 17  # bytes of a stream that may be on their way
GRANT = CREDIT // 4  # credit is given back in portions of at least so many bytes
# A terminal would take or change most of these. The last byte is not the first of a frame: a greeting that was cut
# short hides no other.
GREETING = b"testbed 1\r\n\x03\x11\x00\xfe\xff"
LONGEST_OPEN = 1 << 22  # twice what Linux lets a program have as arguments and environment
LIMITS = {
    OPEN: CHUNK,
    DATA: CHUNK,
    END: 0,
    WINDOW: 4,
    CLOSE: 1 << 12,
    SIGNAL: 1,
    RESIZE: 4,
    EXIT: 1,
    HELLO: len(GREETING),
    MORE: CHUNK,
    ACK: 4,
}
CROWDED, FREE = 1 << 16, 1 << 14  # bytes that wait to be written: sources stop at the one, go on at the other
READING = 1 << 16
TERMINAL_ROOM = 3584  # bytes that a terminal of the guest may be given before it has read them
OTHER_ROOM = 1 << 16  # bytes that anything else may
ACKS = 4  # for each room full of bytes
NO_LIMIT = 1 << 62
COUNT = struct.Struct("!I")


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
        self._rest = b""  # of frames, begun and not yet written
        self._waiting = 0  # bytes in `_out` and `_rest`
        self._credit = NO_LIMIT  # bytes that may still go onto the line
        self._room = 0  # bytes that the other end may have on its way to us; 0: as many as it likes
        self._taken = 0  # bytes that have come and need an ACK
        self._parts: dict[int, bytes] = {}  # of OPEN, by channel
        self._flushing = False
        self._freed: deque[Callable[[], None]] = deque()
        self._ahead: Wire | None = None
        self._finishing = False
        loop.reader(descriptor, self._read)

    def expect_greeting(self, greeted: Callable[[], None]) -> None:
        """The host's way to begin: skip noise, write nothing until the guest greets, answer it."""
        self._decoder, self._silent, self._greeted = Decoder(greeted=False), True, greeted
        self._credit = 0

    def greet(self, every: float, room: int) -> None:
        """The guest's way to begin: greet each `every` seconds until the host answers; skip noise until then.

        `room`: the bytes that may be on their way here.
        """
        self._decoder, self._silent, self._room = Decoder(greeted=False), True, room
        self._greet_again(every)

    def _greet_again(self, every: float) -> None:
        if not self._decoder.greeted and self.whole:
            if not self._rest:
                self._write_now(HELLO_FRAME)
            self.loop.later(every, lambda: self._greet_again(every))

    def send(self, channel: int, kind: int, payload: bytes = b"", stream: int = 0) -> None:
        """Send a frame: it is written with all others of this round, or when there is room."""
        while len(payload) > CHUNK:
            self._put(encode(channel, MORE, payload[:CHUNK]))
            payload = payload[CHUNK:]
        self._put(encode(channel, kind, payload, stream))
        if not self._silent:
            self._flush_soon()

    def _put(self, data: bytes) -> None:
        if self.whole:
            self._out.append(data)
            self._waiting += len(data)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.loop.soon(self._flush)

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
        self._gather()
        if self._rest and self._credit:
            self._write()
        if self._finishing and not self._waiting:
            self.close()

    def _gather(self) -> None:
        """Frames for the line; between two of them is the place for an ACK."""
        frames = [self._rest]
        if self._room and self._taken * ACKS >= self._room:
            frames.append(encode(0, ACK, COUNT.pack(self._taken)))
            self._waiting += len(frames[-1])
            self._taken = 0
        if not self._silent:
            frames += self._out
            self._out.clear()
        self._rest = b"".join(frames)

    def _write(self) -> None:
        """Write as much as goes in one piece; the rest when the line takes it."""
        try:
            written = os.write(self.descriptor, self._rest[: self._credit])
        except BlockingIOError:
            written = 0
        except OSError:
            written = len(self._rest)  # nobody reads any more; what was said before is still there to be read
        self._credit = max(0, self._credit - written)
        self._rest = self._rest[written:]
        self._waiting -= written
        self.loop.writer(self.descriptor, (lambda _: self._flush()) if self._rest and self._credit else None)
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
        self._taken += len(data)
        for frame in self._decoder.feed(data):
            if isinstance(frame, Garbage):
                self._lose(frame.why)
            elif frame.kind == HELLO:
                self._begin()
            elif frame.kind == ACK:
                self._credit += COUNT.unpack(frame.payload)[0]
                self._flush_soon()
            else:
                self._hand_over(frame)
            if not self.whole:
                return
        if self._room and self._taken * ACKS >= self._room:
            self._flush_soon()

    def _hand_over(self, frame: Frame) -> None:
        if frame.kind == MORE:
            self._parts[frame.channel] = self._parts.get(frame.channel, b"") + frame.payload
            if len(self._parts[frame.channel]) > LONGEST_OPEN:
                self._lose("an endless request")
        elif frame.kind == OPEN:
            self._opened(frame._replace(payload=self._parts.pop(frame.channel, b"") + frame.payload))
        elif taker := self.channels.get(frame.channel):
            taker.take(frame)

    def _begin(self) -> None:
        if not self._silent:
            return  # the guest greeted again before our answer came
        self._silent = False
        if self._greeted:
            self._write_now(HELLO_FRAME)
            self._greeted()
        else:
            self._taken = 0
            self._write_now(encode(0, ACK, COUNT.pack(self._room)))
        self._flush()

    def _write_now(self, frame: bytes) -> None:
        """A frame without credit, when there is nothing else: the line takes so little at once."""
        self._rest += frame
        self._waiting += len(frame)
        self._credit += len(frame)
        self._write()

    def _lose(self, why: str) -> None:
        self.close()
        self._out.clear()
        self._freed.clear()
        takers, self.channels = self.channels, {}
        for taker in takers.values():
            taker.lost(why)
        self._ended(why)
