"""When an agent does what, as kube-proxy's bounded frequency runner and its monitor do (pkg/proxy/runner,
pkg/util/iptables `Monitor`). Pure.

At least minSyncPeriod lies between the end of one round and the begin of the next. That is a limit, not a delay:
when the last round is longer ago, a change is taken at once; changes in between are taken together, later. Each
syncPeriod a round that failed is tried again, and it is looked whether somebody has flushed the rules. Each hour
comes a full pass.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

FULL_SYNC_SECONDS = 3600.0
"""proxyutil.FullSyncPeriod."""

SETTLING_SECONDS = 1.0
"""After a flush was noticed, the next look comes sooner: who flushes one table is seldom done yet. kube-proxy waits
up to 5 s until the canaries of all tables are gone, and nothing works meanwhile."""


class Pace:
    """The rhythm of one agent; `least` is minSyncPeriod, `period` is syncPeriod, both in seconds. 0: no limit.

    `tending` is how often, in seconds, the datapath carries on with what had to wait.
    """

    def __init__(
        self,
        least: float,
        period: float = math.inf,
        now: Callable[[], float] = time.monotonic,
        tending: float = math.inf,
    ) -> None:
        self._least, self._period, self._now = least, period, now
        self._tending, self._tend = tending, math.inf
        self._ended = self._full = self._retry = -math.inf
        self._look = math.inf
        self._failed = False

    def pause(self) -> float:
        """Seconds until a round may begin; 0 if it may begin now."""
        return max(0.0, self._ended + self._least - self._now())

    def ended(self, *, full: bool = False, failed: bool = False) -> None:
        """A round that wrote, or tried to, has ended now."""
        self._ended, self._failed = self._now(), failed
        self._retry = self._ended + self._period
        self._tend = min(self._tend, self._ended + self._tending)
        if full and not failed:
            self._full = self._ended
            self._look = min(self._look, self._ended + self._period)

    def looked(self, *, intact: bool) -> None:
        """It was looked after the rules now."""
        self._look = self._now() + (self._period if intact else min(self._period, SETTLING_SECONDS))

    def look_due(self) -> bool:
        """True if it is time to look after the rules; never before they have been written once."""
        return self._look <= self._now()

    def full_due(self) -> bool:
        """True if the last full pass is an hour ago."""
        return self._full + FULL_SYNC_SECONDS <= self._now()

    def skipped(self) -> None:
        """The full pass that is due is left out."""
        self._full = self._now()

    def tend_due(self) -> bool:
        """True if it is time to carry on with what had to wait."""
        return self._tend <= self._now()

    def tended(self) -> None:
        """It was carried on now."""
        self._tend = self._now() + self._tending

    def patience(self) -> float | None:
        """Seconds until something has to be done that nobody asks for; None before the first round."""
        if self._ended == -math.inf:
            return None
        due = self._retry if self._failed else min(self._look, self._full + FULL_SYNC_SECONDS)
        return max(0.0, min(due, self._tend) - self._now())
