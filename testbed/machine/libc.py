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
PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 23, 24, 38
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SYS_MOUNT_SETATTR = 442  # on every architecture
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1
RB_POWER_OFF = 0x4321FEDC

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


def set_read_only(target: str, *, below: bool) -> None:
    """mount_setattr(2): a mount, with `below` also all mounts below it, can no longer be written through."""
    _set_attributes(target, AT_RECURSIVE if below else 0, MOUNT_ATTR_RDONLY, 0)


def set_writable(target: str) -> None:
    """mount_setattr(2): the mount at `target` can be written through again."""
    _set_attributes(target, 0, 0, MOUNT_ATTR_RDONLY)


def _set_attributes(target: str, flags: int, on: int, off: int) -> None:
    attributes = (ctypes.c_uint64 * 4)(on, off, 0, 0)  # struct mount_attr: set, clear, propagation, userns
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    done = _libc.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, target.encode(), flags, attributes, size)
    _check(done, f"mount_setattr {target}")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2): the mount at `new` becomes the root of all processes here, the old root is at `old`."""
    done = _libc.syscall(SYS_PIVOT_ROOT[os.uname().machine], new.encode(), old.encode())
    _check(done, f"pivot_root {new}")


def power_off() -> None:
    """reboot(2): switch this machine off, at once. Whoever calls it means a guest."""
    _check(_libc.reboot(ctypes.c_int(RB_POWER_OFF)), "power off")


def has_capability(number: int) -> bool:
    """prctl(2): True if the kernel knows this capability and the bounding set holds it."""
    return bool(_libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1)


def prctl(option: int, value: int | bytes) -> None:
    """prctl(2) with one argument."""
    _check(_libc.prctl(option, value, 0, 0, 0), f"prctl({option})")
