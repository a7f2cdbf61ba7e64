"""`python -m testbed.machine.kernels.enter FOLDER [-t] -- ARGV…`: run a program in a guest as if it were ours.

    our streams, terminal, signals ⇄ FOLDER/exec.sock ⇄ relay ⇄ wire ⇄ agent ⇄ the program's

What is a terminal here is one inside: raw and of the same size if both input and output are, so that keys like
Ctrl-C mean something to the program and nothing to us; `-t` gives the program a terminal whatever we have. Signals
are passed on, and the exit code is the program's, 128 + N if signal N killed it. A guest that dies is an error: its
console's last lines, exit code 1. Imports little, since it starts with each command.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import struct
import sys
import termios
import tty
from collections.abc import Sequence

from testbed.machine.kernels.loop import Loop
from testbed.machine.kernels.pumps import Sink, Source, Stream
from testbed.machine.kernels.wire import (
    CHUNK,
    CLOSE,
    DATA,
    END,
    EXIT,
    OPEN,
    RESIZE,
    SIGNAL,
    WINDOW,
    Frame,
    Wire,
)

CHANNEL = 1
STDIN, STDOUT, STDERR = range(3)
PIPE_ROOM = 4096  # PIPE_BUF: so much a pipe takes without blocking when poll(2) says that it takes something
PASSED_ON = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
TAIL_BYTES, TAIL_LINES = 1 << 14, 20
USAGE = "usage: python -m testbed.machine.kernels.enter FOLDER [-t] -- COMMAND [ARG ...]"


class Entrance:
    """One program inside, seen from here."""

    def __init__(self, folder: str, *, terminal: bool = False) -> None:
        """`terminal`: one for the program whatever our streams are."""
        self._folder = folder
        self._console = _opened(f"{folder}/console.log")  # the folder goes with the guest
        self._letters = "ttt" if terminal else letters()
        self._forced = terminal
        self._loop = Loop(files=True)
        self._wire: Wire | None = None
        self._sinks: dict[int, Sink] = {}
        self._input: Source | None = None
        self._status: int | None = None
        self._closed = False
        self._hurried = False  # the program has ended, nobody reads its last words, and we shall end
        self._mode: list[int | list[bytes | int]] | None = None  # of our terminal, as it was

    def run(self, argv: Sequence[str]) -> int:
        """Run a program; returns its exit code, 1 if the guest died or there is none."""
        heard = self._hear()
        try:
            if not self._begin(argv):
                return 1
            while self._status is None or not self._all_written():
                self._loop.round()
        finally:
            self._restore()
            signal.set_wakeup_fd(-1)
            self._loop.forget(heard.fileno())
            heard.close()
        if not self._closed:
            self._leave_the_rest()
        return self._status

    def _all_written(self) -> bool:
        return self._hurried or all(sink.empty for sink in self._sinks.values())

    def _hear(self) -> socket.socket:
        """Signals become bytes that the loop reads: so they never come in between."""
        hearing, said = socket.socketpair()
        hearing.setblocking(False)
        said.setblocking(False)
        signal.set_wakeup_fd(said.fileno(), warn_on_full_buffer=False)
        for number in (*PASSED_ON, signal.SIGWINCH, signal.SIGTSTP):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup(1) means the program
                signal.signal(number, _leave_it)
        self._loop.reader(hearing.fileno(), lambda _: self._signals(hearing.recv(64)))
        self._said = said
        return hearing

    def _begin(self, argv: Sequence[str]) -> bool:
        """Ask for the program."""
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(f"{self._folder}/exec.sock")
        except OSError as error:
            self._complain(f"no guest answers at {self._folder}: {error.strerror}")
            return False
        connection.setblocking(False)
        self._wire = Wire(self._loop, connection.detach(), _leave_it, _leave_it)
        self._wire.channels[CHANNEL] = self
        self._wire.send(CHANNEL, OPEN, json.dumps({"exec": self._request(argv)}).encode())
        for number in range(3):
            if number and self._letters[number] == "p":
                self._sinks[number] = self._sink(number, number)
        if "t" in self._letters:
            self._sinks[STDIN] = self._sink(STDIN, self._screen())
        if self._letters[STDIN] != "n" and _ours_to_read():
            self._make_raw()
            self._input = Source(Stream(self._wire, CHANNEL), STDIN, _leave_it)
        return True

    def _request(self, argv: Sequence[str]) -> dict[str, object]:
        umask = os.umask(0o22)
        os.umask(umask)
        return {
            "argv": list(argv),
            "env": dict(os.environ),
            "cwd": _folder_here(),
            "umask": umask,
            "streams": self._letters,
            "size": self._size(),
            "echo": self._forced or self._interactive,
        }

    @property
    def _interactive(self) -> bool:
        return os.isatty(STDIN) and os.isatty(STDOUT)

    def _screen(self) -> int:
        """Where the program's terminal is shown."""
        return next((number for number in (STDOUT, STDERR, STDIN) if os.isatty(number)), STDOUT)

    def _size(self) -> tuple[int, int]:
        """Rows and columns of our terminal; of the usual one if we have none."""
        if not os.isatty(self._screen()):
            return 24, 80
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(self._screen(), termios.TIOCGWINSZ, bytes(8)))
        return rows, columns

    def _sink(self, number: int, descriptor: int) -> Sink:
        assert self._wire
        portion = CHUNK if stat.S_ISREG(os.fstat(descriptor).st_mode) else PIPE_ROOM
        stream = Stream(self._wire, CHANNEL, number)
        return Sink(
            stream, descriptor, lambda: self._output_over(number), lambda: stream.send(END), portion=portion
        )

    def _output_over(self, number: int) -> None:
        """The program has closed its end of a pipe: so do we."""
        if number == STDIN:
            return
        empty = os.open(os.devnull, os.O_WRONLY)
        os.dup2(empty, number)
        if number == STDOUT and self._letters[STDERR] == "=":
            os.dup2(empty, STDERR)
        os.close(empty)

    def _make_raw(self) -> None:
        if self._interactive:
            self._mode = termios.tcgetattr(STDIN)
            tty.setraw(STDIN, termios.TCSADRAIN)

    def _restore(self) -> None:
        if self._mode:
            termios.tcsetattr(STDIN, termios.TCSADRAIN, self._mode)

    def take(self, frame: Frame) -> None:
        """A frame of the program has come."""
        if frame.kind == DATA:
            self._sinks[frame.stream].data(frame.payload)
        elif frame.kind == END and frame.stream in self._sinks:
            self._sinks[frame.stream].end()
        elif frame.kind == WINDOW and self._input:
            self._input.grant(frame.payload)
        elif frame.kind == EXIT:
            self._status = frame.payload[0]
            self._stop_reading()
        elif frame.kind == CLOSE:
            self.lost(frame.payload.decode(errors="replace"))

    def lost(self, why: str) -> None:
        """No more will come: the program is over, or the guest is."""
        self._closed = True
        self._stop_reading()
        if self._status is None:
            self._status = 1
            self._restore()
            self._complain(f"the guest has gone: {why}")

    def _stop_reading(self) -> None:
        if self._input:
            self._input.stop()

    def _complain(self, what: str) -> None:
        lines = tail(self._console)
        heading = "\nits console's last lines:\n" if lines else ""
        sys.stderr.write(f"testbed: {what}{heading}{lines}\n")
        sys.stderr.flush()
        self._mode = None

    def _signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGWINCH:
                self._send(RESIZE, struct.pack("!HH", *self._size()))
            elif number == signal.SIGTSTP:
                self._pause()
            elif self._status is None:
                self._send(SIGNAL, bytes([number]))
            else:
                self._hurried = self._closed = True

    def _send(self, kind: int, payload: bytes) -> None:
        if self._wire:
            self._wire.send(CHANNEL, kind, payload)

    def _pause(self) -> None:
        """Stop, and the program with us; go on together."""
        self._send(SIGNAL, bytes([signal.SIGSTOP]))

        def stop() -> None:
            os.kill(os.getpid(), signal.SIGSTOP)
            self._send(SIGNAL, bytes([signal.SIGCONT]))

        self._loop.soon(stop)

    def _leave_the_rest(self) -> None:
        """The program has ended, others still hold its pipes: whoever reads ours shall get what they write."""
        if os.fork() == 0:
            for number in (*PASSED_ON, signal.SIGTSTP):
                signal.signal(number, signal.SIG_DFL)
            while not (self._closed and self._all_written()):
                self._loop.round()
            os._exit(0)


