"""When to look again at something, for controllers that wait for time to pass. Pure.

Knows keys and times; reads no clock.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Timers(Generic[T]):
    """One time (seconds since 1970) for each key."""

    def __init__(self) -> None:
        self._at: dict[T, float] = {}
        self._heap: list[tuple[float, int, T]] = []
        self._order = 0  # keys need not be comparable

    def set(self, key: T, at: float | None) -> None:
        """Look at `key` at that time instead of any other; with None, never."""
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            self._order += 1
            heapq.heappush(self._heap, (at, self._order, key))

    def due(self) -> float | None:
        """The earliest time."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> list[T]:
        """The keys whose time has come, in its order; they have none any more."""
        found: list[T] = []
        while (at := self.due()) is not None and at <= now:
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            found.append(key)
        return found
