"""`python -m testbed.machine.kernels.guest.warm FD`: testbed, loaded once; each order is run by a fork of it.

The agent sends orders by the socket FD (length, JSON, and the program's three streams by SCM_RIGHTS). The child
becomes what the order says: session, streams, terminal, folder, umask, environment, arguments; then it runs as
`__main__` and ends as Python ends. There is one thread here, and no descriptor that a child would inherit.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import select
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from testbed.machine.kernels.guest.launch import (
    LENGTH,
    NEUTRAL,
    NO_BYTECODE,
    PROGRAM,
    UNBUFFERED,
    Order,
    take_terminal,
)

STREAMS = 3
COMMAND = "testbed.cli.main"
# By name, as `python -m` takes them: nothing here depends on what they are. In the order of need: the first is
# most likely a start of a daemon.
LOADED = ("testbed.machine.sandbox", "testbed.cluster.daemon", COMMAND)


def serve(agent: socket.socket) -> Order:
    """Take orders for ever; returns in each child, with its order."""
    children: dict[int, tuple[int, int]] = {}  # pidfd: number of the order, process id
    names = modules()
    poller = select.poll()
    poller.register(agent, select.POLLIN)
    while True:
        name = next(names, None)
        for descriptor, _ in poller.poll(0 if name else None):
            if descriptor in children:
                poller.unregister(descriptor)
                _collect(agent, descriptor, *children.pop(descriptor))
                continue
            number, order, streams = _order(agent)
            gc.freeze()  # or each child's first collection would copy all that is loaded
            pid = os.fork()
            if pid == 0:
                _become(order, streams)
                return order
            for stream in streams:
                os.close(stream)
            watched = os.pidfd_open(pid)
            children[watched] = number, pid
            poller.register(watched, select.POLLIN)
            _tell(agent, number=number, pid=pid)
        if name:
            importlib.import_module(name)


def modules() -> Iterator[str]:
    """What is loaded while nobody asks: the commands and the daemon, then every datapath."""
    yield from LOADED
    for command in importlib.import_module(COMMAND).commands():
        yield f"testbed.cli.{command.replace('-', '_')}"
    for datapath in importlib.import_module("testbed.datapaths.find").names():
        yield f"testbed.datapaths.{datapath}"


def _order(agent: socket.socket) -> tuple[int, Order, list[int]]:
    """The next order. Ends the process if the agent has gone."""
    length, streams, _, _ = socket.recv_fds(agent, LENGTH.size, STREAMS)
    if not length:
        sys.exit(0)
    text = b""
    while len(text) < LENGTH.unpack(length)[0]:
        text += agent.recv(LENGTH.unpack(length)[0] - len(text))
    told = json.loads(text)
    return told.pop("number"), Order(**told), streams


def _collect(agent: socket.socket, descriptor: int, number: int, pid: int) -> None:
    os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    _tell(agent, number=number, status=os.waitstatus_to_exitcode(status))


def _tell(agent: socket.socket, **told: int) -> None:
    agent.sendall(json.dumps(told).encode() + b"\n")


def _become(order: Order, streams: list[int]) -> None:
    """In the child: everything about a process that exec(2) would set, or a start of Python would look at."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(STREAMS, 1 << 16)
    if order.terminal >= 0:
        take_terminal(order.terminal)
    os.chdir(order.folder)
    os.umask(order.umask)
    os.environ.clear()
    os.environ.update(order.env)
    sys.dont_write_bytecode = bool(order.env.get(NO_BYTECODE))
    _renew_streams(order.env)


def _renew_streams(env: Mapping[str, str]) -> None:
    """Python's own three streams, as a start would set them (`create_stdio` in its pylifecycle.c)."""
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    errors = "surrogateescape" if locale in NEUTRAL else "strict"
    for name, number, mode, own in (
        ("stdin", 0, "r", errors),
        ("stdout", 1, "w", errors),
        ("stderr", 2, "w", "backslashreplace"),
    ):
        stream = _stream(name, number, mode, own)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(name: str, number: int, mode: str, errors: str) -> io.TextIOWrapper:
    raw: Any = io.FileIO(number, mode, closefd=False)
    raw.name = f"<{name}>"
    at_once = mode == "w" and bool(os.environ.get(UNBUFFERED))
    buffered: Any = io.BufferedReader(raw) if mode == "r" else raw if at_once else io.BufferedWriter(raw)
    by_line = not at_once and (number == 2 or raw.isatty())
    stream: Any = io.TextIOWrapper(
        buffered, "utf-8", errors, "\n", line_buffering=by_line, write_through=at_once
    )
    stream.mode = mode
    return cast(io.TextIOWrapper, stream)


def run(order: Order) -> None:
    """Be the program."""
    first, *rest = order.argv
    if Path(first).name == PROGRAM:
        script = str(Path(sys.executable).with_name(PROGRAM))
        sys.argv, sys.path[0] = [script, *rest], str(Path(script).parent)
        importlib.import_module(COMMAND).entry()
    else:
        sys.argv, sys.path[0] = ["-m", *rest[2:]], order.folder
        runpy.run_module(rest[1], run_name="__main__", alter_sys=True)


def main(argv: list[str]) -> None:
    """Serve; in each child, be what was ordered."""
    agent = socket.socket(fileno=int(argv[0]))
    order: Any = serve(agent)
    agent.detach()  # closed by number already
    try:
        run(order)
        status: object = 0
    except SystemExit as leaving:
        status = 0 if leaving.code is None else leaving.code
    leave(status)


def leave(status: object) -> None:
    """End as Python ends: threads, exit handlers, buffers.

    But what is loaded is not taken apart piece by piece: that would copy all of it first, page after page, which
    takes longer than most programs.
    """
    if not isinstance(status, int):
        sys.exit(str(status))
    ends: Any = threading, atexit
    ends[0]._shutdown()  # waits for threads that are no daemons (`wait_for_thread_shutdown` in pylifecycle.c)
    ends[1]._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)  # Python has words and a status of its own for this
    os._exit(status & 0xFF)


if __name__ == "__main__":
    main(sys.argv[1:])
