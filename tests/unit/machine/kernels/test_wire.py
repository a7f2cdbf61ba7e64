"""Frames over a stream of bytes: cut anywhere, after noise, with garbage, under credit."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from testbed.machine.kernels.loop import Loop
from testbed.machine.kernels.pumps import Sink, Source, Stream
from testbed.machine.kernels.wire import (
    CHUNK,
    CREDIT,
    DATA,
    END,
    EXIT,
    HELLO_FRAME,
    OPEN,
    TERMINAL_ROOM,
    WINDOW,
    Decoder,
    Frame,
    Garbage,
    Wire,
    encode,
)

FRAMES = [Frame(1, OPEN, 0, b"{}"), Frame(1, DATA, 2, bytes(range(256))), Frame(7, END, 0, b"")]
BYTES = b"".join(encode(f.channel, f.kind, f.payload, f.stream) for f in FRAMES)


class Kept:
    """A channel that keeps what comes."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.why: list[str] = []

    def take(self, frame: Frame) -> None:
        self.frames.append(frame)

    def lost(self, why: str) -> None:
        self.why.append(why)

    def data(self) -> bytes:
        return b"".join(frame.payload for frame in self.frames if frame.kind == DATA)


class Ends:
    """Two wires in one loop, and what came to them."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.opened: list[Frame] = []
        self.ended: list[str] = []
        left, right = socket.socketpair()
        left.setblocking(False)
        right.setblocking(False)
        self.host, self.guest = self._wire(left), self._wire(right)

    def _wire(self, end: socket.socket) -> Wire:
        return Wire(self.loop, end.detach(), self.opened.append, self.ended.append)

    def greet(self) -> None:
        """As a terminal of a guest does."""
        self.host.expect_greeting(lambda: None)
        self.guest.greet(0.01, TERMINAL_ROOM)

    def rounds(self, count: int = 50) -> None:
        """Go round so often: nothing that is under way needs more."""
        for _ in range(count):
            self.loop.later(0.0, lambda: None)
            self.loop.round()


@pytest.fixture
def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.host.close()
    made.guest.close()


@pytest.mark.parametrize("size", [1, 3, 10, 11, len(BYTES)])
def test_frames_may_be_cut_anywhere(size: int) -> None:
    decoder = Decoder(greeted=True)
    pieces = [BYTES[at : at + size] for at in range(0, len(BYTES), size)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == FRAMES


def test_what_comes_before_the_greeting_is_noise() -> None:
    decoder = Decoder(greeted=False)
    noise = b"Booting\r\n" + HELLO_FRAME[:-1]
    assert list(decoder.feed(noise)) == []
    assert list(decoder.feed(HELLO_FRAME + BYTES))[1:] == FRAMES


@pytest.mark.parametrize(
    "data",
    [
        b"login: incorrect password\n",
        encode(1, 0),
        encode(1, 99),
        encode(1, DATA, bytes(CHUNK + 1)),
        encode(1, EXIT, b"12"),
    ],
)
def test_what_is_no_frame_is_told(data: bytes) -> None:
    (found,) = Decoder(greeted=True).feed(data)
    assert isinstance(found, Garbage)


def test_garbage_ends_all_channels_and_is_told_once(ends: Ends) -> None:
    one, two = Kept(), Kept()
    ends.host.channels = {1: one, 2: two}
    os.write(ends.guest.descriptor, b"login: incorrect password\n" * 2)
    ends.rounds()
    assert len(one.why) == len(two.why) == 1
    assert ends.ended[0].startswith("no frame: b'login")


def test_a_closed_wire_ends_all_channels(ends: Ends) -> None:
    one = ends.host.channels[1] = Kept()
    ends.guest.close()
    ends.rounds()
    assert one.why == ends.ended == ["the other end has gone"]


def test_the_host_is_silent_until_it_is_greeted(ends: Ends) -> None:
    ends.host.expect_greeting(lambda: None)
    ends.host.send(1, OPEN, b"{}")
    ends.rounds()
    assert ends.opened == []
    ends.guest.greet(0.01, TERMINAL_ROOM)
    ends.rounds()
    assert ends.opened == [Frame(1, OPEN, 0, b"{}")]


def test_a_long_request_comes_in_one_piece(ends: Ends) -> None:
    ends.greet()
    ends.host.send(1, OPEN, bytes(10 * CHUNK + 5))
    ends.rounds(1000)
    assert [len(frame.payload) for frame in ends.opened] == [10 * CHUNK + 5]


def test_no_more_is_on_the_line_than_a_terminal_takes(ends: Ends) -> None:
    """The guest reads nothing after its greeting was answered: what the kernel holds for it is bounded."""
    ends.greet()
    ends.rounds()
    ends.loop.reader(ends.guest.descriptor, None)
    ends.host.send(1, DATA, bytes(CHUNK))
    ends.rounds()
    assert len(os.read(ends.guest.descriptor, 1 << 16)) == TERMINAL_ROOM


def test_a_source_sends_what_it_has_credit_for(ends: Ends) -> None:
    kept = ends.guest.channels[1] = Kept()
    with open("/dev/zero", "rb") as zeros:
        source = Source(Stream(ends.host, 1), os.dup(fifo_of(zeros.fileno(), CREDIT * 2)), lambda gone: None)
        ends.rounds(200)
        assert len(kept.data()) == CREDIT
        source.grant((1000).to_bytes(4, "big"))
        ends.rounds()
        assert len(kept.data()) == CREDIT + 1000
        source.stop()


def fifo_of(source: int, size: int) -> int:
    """A file in memory with so many bytes would always be ready, but epoll(7) takes none: a socket with them."""
    reading, writing = socket.socketpair()
    writing.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * size)
    reading.setblocking(False)
    writing.setblocking(False)
    sent = 0
    while sent < size:
        sent += writing.send(os.read(source, min(1 << 14, size - sent)))
    KEEP.append(writing)
    return reading.detach()


KEEP: list[socket.socket] = []  # so that nobody reads an end of file


def test_a_slow_reader_stops_nobody_else(ends: Ends) -> None:
    """The sink of channel 1 is full; channel 2 goes on."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    kept = ends.guest.channels[2] = Kept()
    sink = Sink(Stream(ends.guest, 1), writing, lambda: None, lambda: None)
    for _ in range(CREDIT // CHUNK):
        sink.data(bytes(CHUNK))
    ends.host.send(2, DATA, b"quick")
    ends.rounds()
    assert kept.data() == b"quick"
    assert not sink.empty
    sink.stop()
    os.close(reading)
    os.close(writing)


def test_a_sink_gives_credit_for_what_is_read(ends: Ends) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    kept = ends.host.channels[1] = Kept()
    sink = Sink(Stream(ends.guest, 1), writing, lambda: None, lambda: None)
    for _ in range(4):
        sink.data(bytes(CHUNK))
        os.read(reading, CHUNK)
    ends.rounds()
    granted = [int.from_bytes(frame.payload, "big") for frame in kept.frames if frame.kind == WINDOW]
    assert sum(granted) == 4 * CHUNK
    sink.stop()
    os.close(reading)
    os.close(writing)


def test_a_sink_that_nobody_reads_says_so_once_and_takes_the_rest(ends: Ends) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    broken: list[None] = []
    sink = Sink(Stream(ends.guest, 1), writing, lambda: None, lambda: broken.append(None))
    sink.data(b"one")
    sink.data(b"two")
    assert len(broken) == 1
    assert sink.empty
    os.close(writing)
