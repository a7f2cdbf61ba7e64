"""A lock between processes that leaves no file: the file exists only while somebody holds or wants the lock.

Knows flock(2). The kernel takes the lock from a process that dies; its empty file then stays for the next holder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from testbed.errors import KernelStateError


@contextlib.contextmanager
def held(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock; without `wait`, yields False at once if somebody else has it.

    The folder of `path` is made if it is not there, and removed in the end if nothing is in it. Raises
    KernelStateError where there cannot be a lock.
    """
    descriptor = _take(path, wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            with contextlib.suppress(OSError):  # not empty
                path.parent.rmdir()


def _take(path: Path, wait: bool) -> int | None:
    """Whoever waited may have got a file that its last holder has removed: then it has to ask again."""
    while True:
        descriptor = _open(path)
        if descriptor is None:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_still_there(path, descriptor):
            return descriptor
        os.close(descriptor)


def _open(path: Path) -> int | None:
    """The lock's file; None if somebody has removed its folder just now. Raises KernelStateError."""
    try:
        with contextlib.suppress(FileExistsError):
            path.parent.mkdir(mode=0o700)
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as error:
        if not path.parent.parent.is_dir():
            raise KernelStateError(f"lock {path}: {error.strerror}") from error
        return None
    except OSError as error:
        raise KernelStateError(f"lock {path}: {error.strerror}") from error


def _is_still_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
