"""When to send: an open-loop plan of times, made before anything is sent, and waiting for the next of them.

Open loop means that the plan never waits for an answer: a stall shows as lateness instead of hiding
(coordinated omission, wrk2's README). Knows clocks; knows nothing of what is sent.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.errors import UsageError

SECOND = 1_000_000_000
SPIN_NS = 150_000  # a sleep ends up to about 0.1 ms late (timer slack and wake-up), so the rest is spun


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate in events per second; 0 means as fast as possible.

    `jitter` shifts each event by up to that part of the interval to either side, drawn by `seed`: the mean
    rate and the order stay. Istio's benchmarks show why: senders in step with each other lengthen the tail.
    """

    rate: float = 0.0
    jitter: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise UsageError(f"rate {self.rate:g}: must not be negative (0 is as fast as possible)")
        if not 0 <= self.jitter <= 0.5:
            raise UsageError(f"jitter {self.jitter:g}: must be between 0 and 0.5 of the interval")

    def schedule(self, count: int) -> npt.NDArray[np.int64]:
        """When each of `count` events is due, in ns after the start, ascending. Shape (count,)."""
        if self.rate == 0:
            return np.zeros(count, np.int64)
        places = np.arange(count, dtype=np.float64)
        if self.jitter:
            places += self.jitter * (1 + np.random.default_rng(self.seed).uniform(-1, 1, count))
        return (places * SECOND / self.rate).astype(np.int64)


def wait_until(deadline: int) -> int:
    """Wait until CLOCK_MONOTONIC (ns) reaches `deadline`; returns its reading. Sleeps, spins at the end."""
    now = time.monotonic_ns()
    if deadline - now > SPIN_NS:
        time.sleep((deadline - now - SPIN_NS) / SECOND)
        now = time.monotonic_ns()
    while now < deadline:
        now = time.monotonic_ns()
    return now


def realtime_offset() -> int:
    """What to add to CLOCK_MONOTONIC (ns) to get CLOCK_REALTIME, the clock of the taps' stamps."""
    return time.time_ns() - time.monotonic_ns()
