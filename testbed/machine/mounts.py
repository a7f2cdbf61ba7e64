"""The sandbox's own view of the file system: the host's, with private /run, /proc, /sys and /sys/fs/bpf.

/run is a fresh tmpfs, so that `ip netns` names and the tools' lock files (xtables.lock) are the instance's own;
only the instance's folder shows through. Nothing of this is visible outside (mount_namespaces(7)).
"""

from __future__ import annotations

import os
from pathlib import Path

from testbed.machine.libc import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, mount


def make_private(folder: Path) -> None:
    """Called once inside a fresh mount namespace; `folder` stays visible and writable in the new /run."""
    mount("none", "/", "", MS_REC | MS_PRIVATE)
    kept = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    folder.mkdir(parents=True, exist_ok=True)
    mount(f"/proc/self/fd/{kept}", str(folder), "", MS_BIND)
    os.close(kept)
    Path("/run/netns").mkdir()
    _mount_sys()


def _mount_sys() -> None:
    """A sysfs that shows this network namespace, and a private bpffs where the kernel lets us mount one.

    In a user namespace of an ordinary user bpffs may not be mounted (only `ebpf` needs it, and says so itself).
    """
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if os.geteuid() == 0 and Path("/sys/fs/bpf").is_dir() and not _in_user_namespace():
        mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700")


def _in_user_namespace() -> bool:
    return Path("/proc/self/uid_map").read_text().split()[2] == "1"
