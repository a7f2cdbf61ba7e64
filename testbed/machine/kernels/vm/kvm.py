"""Whether a guest really boots with KVM here: /dev/kvm may be there, and every guest hang.

So one is booted for a moment: our kernel, with an initramfs whose script says a word on the console and switches
off. The answer is remembered until this machine boots anew or the kernel is another.
Knows QEMU's -accel kvm and that word; knows nothing of guests in use.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from testbed.errors import CommandFailed
from testbed.machine import features
from testbed.machine.kernels.images import key_of
from testbed.machine.kernels.vm import initramfs
from testbed.machine.kernels.vm.find import qemu
from testbed.machine.kernels.vm.initramfs import Kernel
from testbed.machine.run import run

DEVICE = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SECONDS = 15.0  # a guest that boots needs two
WORD = "testbed-kvm-works"
SCRIPT = f"#!/bin/busybox sh\necho {WORD} >/dev/console\n/bin/busybox poweroff -f\n".encode()
FLAGS = ("-accel", "kvm", "-cpu", "host")


def usable(kernel: Kernel) -> bool:
    """True if a guest boots with KVM; tried once after each boot of this machine."""
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return False
    asked = f"{BOOT_ID.read_text().strip()} {key_of(kernel.image)}"
    note = _note()
    with contextlib.suppress(OSError):
        before, _, verdict = note.read_text().rpartition(" ")
        if before == asked:
            return verdict == "yes"
    boots = _boots(kernel)
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{asked} {'yes' if boots else 'no'}")
    return boots


def _note() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "testbed" / "kvm"


def _boots(kernel: Kernel) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "initramfs"
        first.write_bytes(initramfs.build_alone(kernel, SCRIPT))
        argv = [*_argv(kernel), "-initrd", str(first)]
        env = {**os.environ, "PATH": features.path()}
        with contextlib.suppress(CommandFailed):  # it did not end in time
            return WORD in run(argv, check=False, timeout=SECONDS, env=env).stdout
        return False


def _argv(kernel: Kernel) -> list[str]:
    return [
        qemu(), "-machine", "pc", *FLAGS, "-m", "256M", "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", "-serial", "stdio", "-kernel", str(kernel.image),
        "-append", "console=ttyS0 quiet panic=-1",
    ]  # fmt: skip
