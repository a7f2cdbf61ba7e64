"""Network namespaces by name, as `ip netns` keeps them (`/run/netns/NAME`, a bind mount of the namespace).

A namespace belongs to a *thread* in Linux. `entered()` moves the calling thread for a while; what it starts
or opens meanwhile (a process, a socket) is born inside and stays there. Knows nothing of nodes or pods.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from testbed.errors import KernelStateError
from testbed.machine import libc
from testbed.machine.run import Result, run

FOLDER = Path("/run/netns")

T = TypeVar("T")


class Netns:
    """A named network namespace. Cheap to make: nothing is opened before it is used."""

    def __init__(self, name: str, folder: Path = FOLDER) -> None:
        self.name = name
        self.path = folder / name

    def __repr__(self) -> str:
        return f"Netns({self.name!r})"

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread into the namespace, and back at the end. May be nested."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._enter()
            try:
                yield
            finally:
                libc.setns(home, libc.CLONE_NEWNET, "leaving a network namespace")
        finally:
            os.close(home)

    def open(self) -> int:
        """A descriptor of the namespace; the caller closes it. Raises KernelStateError."""
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise KernelStateError(f"network namespace {self.name}: {error.strerror}") from error

    def _enter(self) -> None:
        there = self.open()
        try:
            libc.setns(there, libc.CLONE_NEWNET, f"entering network namespace {self.name}")
        finally:
            os.close(there)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes | None = None,
        check: bool = True,
        timeout: float = 600.0,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a program inside; see `machine.run.run`."""
        with self.entered():
            return run(argv, stdin=stdin, check=check, timeout=timeout, env=env, where=self.name)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function with the thread inside."""
        with self.entered():
            return function()

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives inside, whatever thread uses it."""
        with self.entered():
            return socket.socket(family, kind, protocol)

    def exists(self) -> bool:
        """True if the name is bound to a namespace."""
        return self.path.is_file()


def create(
    names: Iterable[str], folder: Path = FOLDER, within: Callable[[Netns], None] | None = None
) -> list[Netns]:
    """Make namespaces under these names. Raises KernelStateError if a name is taken or cannot be one.

    `within` is called with the thread inside each one as it is made, which spares entering it once more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    made = []
    try:
        for name in names:
            made.append(_create(Netns(name, folder)))
            if within:
                within(made[-1])
        return made
    finally:
        libc.setns(home, libc.CLONE_NEWNET, "leaving a new network namespace")
        os.close(home)


def _create(netns: Netns) -> Netns:
    try:
        os.close(os.open(netns.path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC))
    except FileExistsError as error:
        raise KernelStateError(f"network namespace {netns.name} exists already") from error
    except OSError as error:
        raise KernelStateError(f"network namespace {netns.name}: {error.strerror}") from error
    try:
        libc.unshare(libc.CLONE_NEWNET)
        libc.mount("/proc/thread-self/ns/net", str(netns.path), "", libc.MS_BIND)
    except KernelStateError:
        netns.path.unlink()
        raise
    return netns


def delete(netns: Netns) -> None:
    """Unbind the name; the kernel removes the namespace when nothing uses it any more.

    Raises KernelStateError if it is not there.
    """
    libc.unmount(str(netns.path))
    try:
        netns.path.unlink()
    except OSError as error:
        raise KernelStateError(f"network namespace {netns.name}: {error.strerror}") from error
