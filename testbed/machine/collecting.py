"""No garbage collection while much is made and none of it is garbage.

Python's collector runs after so many new objects, and looks at all that there are: with 10,000 Services in memory a
full pass of an agent took twice as long for it.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

YOUNG, MIDDLE, OLD = 50_000, 20, 50  # of Python's three generations; its own are 700, 10, 10

_lock = threading.Lock()
_inside = 0


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Keep the collector off; several threads may, and the last one turns it on again."""
    global _inside
    with _lock:
        _inside += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                gc.enable()


def rarely() -> None:
    """From now on collect seldom, and never look at what there is already: modules, classes, read manifests.

    For a process that makes much and keeps most of it. What it drops is freed by reference counts at once; only
    cycles wait longer.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
