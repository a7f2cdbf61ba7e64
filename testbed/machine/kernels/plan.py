"""What is told to a kernel's `boot` module, whichever kernel it is.

Each folder `uml`, `vm` has a module `boot` with a function `prepare(plan) -> argv`. It is called inside the guest's
jail, may write to `plan.private`, and returns the host's command line that becomes the kernel. Standard output and
error of that process are the console's file; standard input is empty.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.machine.kernels.images import Image

SOURCES = Path(__file__).parents[3]
INIT = "testbed.machine.kernels.guest.init"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a guest is booted."""

    image: Image
    wire: int  # a stream socket's descriptor, which the kernel's process inherits
    shares: Sequence[Path]  # to be mounted writable at their own places
    memory: int  # MiB
    private: Path  # a folder in memory, of this guest alone


def init_argv(wire: str, *more: str) -> list[str]:
    """Process 1 of a guest, whose environment must have PYTHONPATH=SOURCES; `wire` is its device inside."""
    return [sys.executable, "-S", "-m", INIT, wire, *more]  # -S: it needs no site packages
