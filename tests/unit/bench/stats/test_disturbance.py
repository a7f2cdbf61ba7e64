"""What is told of callers: counts by outcome, and seconds from a failure to the next success."""

from __future__ import annotations

import pytest

from testbed.bench.stats.disturbance import disturbance


def test_all_answered_is_no_disturbance() -> None:
    found = disturbance([(0, 1.0, 1.01, "answered"), (1, 1.1, 1.11, "answered")], [(0, "kept", 0.02)], 20.0)
    assert (found.worst_seconds, found.any_seconds, found.ways) == (0.0, 0.0, 2)
    assert (dict(found.attempts), dict(found.held)) == ({"answered": 2}, {"kept": 1})
    assert found.resolution == pytest.approx(0.1)


def test_a_way_is_disturbed_from_its_first_failure_to_its_next_success() -> None:
    attempts = [
        (0, 1.0, 1.0, "answered"),
        (0, 2.0, 2.0, "refused"),
        (0, 3.0, 3.0, "broken"),
        (0, 4.0, 4.0, "answered"),
    ]
    assert disturbance(attempts, [], 1.0).worst_seconds == pytest.approx(2.0)


def test_what_had_to_be_sent_again_counts_as_late() -> None:
    found = disturbance([(0, 1.0, 2.1, "answered"), (0, 1.5, 1.6, "answered")], [], 2.0)
    assert dict(found.attempts) == {"late": 1, "answered": 1}
    assert found.worst_seconds == pytest.approx(0.5)


def test_ways_that_were_disturbed_together_count_once_in_all() -> None:
    attempts = [
        (0, 1.0, 1.0, "refused"), (0, 2.0, 2.0, "answered"),
        (1, 1.5, 1.5, "refused"), (1, 3.0, 3.0, "answered"),
    ]  # fmt: skip
    found = disturbance(attempts, [], 2.0)
    assert (found.worst_seconds, found.any_seconds) == (pytest.approx(1.5), pytest.approx(2.0))


def test_what_fails_to_the_end_counts_to_the_last_attempt() -> None:
    found = disturbance([(0, 1.0, 1.0, "silent"), (0, 3.0, 3.0, "silent")], [], 1.0)
    assert found.worst_seconds == pytest.approx(2.0)


def test_the_longest_pause_is_that_of_a_connection_which_was_kept() -> None:
    assert disturbance([], [(0, "kept", 0.3), (0, "broken", 9.0)], 1.0).longest_pause == 0.3
