"""Small daemons for sandboxes; in a module of its own, since what is pickled for a guest is found by its name."""

from __future__ import annotations

import signal
from pathlib import Path

from testbed.errors import TestbedError
from testbed.machine.sandbox import Ready


def serve(folder: Path, ready: Ready) -> None:
    """Ready at once, then there for ever."""
    ready()
    signal.pause()


def fail(folder: Path, ready: Ready) -> None:
    """Dies before it is ready."""
    raise TestbedError("this daemon fails on purpose")


def dawdle(folder: Path, ready: Ready) -> None:
    """Never gets ready."""
    signal.pause()


DAEMONS = {"serve": serve, "fail": fail, "dawdle": dawdle}
