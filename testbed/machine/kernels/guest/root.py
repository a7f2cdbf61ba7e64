"""The files of a User Mode Linux guest: the host's by hostfs, with a layer of memory over them.

hostfs (Documentation/virt/uml/user_mode_linux_howto_64.rst) shows the host's files as its jail lets it see them.
An overlay makes them writable: what is written stays in the guest's memory. Shares are hostfs itself, at their own
places. A kernel without overlayfs gets the host's files read-only, with memory where programs must write.
A virtual machine comes here with all that done by its first script.
Knows mounts; knows nothing of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from testbed.errors import KernelStateError
from testbed.machine import libc
from testbed.machine.libc import MS_NOSUID, mount

ROOM = Path("/tmp")  # every machine has it; the layer's tmpfs is mounted there until the new root stands
WRITTEN = ("/tmp", "/var/tmp", "/root", "/home")  # where programs write, on a kernel without an overlay


def lay(shares: Sequence[str]) -> None:
    """Make this guest's root from the host's files. Raises KernelStateError."""
    mount("tmpfs", str(ROOM), "tmpfs", 0, "mode=755")
    new = ROOM / "root"
    for path in (new, ROOM / "upper", ROOM / "work"):
        path.mkdir()
    # An ordinary user's guest sees the host's root as nobody: set-user-ID programs would make nobody of root.
    flags = 0 if Path("/").stat().st_uid == 0 else MS_NOSUID
    try:
        layers = f"lowerdir=/,upperdir={ROOM}/upper,workdir={ROOM}/work"
        mount("root", str(new), "overlay", flags, layers)
    except KernelStateError:
        _lay_read_only(new, flags)
    for share in shares:
        (new / share.lstrip("/")).mkdir(parents=True, exist_ok=True)
        mount("share", f"{new}{share}", "hostfs", 0, share)
    libc.pivot_root(str(new), str(new / "tmp"))
    libc.unmount("/tmp")


def _lay_read_only(new: Path, flags: int) -> None:
    """The host's files as they are, with empty folders of memory over some."""
    mount("root", str(new), "hostfs", flags, "/")
    for path in WRITTEN:
        with suppress(KernelStateError):  # not every machine has them all
            mount("tmpfs", f"{new}{path}", "tmpfs", 0, "mode=1777")
