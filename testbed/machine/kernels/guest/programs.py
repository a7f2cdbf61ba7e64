"""A program inside, as a channel: its streams by pipes or by a terminal, signals, window size, exit code.

    request   {"argv", "env", "cwd", "umask", "streams", "size", "echo"}
    streams   for 0, 1 and 2 a letter: t a terminal (one for all), p a pipe, = the same as 1, n nothing (/dev/null)

The channel's streams: towards the program 0 is its input; from it 1 and 2 are its pipes, 0 is its terminal.
EXIT comes when everything that the program itself has written is sent; a pipe that others still hold goes on, and
CLOSE comes after the last END. If the other end leaves, the program loses its terminal (SIGHUP).
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections.abc import Mapping
from typing import Any

from testbed.machine.kernels.guest.launch import Order, Run, Warm, execute
from testbed.machine.kernels.pumps import Sink, Source, Stream
from testbed.machine.kernels.wire import CLOSE, DATA, END, EXIT, RESIZE, SIGNAL, WINDOW, Frame, Wire

NOT_EXECUTABLE, NOT_FOUND = 126, 127  # a shell's statuses (POSIX, 2.8.2 Exit Status for Commands)
END_OF_INPUT = b"\x04"  # a terminal's VEOF
SIZE = struct.Struct("!HH")
TERMINAL = 0


class Program:
    """One program of the channel `number`."""

    def __init__(self, wire: Wire, number: int, request: Mapping[str, Any], warm: Warm | None) -> None:
        self._wire, self._number = wire, number
        self._run = Run(self._ended)
        self._descriptors: list[int] = []  # ours, until they are closed
        self._sources: dict[int, Source] = {}
        self._sink: Sink | None = None
        self._master = -1
        self._status = 0
        self._over = False  # EXIT is sent
        self._undrained = 0
        wire.channels[number] = self
        letters: str = request["streams"]
        streams = self._streams(letters, request)
        terminal = letters.find("t")
        order = Order(request["argv"], request["env"], request["cwd"], request["umask"], terminal)
        try:
            if warm and warm.wants(order):
                warm.start(order, streams, self._run)
            else:
                execute(wire.loop, order, streams, self._run)
        except OSError as error:
            self._refuse(order, error)
        finally:
            for descriptor in set(streams):
                os.close(descriptor)

    def _streams(self, letters: str, request: Mapping[str, Any]) -> list[int]:
        """The program's three descriptors; ours are set up with their pumps."""
        slave = self._open_terminal(request) if "t" in letters else -1
        made: list[int] = []
        for number, letter in enumerate(letters):
            if letter == "t":
                made.append(slave)
            elif letter == "p":
                made.append(self._pipe(number))
            elif letter == "=":
                made.append(made[1])
            else:
                made.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
        if letters[0] == "t":
            self._feed(self._master)
        return made

    def _pipe(self, number: int) -> int:
        reading, writing = os.pipe()
        theirs, own = (reading, writing) if number == 0 else (writing, reading)
        self._own(own)
        if number == 0:
            self._feed(own)
        else:
            self._collect(number, own)
        return theirs

    def _open_terminal(self, request: Mapping[str, Any]) -> int:
        self._master, slave = os.openpty()
        self._own(self._master)
        self._resize(SIZE.pack(*request["size"]))
        if not request["echo"]:
            mode = termios.tcgetattr(slave)
            mode[3] &= ~termios.ECHO
            termios.tcsetattr(slave, termios.TCSANOW, mode)
        self._collect(TERMINAL, self._master)
        return slave

    def _own(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptors.append(descriptor)

    def _feed(self, descriptor: int) -> None:
        stream = Stream(self._wire, self._number)
        self._sink = Sink(stream, descriptor, lambda: self._input_over(descriptor), lambda: None)

    def _collect(self, number: int, descriptor: int) -> None:
        stream = Stream(self._wire, self._number, number)
        self._sources[number] = Source(stream, descriptor, lambda _: self._maybe_close())

    def take(self, frame: Frame) -> None:
        """A frame of the channel has come."""
        if frame.kind == DATA and self._sink:
            self._sink.data(frame.payload)
        elif frame.kind == END:
            self._end(frame.stream)
        elif frame.kind == WINDOW and frame.stream in self._sources:
            self._sources[frame.stream].grant(frame.payload)
        elif frame.kind == SIGNAL:
            self._run.signal(frame.payload[0])
        elif frame.kind == RESIZE:
            self._resize(frame.payload)
        elif frame.kind == CLOSE:
            self.lost("")

    def _end(self, number: int) -> None:
        """No more input; or nobody reads one of its pipes any more, and it shall notice."""
        if number == 0 and self._sink:
            self._sink.end()
        elif number in self._sources:
            source = self._sources[number]
            source.stop()
            self._close(source.descriptor)
            self._maybe_close()

    def lost(self, _why: str) -> None:
        """Nobody is at the other end any more."""
        self._run.hang_up()
        self._wire.channels.pop(self._number, None)
        self._shut()

    def _resize(self, size: bytes) -> None:
        if self._master in self._descriptors:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE.unpack(size), 0, 0))

    def _input_over(self, descriptor: int) -> None:
        if descriptor != self._master:
            self._close(descriptor)
        elif self._descriptors:
            os.write(descriptor, END_OF_INPUT)

    def _refuse(self, order: Order, error: OSError) -> None:
        status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        told = f"testbed: {order.argv[0]}: {error.strerror}\n".encode(errors="replace")
        stream = 2 if 2 in self._sources else min(self._sources, default=TERMINAL)
        self._wire.send(self._number, DATA, told, stream)
        self._ended(status)

    def _ended(self, status: int) -> None:
        """The program has ended; its last words may still lie in its pipes."""
        self._status = status if status >= 0 else 128 - status
        self._undrained = len(self._sources)
        for source in list(self._sources.values()):
            source.drain(self._drained)
        if not self._sources:
            self._undrained = 1
            self._drained()

    def _drained(self) -> None:
        self._undrained -= 1
        if self._undrained or self._wire.channels.get(self._number) is not self:
            return
        self._wire.send(self._number, EXIT, bytes([self._status]))
        if TERMINAL in self._sources:
            self._sources[TERMINAL].stop()  # its terminal ends with it, as with a login
        self._maybe_close(ended=True)

    def _maybe_close(self, *, ended: bool = False) -> None:
        """CLOSE after EXIT and the end of all streams."""
        self._over = self._over or ended
        if self._over and not any(source.open for source in self._sources.values()):
            if self._wire.channels.pop(self._number, None):
                self._wire.send(self._number, CLOSE)
            self._shut()

    def _shut(self) -> None:
        for source in self._sources.values():
            source.stop()
        if self._sink:
            self._sink.stop()
        for descriptor in list(self._descriptors):
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        if descriptor in self._descriptors:
            self._descriptors.remove(descriptor)
            self._wire.loop.forget(descriptor)
            os.close(descriptor)
