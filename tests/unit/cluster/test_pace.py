"""The period between two rounds of an agent is a limit, not a delay."""

from __future__ import annotations

import math

import pytest

from testbed.cluster.pace import Pace


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_the_first_round_begins_at_once() -> None:
    assert Pace(1.0, now=Clock()).pause() == 0


@pytest.mark.parametrize(("passed", "pause"), [(0.0, 1.0), (0.25, 0.75), (1.0, 0.0), (60.0, 0.0)])
def test_the_next_round_begins_a_period_after_the_end_of_the_last(passed: float, pause: float) -> None:
    clock = Clock()
    pace = Pace(1.0, now=clock)
    pace.ended()
    clock.seconds += passed
    assert pace.pause() == pause


def test_no_period_no_pause() -> None:
    pace = Pace(0.0, now=Clock())
    pace.ended()
    assert pace.pause() == 0


def test_only_the_last_round_counts() -> None:
    clock = Clock()
    pace = Pace(1.0, now=clock)
    pace.ended()
    clock.seconds += 5
    pace.ended()
    assert pace.pause() == 1.0


def paced(period: float = 30.0) -> tuple[Pace, Clock]:
    """A pace whose first round, a full one, has just ended."""
    clock = Clock()
    pace = Pace(1.0, period, clock)
    pace.ended(full=True)
    return pace, clock


def test_before_the_first_round_there_is_nothing_to_look_after() -> None:
    pace = Pace(1.0, 30.0, Clock())
    assert pace.patience() is None
    assert not pace.look_due()


@pytest.mark.parametrize(("passed", "due"), [(29.9, False), (30.0, True)])
def test_rules_are_looked_after_once_in_a_period(passed: float, due: bool) -> None:
    pace, clock = paced()
    clock.seconds += passed
    assert pace.look_due() is due
    pace.looked(intact=True)
    assert not pace.look_due()
    assert pace.patience() == 30.0


def test_changes_do_not_put_off_the_look() -> None:
    pace, clock = paced()
    for _ in range(3):
        clock.seconds += 10
        pace.ended()
    assert pace.look_due()


def test_after_a_flush_the_next_look_comes_soon() -> None:
    pace, clock = paced()
    clock.seconds += 30
    pace.looked(intact=False)
    pace.ended(full=True)
    assert pace.patience() == 1.0


def test_a_failed_round_is_tried_again_after_a_period() -> None:
    pace, clock = paced()
    clock.seconds += 5
    pace.ended(full=True, failed=True)
    assert pace.patience() == 30.0
    assert pace.pause() == 1.0  # but a change need not wait for that


@pytest.mark.parametrize(("passed", "due"), [(3599.0, False), (3600.0, True)])
def test_a_full_pass_is_due_each_hour(passed: float, due: bool) -> None:
    pace, clock = paced()
    clock.seconds += passed
    pace.ended()
    assert pace.full_due() is due


def test_a_full_pass_that_is_left_out_is_due_again_an_hour_later() -> None:
    pace, clock = paced()
    clock.seconds += 3600
    pace.skipped()
    pace.looked(intact=True)
    assert not pace.full_due()
    clock.seconds += 3600
    assert pace.full_due()


def test_one_waits_for_what_comes_first() -> None:
    pace, clock = paced(period=7200.0)
    clock.seconds += 600
    assert pace.patience() == 3000.0


def test_what_had_to_wait_is_carried_on_with_each_period() -> None:
    clock = Clock()
    pace = Pace(0.0, math.inf, clock, tending=60.0)
    pace.ended(full=True)
    clock.seconds += 59
    pace.ended()  # a round in between does not put it off
    assert not pace.tend_due()
    assert pace.patience() == 1
    clock.seconds += 1
    assert pace.tend_due()
    pace.tended()
    assert not pace.tend_due()
    assert pace.patience() == 60
