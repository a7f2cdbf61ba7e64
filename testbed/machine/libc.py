"""The system calls that Python 3.11 has no function for, each raising KernelStateError with errno's text."""

from __future__ import annotations

import ctypes
import os

from testbed.errors import KernelStateError

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15

_libc = ctypes.CDLL(None, use_errno=True)


def _check(status: int, what: str) -> None:
    if status != 0:
        raise KernelStateError(f"{what}: {os.strerror(ctypes.get_errno())}")


def unshare(flags: int) -> None:
    """unshare(2): new namespaces for the calling thread."""
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(descriptor: int, kind: int, what: str) -> None:
    """setns(2): move the calling thread into the namespace behind `descriptor`."""
    _check(_libc.setns(descriptor, kind), what)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """mount(2); `kind` is the file system's name, empty for bind and propagation changes."""
    done = _libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode() or None)
    _check(done, f"mount {kind or source} on {target}")


def unmount(target: str) -> None:
    """umount2(2), lazily: the mount is gone from view at once."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"unmount {target}")


def prctl(option: int, value: int | bytes) -> None:
    """prctl(2) with one argument."""
    _check(_libc.prctl(option, value, 0, 0, 0), f"prctl({option})")
