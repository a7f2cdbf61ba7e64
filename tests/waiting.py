"""The only place in the tests that lets time pass: waiting until something is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from testbed.errors import TestbedError

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1  # seconds

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, timeout: float = 30.0, longest: float = LONGEST_PAUSE) -> T:
    """Ask again and again, with longer pauses up to `longest` seconds, until the answer is true; returns it.

    Raises TestbedError that names `what` was waited for, after `timeout` seconds.
    """
    deadline, pause = time.monotonic() + timeout, FIRST_PAUSE
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TestbedError(f"waited {timeout:g} s in vain for: {what}")
        time.sleep(pause)
        pause = min(2 * pause, longest)
    return answer
