"""Where a virtual machine's kernel is: what `make vm` has unpacked below build/vm, else one that is installed.

Knows files' places; knows nothing of how they are booted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from testbed.errors import FeatureMissing
from testbed.machine import features
from testbed.machine.kernels.images import Image, key_of
from testbed.machine.kernels.vm.initramfs import MODULES, Kernel

BUILD = Path(__file__).parents[4] / "build/vm"
QEMU = "qemu-system-x86_64"
PROGRAMS = (QEMU, "busybox")
FIX = "make vm"


def image() -> Image:
    """The kernel's file, for whoever asks what it offers. Raises FeatureMissing."""
    found = kernel()
    parts = (key_of(found.image), str(found.modules), *MODULES)
    return Image("vm", found.image, "\0".join(parts))


def kernel() -> Kernel:
    """The kernel that guests boot. Raises FeatureMissing if there is none, or no program to boot it."""
    if os.uname().machine != "x86_64":
        raise FeatureMissing("kernel vm", f"not made for {os.uname().machine}", "run on an x86_64 machine")
    for name in PROGRAMS:
        if shutil.which(name, path=features.path()) is None:
            raise FeatureMissing("kernel vm", f"no program {name}", FIX)
    found = next(_kernels(BUILD, Path("/")), None)
    if found is None:
        raise FeatureMissing("kernel vm", "no kernel with its modules was found", FIX)
    return found


def qemu() -> str:
    """The program, by its path: a jail's environment need not lead to it."""
    return shutil.which(QEMU, path=features.path()) or QEMU


def _kernels(build: Path, root: Path) -> Iterator[Kernel]:
    """All that can be read, ours first, the newest first."""
    for folder in _newest(build.glob("*/ready")):
        release = folder.parent.name
        yield Kernel(folder.parent / "boot/vmlinuz", folder.parent / "lib/modules" / release, release)
    for file in _newest(root.glob("boot/vmlinuz-*")):
        release = file.name.partition("-")[2]
        modules = root / "lib/modules" / release
        # Ubuntu's kernels are for root's eyes only.
        if (modules / "modules.dep").is_file() and os.access(file, os.R_OK):
            yield Kernel(file, modules, release)


def _newest(paths: Iterator[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)