def letters() -> str:
    """What each of our streams is (`guest/programs.py`): a terminal, a pipe or a file, the same as 1, nothing."""
    found = ""
    for number in range(3):
        try:
            status = os.fstat(number)
        except OSError:
            found += "n"
            continue
        if os.isatty(number):
            found += "t"
        elif number == STDERR and found[STDOUT] == "p" and os.path.samestat(status, os.fstat(STDOUT)):
            found += "="
        else:
            found += "p"
    return found


def tail(console: int) -> str:
    """The last lines of a console's log."""
    if console < 0:
        return ""
    size = os.fstat(console).st_size
    text = os.pread(console, TAIL_BYTES, max(0, size - TAIL_BYTES)).decode(errors="replace")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])


def _leave_it(*_: object) -> None:
    """Nothing: another callback has what matters."""


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _folder_here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib takes time to load
    except OSError:
        return "/"


def _ours_to_read() -> bool:
    """False for the terminal of others: a job in the background would be stopped for reading it."""
    return not os.isatty(STDIN) or os.tcgetpgrp(STDIN) == os.getpgrp()


def main(argv: list[str]) -> int:
    """The command line; 2 if it is wrong."""
    folder, *rest = argv or [""]
    terminal = rest[:1] == ["-t"]
    words = rest[1:] if terminal else rest
    if not folder or words[:1] != ["--"] or not words[1:]:
        sys.stderr.write(f"{USAGE}\n")
        return 2
    return Entrance(folder, terminal=terminal).run(words[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
