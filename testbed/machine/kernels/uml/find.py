"""Where a User Mode Linux kernel is: our own, which `make uml` has built, else Debian's stock one.

Ours is build/uml/KEY/linux of this checkout; KEY is a hash of the source's version and of our configuration. One
that was built from another configuration is still better than the stock one, which has neither nftables for IP nor
network emulation; what a kernel offers is probed, never believed.
Knows files' places; knows nothing of how they are booted.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from testbed.errors import FeatureMissing
from testbed.machine.kernels.images import Image, key_of

BUILD = Path(__file__).parents[4] / "build/uml"
FRAGMENT = Path(__file__).with_name("kernel.config")
STOCK = Path("/usr/bin/linux.uml")
STOCK_MODULES = Path("/usr/lib/uml/modules")
KEY_LETTERS = 16


def image(build: Path = BUILD, stock: Path = STOCK) -> Image:
    """The kernel that guests boot. Raises FeatureMissing if there is none."""
    found = next(_ours(build), None) or (stock if os.access(stock, os.X_OK) else None)
    if found is None:
        raise FeatureMissing("kernel uml", "it is not built yet", "make uml")
    return Image("uml", found, key_of(found))


def is_stock(path: Path) -> bool:
    """True for the distribution's kernel, which has modules and other words for some things."""
    return path == STOCK


def key(source: str) -> str:
    """The name of the folder for what is built from a version of the source and our configuration."""
    return hashlib.sha256(f"{source}\0{FRAGMENT.read_text()}".encode()).hexdigest()[:KEY_LETTERS]


def _ours(build: Path) -> Iterator[Path]:
    """What was built here and can be run: from today's configuration first, then the newest first."""

    def rank(path: Path) -> tuple[bool, float]:
        source = path.with_name("source")
        current = source.is_file() and path.parent.name == key(source.read_text().strip())
        return current, path.stat().st_mtime

    found = (path for path in build.glob("*/linux") if os.access(path, os.X_OK))
    yield from sorted(found, key=rank, reverse=True)
