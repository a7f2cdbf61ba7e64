"""The sandbox's own view of the file system: the host's, with private /run, /proc, /sys and /sys/fs/bpf.

/run is a fresh tmpfs, so that `ip netns` names and the tools' lock files (xtables.lock) are the instance's own;
only the instance's folder shows through. /etc/resolv.conf and /etc/hosts are its own, too: no name server can be
reached from in here, and with the host's every look-up would take as long as it waits for one.
Nothing of this is visible outside (mount_namespaces(7)).
"""

from __future__ import annotations

import os
from pathlib import Path

from testbed.machine.libc import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, mount

RUN = Path("/run")
# There is nobody at 127.0.0.1 unless a pod runs a server: refused at once (resolv.conf(5)).
NO_NAMES = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
LOCAL_NAMES = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


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
    replace(Path("/etc/resolv.conf"), NO_NAMES)
    replace(Path("/etc/hosts"), LOCAL_NAMES)
    _mount_sys()


def replace(path: Path, text: str) -> None:
    """Have a file of /etc, if there is one, read `text` in this mount namespace. /run must be private already.

    It may be a link into /run (systemd-resolved's): there is nothing in the private one, so the file is made.
    Anything else is covered by a file of the private /run. Raises KernelStateError.
    """
    if not path.is_symlink() and not path.exists():
        return
    target = path.resolve()
    if target.is_relative_to(RUN):
        _write(target, text)
    elif target.exists():
        cover = RUN / path.name
        _write(cover, text)
        mount(str(cover), str(target), "", MS_BIND)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)  # whatever the umask: programs in here may run as somebody else


def _mount_sys() -> None:
    """A sysfs that shows this network namespace, and a private bpffs where the kernel lets us mount one.

    In a user namespace of an ordinary user bpffs may not be mounted (only `ebpf` needs it, and says so itself).
    """
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    if os.geteuid() == 0 and Path("/sys/fs/bpf").is_dir() and not _in_user_namespace():
        mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700")


def _in_user_namespace() -> bool:
    return Path("/proc/self/uid_map").read_text().split()[2] == "1"
