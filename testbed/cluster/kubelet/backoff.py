"""How long a container that ended waits for its next start: kubelet's crash-loop back-off. Pure.

The first restart is immediate, then 10 s, 20 s, 40 s … 300 s after the end; twice the longest wait without an end
start again from the beginning (pkg/kubelet MaxContainerBackOff, client-go util/flowcontrol/backoff.go).
"""

from __future__ import annotations

FIRST = 10.0
LONGEST = 300.0


class Backoff:
    """The back-off of one container; times are monotonic seconds.

    `longest` is kubelet's crashLoopBackOff.maxContainerRestartPeriod (KEP-4603); the first wait is not longer.
    """

    def __init__(self, longest: float = LONGEST) -> None:
        self._longest = longest
        self._delay = 0.0
        self._restarted = 0.0

    def ended(self, now: float) -> float:
        """Seconds to wait before the next start, for a container that ends now."""
        if now - self._restarted > 2 * self._longest:
            self._delay = 0.0
        return self._delay

    def restarted(self, now: float) -> None:
        """The container is started again: the next wait is longer."""
        self._delay = min(max(FIRST, 2 * self._delay), self._longest)
        self._restarted = now
