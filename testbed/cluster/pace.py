"""How often an agent may write to the kernel: kube-proxy's bounded frequency runner (pkg/proxy/runner). Pure.

At least minSyncPeriod lies between the end of one round and the begin of the next. That is a limit, not a delay:
when the last round is longer ago, a change is taken at once; changes in between are taken together, later.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Pace:
    """The rhythm of one agent; `least` is minSyncPeriod in seconds, 0 for no limit."""

    def __init__(self, least: float, now: Callable[[], float] = time.monotonic) -> None:
        self._least, self._now = least, now
        self._ended = -math.inf

    def pause(self) -> float:
        """Seconds until a round may begin; 0 if it may begin now."""
        return max(0.0, self._ended + self._least - self._now())

    def ended(self) -> None:
        """A round has ended now."""
        self._ended = self._now()
