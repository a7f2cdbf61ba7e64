"""Where a guest's kernel lives on the host: it sees all of the host's files and can change none but the shares.

A process that calls `close` is in mount, net, ipc and uts namespaces of its own (and in those that its supervisor
made: pid, and user if not root). There every mount is read-only (mount_setattr(2), recursive), /proc and /sys
included, except the shares and a private tmpfs, which holds the guest's memory. It has no network but a loopback
that is down, and no capability that could undo this: so whoever is root in the guest, and mounts the host's files
anew and writable there, meets a host that says no.
Knows mounts and capabilities; knows nothing of the kernel that is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testbed.errors import UsageError
from testbed.machine import detached, libc
from testbed.machine.libc import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, mount

PRIVATE = Path("/sys")  # every machine has it, no share is in it, and no guest's kernel needs the host's
ROOM = 64  # MiB in the private tmpfs for more than the guest's memory
# capabilities(7): what it takes to be root among files, and nothing that reaches beyond them.
KEPT = {0: "chown", 1: "dac_override", 2: "dac_read_search", 3: "fowner", 4: "fsetid"}
MOST_CAPABILITIES = 64
HIDDEN = tuple(Path(name) for name in ("/sys", "/proc", "/dev", "/run"))


def shareable(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The folders that a guest may write to, as they really are. Raises UsageError for one that cannot be."""
    found = tuple(path.resolve() for path in paths)
    for path in found:
        if not path.is_dir():
            raise UsageError(f"share {path}: no such folder")
        # A guest has its own of these: a share in there could not be seen.
        if path == Path("/") or any(path.is_relative_to(place) for place in HIDDEN):
            raise UsageError(
                f"share {path}: it cannot be below {', '.join(map(str, HIDDEN))}, nor be all of it"
            )
    return found


def close(shares: Sequence[Path], memory: int) -> None:
    """Shut this process in; `memory` is the guest's in MiB. Raises KernelStateError.

    The calling process must be process 1 of its pid namespace, or its /proc would show others.
    """
    libc.unshare(detached.INNER)
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    for share in shares:
        mount(str(share), str(share), "", MS_BIND)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    # A kernel maps its memory executable: no MS_NOEXEC.
    mount("tmpfs", str(PRIVATE), "tmpfs", MS_NOSUID | MS_NODEV, f"mode=700,size={memory + ROOM}m")
    libc.set_read_only("/", below=True)
    for path in (*shares, PRIVATE):
        libc.set_writable(str(path))
    _drop_capabilities()


def _drop_capabilities() -> None:
    """From the next exec on: root in here is root among files only, and no program can give more."""
    for number in range(MOST_CAPABILITIES):
        if number not in KEPT and libc.has_capability(number):
            libc.prctl(libc.PR_CAPBSET_DROP, number)
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
