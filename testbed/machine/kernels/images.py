"""The kernels that guests boot, as files: `find` says where one is, or what makes one.

Each folder `uml`, `vm` has a module `find` with a function `image() -> Image`, which raises FeatureMissing, with
what mends it, where there is none. Knows files; knows nothing of how they are booted.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Image:
    """A kernel that a guest boots. `key` is another one whenever the file or what belongs to it is."""

    kernel: str  # "uml" or "vm"
    path: Path
    key: str


def find(kernel: str) -> Image:
    """The image of a guest's kernel. Raises FeatureMissing if there is none here."""
    found: Image = importlib.import_module(f"testbed.machine.kernels.{kernel}.find").image()
    return found


def get_ready(image: Image) -> None:
    """What must be done once before guests boot this kernel, and outside of their jails: the module `boot` of its
    folder says so by a function `before`, if there is anything.
    """
    boot = importlib.import_module(f"testbed.machine.kernels.{image.kernel}.boot")
    if hasattr(boot, "before"):
        boot.before()


def key_of(path: Path) -> str:
    """What changes when a file is replaced: its size in bytes and the time of its last change, as text."""
    status = path.stat()
    return f"{path}:{status.st_size}:{status.st_mtime_ns}"
