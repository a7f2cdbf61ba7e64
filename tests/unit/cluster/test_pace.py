"""The period between two rounds of an agent is a limit, not a delay."""

from __future__ import annotations

import pytest

from testbed.cluster.pace import Pace


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_first_round_begins_at_once() -> None:
    assert Pace(1.0, Clock()).pause() == 0


@pytest.mark.parametrize(("passed", "pause"), [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0), (60.0, 0.0)])
def test_the_next_round_begins_a_period_after_the_end_of_the_last(passed: float, pause: float) -> None:
    clock = Clock()
    pace = Pace(1.0, clock)
    pace.ended()
    clock.seconds += passed
    assert pace.pause() == pause


def test_no_period_no_pause() -> None:
    pace = Pace(0.0, Clock())
    pace.ended()
    assert pace.pause() == 0


def test_only_the_last_round_counts() -> None:
    clock = Clock()
    pace = Pace(1.0, clock)
    pace.ended()
    clock.seconds += 5
    pace.ended()
    assert pace.pause() == 1.0
