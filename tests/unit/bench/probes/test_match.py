"""Joining both ends: what is lost, doubled or foreign is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.bench.probes.match import UNSEEN, join
from testbed.bench.traffic.ring import CAPTURE, Captures
from testbed.errors import MeasurementInvalid


def seen(*pairs: tuple[int, int]) -> Captures:
    """Captures of (sequence, time)."""
    captures = np.zeros(len(pairs), CAPTURE)
    for place, (sequence, time) in enumerate(pairs):
        captures[place]["sequence"], captures[place]["time_ns"] = sequence, time
    return captures


def test_joins_by_sequence_and_not_by_order() -> None:
    joined = join(seen((0, 10), (1, 20)), [seen((1, 25)), seen((0, 16))], 2)
    assert (joined.in_ns - joined.out_ns).tolist() == [6, 5]
    assert joined.endpoint.tolist() == [1, 0]


def test_lost_on_the_way() -> None:
    joined = join(seen((0, 10), (1, 20)), [seen((0, 15))], 2)
    assert joined.matched.tolist() == [True, False]
    assert joined.in_ns.tolist() == [15, UNSEEN]
    assert joined.endpoint.tolist() == [0, UNSEEN]


def test_never_left() -> None:
    joined = join(seen((1, 20)), [seen((1, 25))], 3)
    assert joined.out_ns.tolist() == [UNSEEN, 20, UNSEEN]
    assert joined.matched.tolist() == [False, True, False]


def test_came_without_being_seen_out() -> None:
    joined = join(seen(), [seen((0, 5))], 1)
    assert joined.matched.tolist() == [False]


def test_the_first_arrival_counts_and_the_second_is_told() -> None:
    joined = join(seen((0, 10)), [seen((0, 30)), seen((0, 20), (0, 40))], 1)
    assert joined.in_ns.tolist() == [20]
    assert joined.endpoint.tolist() == [1]
    assert joined.duplicates.tolist() == [2]


def test_sent_twice_is_told() -> None:
    joined = join(seen((0, 10), (0, 11)), [seen((0, 20))], 1)
    assert (joined.out_ns.tolist(), joined.duplicates.tolist()) == ([10], [1])


@pytest.mark.parametrize("end", ["out", "in"])
def test_a_sequence_that_was_never_sent_is_refused(end: str) -> None:
    ends = (seen((2, 1)), [seen()]) if end == "out" else (seen(), [seen((2, 1))])
    with pytest.raises(MeasurementInvalid, match="sequence 2"):
        join(*ends, 2)


def test_warm_up_is_left_out_of_everything() -> None:
    joined = join(seen((0, 1), (1, 2), (2, 3)), [seen((0, 5), (0, 6), (2, 9))], 3).after(1)
    assert joined.out_ns.tolist() == [2, 3]
    assert joined.matched.tolist() == [False, True]
    assert joined.duplicates.sum() == 0


@given(st.integers(1, 200), st.data())
def test_lost_and_matched_add_up(total: int, data: st.DataObject) -> None:
    lost = data.draw(st.sets(st.integers(0, total - 1)))
    order = data.draw(st.permutations(range(total)))
    out = seen(*((n, 10 * n) for n in range(total)))
    joined = join(out, [seen(*((n, 10 * n + 3) for n in order if n not in lost))], total)
    assert set(np.flatnonzero(~joined.matched).tolist()) == lost
    assert ((joined.in_ns - joined.out_ns)[joined.matched] == 3).all()
