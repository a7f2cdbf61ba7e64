"""Numbers of which each may be held once: addresses of a range, node ports.

Knows numbers only; what they stand for is the caller's. Deterministic: the lowest free number comes first.
"""

from __future__ import annotations


class Pool:
    """The numbers `first` to `last`, both included.

    The lowest `static` ones are meant to be chosen by hand and are given out only when the others are used up
    (KEP-3070 for cluster IPs, KEP-3668 for node ports).
    """

    def __init__(self, first: int, last: int, static: int = 0) -> None:
        self._held: set[int] = set()
        self._bands = ((first + static, last), (first, first + static - 1))
        self._next = [low for low, _ in self._bands]  # nothing below it is free in its band
        self.first, self.last = first, last

    def __contains__(self, number: int) -> bool:
        """True if the number belongs to the pool, held or not."""
        return self.first <= number <= self.last

    def claim(self, number: int) -> bool:
        """Hold this very number; False if it is held already. A number outside may be held as well."""
        if number in self._held:
            return False
        self._held.add(number)
        return True

    def release(self, number: int) -> None:
        """Let go of a number; nothing happens if nobody holds it."""
        self._held.discard(number)
        for band, (low, high) in enumerate(self._bands):
            if low <= number <= high:
                self._next[band] = min(self._next[band], number)

    def take(self) -> int | None:
        """Hold the lowest free number and return it; None if there is none."""
        for band, (_, high) in enumerate(self._bands):
            number = self._next[band]
            while number <= high and number in self._held:
                number += 1
            self._next[band] = number
            if number <= high:
                self._held.add(number)
                return number
        return None
