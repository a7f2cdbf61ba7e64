"""What callers met while something was changed: how many were answered, and for how long something was wrong. Pure.

Knows attempts and held connections as `traffic.callers` tells them; knows nothing of what was changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

LATE_SECONDS = 0.9  # what was answered later had its SYN sent again (first timeout: 1 s, RFC 6298)

Attempt = tuple[int, float, float, str]
"""Way, began, ended (seconds of one clock), outcome."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Seconds are those in which a way did not work: from the first attempt that went wrong to the next good."""

    ways: int
    attempts: Mapping[str, int]  # by outcome; `late` is answered after LATE_SECONDS or more
    held: Mapping[str, int]  # by outcome
    worst_seconds: float  # of the way that was disturbed longest
    any_seconds: float  # in which at least one way was disturbed
    resolution: float  # seconds between two attempts of a way
    longest_pause: float  # of held connections that were kept, in seconds

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "ways": self.ways, "newConnections": dict(self.attempts), "heldConnections": dict(self.held),
            "worstWaySeconds": self.worst_seconds, "anyWaySeconds": self.any_seconds,
            "resolutionSeconds": self.resolution, "longestPauseSeconds": self.longest_pause,
        }  # fmt: skip


def disturbance(
    attempts: Sequence[Attempt], held: Sequence[tuple[int, str, float]], rate: float
) -> Disturbance:
    """What `rate` attempts a second over all ways tell."""
    told = [(way, began, _judged(began, ended, outcome)) for way, began, ended, outcome in attempts]
    gaps = {way: _gaps(list(each)) for way, each in groupby(sorted(told), itemgetter(0))}
    ways = len({way for way, *_ in held} | set(gaps))
    return Disturbance(
        ways=ways,
        attempts=Counter(outcome for _, _, outcome in told),
        held=Counter(outcome for _, outcome, _ in held),
        worst_seconds=max((sum(end - start for start, end in each) for each in gaps.values()), default=0.0),
        any_seconds=_union(gap for each in gaps.values() for gap in each),
        resolution=ways / rate,
        longest_pause=max((pause for _, outcome, pause in held if outcome == "kept"), default=0.0),
    )


def _judged(began: float, ended: float, outcome: str) -> str:
    return "late" if outcome == "answered" and ended - began >= LATE_SECONDS else outcome


def _gaps(told: Sequence[tuple[int, float, str]]) -> list[tuple[float, float]]:
    """The times from a first attempt that was not answered at once to the next that was; or to the last one."""
    gaps, start = [], None
    for _, began, outcome in told:
        if outcome != "answered" and start is None:
            start = began
        elif outcome == "answered" and start is not None:
            gaps.append((start, began))
            start = None
    return [*gaps, (start, told[-1][1])] if start is not None else gaps


def _union(gaps: Iterable[tuple[float, float]]) -> float:
    total, reached = 0.0, float("-inf")
    for start, end in sorted(gaps):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
