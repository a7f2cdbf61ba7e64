"""The host's processes of one guest: the supervisor, and under it the relay and the kernel.

The supervisor is detached from the command line. It waits until one of these ends: the kernel, the relay, or
whoever holds the guest; then it ends the others, gently first, and removes the guest's folder. Killed itself, it
takes both along (PR_SET_PDEATHSIG); what then stays of the folder is removed at the next start of any instance.
Knows processes and namespaces; what a kernel's command line is, its `boot` module says.
"""

from __future__ import annotations

import importlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import TestbedError
from testbed.machine import detached, sandbox
from testbed.machine.kernels import jail
from testbed.machine.kernels.images import Image
from testbed.machine.kernels.plan import Plan
from testbed.machine.process import ProcessId
from testbed.machine.sandbox import Instance

CONSOLE = "console.log"
TAIL = 4000  # bytes of the console that an error shows
GENTLE_SECONDS = 10.0  # for a guest to write back what it holds of shares, and to switch off
LAST_WORDS_SECONDS = 5.0  # for the relay to tell everybody that the guest has died


@dataclass(frozen=True, slots=True)
class Order:
    """A guest as it is wanted."""

    image: Image
    folder: Path  # of its sockets and its record, on the host
    inside: Path  # of the instance, in the guest
    shares: Sequence[Path]
    memory: int  # MiB
    state: int = 0  # the record's `inside`
    held: int = -1  # a descriptor that comes to its end when nobody wants the guest any more; -1: none
    told: int = -1  # a pipe for the news: `ready`, or what went wrong


def start(order: Order) -> None:
    """Start the supervisor; it is on its own when this returns."""
    child = detached.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            _supervise(order)
    finally:
        os._exit(0)


def _supervise(order: Order) -> None:
    """In the supervisor: its life. Whatever goes wrong is in the console's file."""
    console = order.folder / CONSOLE
    detached.redirect(console, *(number for number in (order.told, order.held) if number >= 0))
    os.chdir("/")
    try:
        _hold(order)
        detached.tell(order.told, console.read_text(errors="replace")[-TAIL:])
    except TestbedError as error:
        detached.tell(order.told, f"namespaces:{error}")
    finally:
        _say_what_went_wrong()
        os.close(order.told)
        sandbox.sweep(order.folder)


def _hold(order: Order) -> None:
    """Start relay and kernel, and be there until one of them has ended, and with it the other."""
    outer, inner = socket.socketpair()
    # The relay first: what comes after `unshare_outer` is in the guest's pid namespace.
    with _child(b"testbed-relay", lambda: _be_relay(order, outer, inner)) as relay:
        detached.unshare_outer()
        with _child(b"testbed-kernel", lambda: _be_kernel(order, outer, inner)) as kernel:
            ours = ProcessId.of(os.getpid())
            record = Instance(order.folder.name, ours, kernel, time.time(), order.image.kernel, order.state)
            sandbox.record(order.folder, record)
    inner.close()
    _await_first((kernel, relay), order.held)
    _end(kernel, relay, outer)


@contextmanager
def _child(name: bytes, be: Callable[[], None]) -> Iterator[ProcessId]:
    """A process that ends when we end. It begins when the context is left."""
    ours, its = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            if detached.armed(its, name):
                be()
        finally:
            _say_what_went_wrong()
            os._exit(1)
    its.close()
    detached.is_armed(ours)
    try:
        yield ProcessId.of(child)
        detached.let_go(ours)
    finally:
        ours.close()


def _be_relay(order: Order, outer: socket.socket, inner: socket.socket) -> None:
    from testbed.machine.kernels.relay import Relay

    inner.close()

    def greeted() -> None:
        detached.tell(order.told, "ready")
        os.close(order.told)

    Relay(outer.fileno(), order.folder, order.inside, greeted).run()


def _be_kernel(order: Order, outer: socket.socket, inner: socket.socket) -> None:
    """Be process 1 of the guest's jail, as long as the guest's kernel runs in it.

    That is a process beside us: a kernel that panics aborts, which process 1 of a namespace cannot.
    """
    outer.close()
    os.close(order.told)
    if order.held >= 0:
        os.close(order.held)
    jail.close(order.shares, order.memory)
    boot = importlib.import_module(f"testbed.machine.kernels.{order.image.kernel}.boot")
    plan = Plan(order.image, inner.fileno(), order.shares, order.memory, jail.PRIVATE)
    argv: list[str] = boot.prepare(plan)
    child = os.fork()
    if child == 0:
        os.setsid()  # User Mode Linux that aborts ends its whole process group (os_dump_core in os-Linux/util.c)
        os.set_inheritable(inner.fileno(), True)
        os.execvpe(argv[0], argv, {**os.environ, "TMPDIR": str(jail.PRIVATE)})
    inner.close()
    while os.wait()[0] != child:  # whoever has lost its parent in here is ours
        pass
    os._exit(0)


def _await_first(processes: Sequence[ProcessId], held: int) -> None:
    """Wait until one of them has ended, or nobody holds the guest."""
    opened = [
        os.pidfd_open(process.pid) for process in processes
    ]  # children: not yet waited for, so still there
    poller = select.poll()
    for descriptor in (*opened, *([held] if held >= 0 else [])):
        poller.register(descriptor, select.POLLIN)
    poller.poll()
    for descriptor in opened:
        os.close(descriptor)


def _end(kernel: ProcessId, relay: ProcessId, wire: socket.socket) -> None:
    """End what is left: a kernel switches off when its wire ends; a relay tells that the kernel is gone.

    The wire is shut down, not only closed: what its end has not read makes ECONNRESET of a close, and for User
    Mode Linux no error but a plain end is a hang-up (`chan_interrupt` in its chan_kern.c).
    """
    if kernel.alive():
        relay.kill(signal.SIGTERM)
        relay.wait(LAST_WORDS_SECONDS)
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
        if not kernel.wait(GENTLE_SECONDS):
            kernel.kill()
            kernel.wait(GENTLE_SECONDS)
    if not relay.wait(LAST_WORDS_SECONDS):
        relay.kill()


def _say_what_went_wrong() -> None:
    """To the console's file, by the last frame of a process: nothing goes further."""
    if sys.exc_info()[0] is not None:
        traceback.print_exc()
    sys.stderr.flush()
