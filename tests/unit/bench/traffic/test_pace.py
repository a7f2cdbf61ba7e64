"""The plan of sending times, and waiting for them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.bench.traffic.pace import SECOND, Pace, wait_until
from testbed.errors import UsageError


def test_without_jitter_intervals_are_equal() -> None:
    assert Pace(1000).schedule(5).tolist() == [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]


def test_rate_zero_is_due_at_once() -> None:
    assert Pace().schedule(3).tolist() == [0, 0, 0]


@given(st.floats(1, 1e6), st.floats(0, 0.5), st.integers(0, 1000))
def test_jitter_keeps_the_order_and_the_mean_rate(rate: float, jitter: float, seed: int) -> None:
    schedule = Pace(rate, jitter, seed).schedule(200)
    places = schedule * rate / SECOND
    assert (np.diff(schedule) >= 0).all()
    assert schedule[0] >= 0
    assert (np.abs(places - np.arange(200) - jitter) <= jitter + 0.01).all()


def test_jitter_is_drawn_by_the_seed() -> None:
    schedule = Pace(1000, 0.1, seed=7).schedule(50)
    assert schedule.tolist() == Pace(1000, 0.1, seed=7).schedule(50).tolist()
    assert schedule.tolist() != Pace(1000, 0.1, seed=8).schedule(50).tolist()


@pytest.mark.parametrize(("rate", "jitter"), [(-1, 0), (1, -0.1), (1, 0.6)])
def test_nonsense_is_refused(rate: float, jitter: float) -> None:
    with pytest.raises(UsageError):
        Pace(rate, jitter)


@pytest.mark.parametrize("ahead", [-1_000_000, 0, 50_000, 2_000_000], ids="{}ns".format)
def test_waiting_never_returns_early(ahead: int) -> None:
    deadline = time.monotonic_ns() + ahead
    assert wait_until(deadline) >= deadline
