"""`python -m testbed.machine.kernels.guest.init WIRE [SETTINGS]`: process 1 of a guest.

Mounts what a Linux machine has (/proc, /sys, /dev, /run, cgroups, bpffs), starts the agent on the wire, takes in
orphans, and switches the machine off when the agent has ended: it does when nobody holds the wire's other end any
more. SETTINGS is a JSON file for User Mode Linux, which comes here straight from its kernel: its root has to be
laid first (`root.py`), and `modules` leads to the kernel's modules, if it has any.
Its words go to the console.
"""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from testbed.errors import KernelStateError
from testbed.machine import libc
from testbed.machine.kernels.guest import root
from testbed.machine.libc import MS_NODEV, MS_NOEXEC, MS_NOSUID, mount
from testbed.machine.run import run

# type, place, flags, options; in order
MOUNTS = (
    ("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""),
    ("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""),
    ("devtmpfs", "/dev", MS_NOSUID, "mode=755"),
    ("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666"),
    ("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"),
    ("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755"),
    ("cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""),
    ("bpf", "/sys/fs/bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=700"),
)
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "fd/0",
    "stdout": "fd/1",
    "stderr": "fd/2",
}  # devtmpfs has none of them
OPEN_FILES = (
    1 << 20
)  # as a distribution's process 1 allows its children (systemd: DefaultLimitNOFILE's upper end)
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1  # netdevice(7)
OVERLAY = "kernel/fs/overlayfs/overlay.ko"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def prepare(settings: Mapping[str, Any]) -> None:
    """Make a Linux machine of this kernel. Raises KernelStateError."""
    os.environ.update(PATH=PATH, HOME="/root")
    if settings:
        if settings["modules"]:
            run(["insmod", f"{settings['modules']}/{OVERLAY}"], check=False)
        root.lay(settings["shares"])
    for kind, place, flags, options in MOUNTS:
        _mount(kind, Path(place), flags, options)
    for name, target in LINKS.items():
        with suppress(FileExistsError):
            Path("/dev", name).symlink_to(target)
    _open_console()
    socket.sethostname(settings.get("hostname", "testbed-guest"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, OPEN_FILES))
    _loopback_up()
    if settings.get("modules"):
        _link_modules(Path(settings["modules"]))


def _mount(kind: str, place: Path, flags: int, options: str) -> None:
    """What a kernel does not have stays away: whoever needs it asks a probe."""
    if not place.is_dir():
        with suppress(OSError):
            place.mkdir()
    with suppress(KernelStateError):
        mount(kind, str(place), kind, flags, options)


def _open_console() -> None:
    console = os.open("/dev/console", os.O_RDWR | os.O_NOCTTY)
    for number in range(3):
        os.dup2(console, number)
    if console > 2:
        os.close(console)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh22x", b"lo", 0)
        (flags,) = struct.unpack_from("16xh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, asked))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def _link_modules(modules: Path) -> None:
    """Where modprobe(8), which the kernel calls when it lacks something, looks for them."""
    place = Path("/lib/modules") / os.uname().release
    with suppress(OSError):  # on a read-only root
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(modules)


def start_agent(wire: str) -> int:
    """The agent, as a child; its process id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.setsid()
        from testbed.machine.kernels.guest import agent

        status = agent.main([wire])
    finally:
        _say_what_went_wrong()
        os._exit(status)


def _say_what_went_wrong() -> None:
    """To the console, by the last frame of a process: nothing goes further."""
    if sys.exc_info()[0] is not None:
        traceback.print_exc()
    sys.stderr.flush()


def take_in(agent: int) -> None:
    """Wait for every process that has no other parent, until the agent has ended."""
    while os.wait()[0] != agent:
        pass


def main(argv: list[str]) -> None:
    """Be process 1: never returns."""
    try:
        wire, *settings = argv
        prepare(json.loads(Path(settings[0]).read_text()) if settings else {})
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        take_in(start_agent(wire))
    finally:
        _say_what_went_wrong()
        os.sync()  # what was written to a share is there when we are gone
        libc.power_off()


if __name__ == "__main__":
    main(sys.argv[1:])
