"""The spread over endpoints: known answers, both tails, and chance itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from testbed.bench.stats.spread import spread
from testbed.errors import MeasurementInvalid


def test_a_textbook_die() -> None:
    found = spread(np.array([5, 8, 9, 8, 10, 20]))
    assert (found.total, found.expected) == (60, 10.0)
    # (25 + 4 + 1 + 4 + 0 + 100) / 10; the table's critical value of 5 degrees at 2 % is 13.39
    assert found.chi_square == pytest.approx(13.4)
    assert found.p_uneven == pytest.approx(0.02, abs=0.001)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=50).filter(any))
def test_it_agrees_with_scipy(counts: list[int]) -> None:
    found, judged = spread(np.array(counts)), stats.chisquare(counts)
    assert found.chi_square == pytest.approx(judged.statistic)
    assert found.p_uneven == pytest.approx(judged.pvalue, abs=1e-12)
    assert found.p_uneven + found.p_even == pytest.approx(1.0)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=50).filter(any))
def test_jains_index_lies_between_one_endpoint_and_all(counts: list[int]) -> None:
    assert 1 / len(counts) - 1e-9 <= spread(np.array(counts)).jain <= 1 + 1e-9


def test_one_endpoint_that_takes_all_is_uneven() -> None:
    found = spread(np.array([400, 0, 0, 0]))
    assert found.p_uneven < 1e-9
    assert found.jain == 0.25


def test_a_round_robin_is_too_even_for_chance() -> None:
    found = spread(np.full(10, 100))
    assert found.p_even < 1e-9
    assert found.jain == pytest.approx(1.0)


def test_chance_lies_in_its_band_and_between_the_tails() -> None:
    rng = np.random.default_rng(6)
    drawn = [spread(rng.multinomial(1000, [0.1] * 10)) for _ in range(400)]
    inside = np.mean([np.mean((s.low <= s.counts) & (s.counts <= s.high)) for s in drawn])
    assert 0.94 <= inside <= 0.98
    assert 0.02 <= np.mean([s.p_uneven < 0.05 for s in drawn]) <= 0.08
    assert 0.02 <= np.mean([s.p_even < 0.05 for s in drawn]) <= 0.08


@pytest.mark.parametrize("counts", [[5], [0, 0, 0]])
def test_nothing_to_compare(counts: list[int]) -> None:
    with pytest.raises(MeasurementInvalid, match="two endpoints and a connection"):
        spread(np.array(counts))
