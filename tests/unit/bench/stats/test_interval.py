"""Intervals and comparisons over repeats: known answers, properties, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.bench.stats.interval import (
    Interval,
    compare,
    expanded_tail,
    median_interval,
    minimum_detectable,
)

POSITIVE = st.floats(1.0, 1e9)


@given(st.lists(POSITIVE, min_size=3, max_size=15))
def test_an_interval_holds_its_estimate_and_stays_within_the_data(values: list[float]) -> None:
    found = median_interval(np.array(values))
    rounding = 1e-12 * max(values)
    bounds = [min(values), found.low, found.estimate, found.high, max(values)]
    assert all(np.diff(bounds) >= -rounding)


@given(st.lists(POSITIVE, min_size=3, max_size=10), st.floats(0.1, 10.0))
def test_a_ratio_is_found_whatever_the_noise_that_both_share(values: list[float], factor: float) -> None:
    baseline = np.array(values)
    found = compare(baseline * factor, baseline)
    assert found.ratio.estimate == pytest.approx(factor)
    assert found.ratio.high - found.ratio.low < 1e-9 * factor


def test_the_same_figures_give_the_same_interval() -> None:
    values = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6])
    assert median_interval(values) == median_interval(values)


def test_equal_figures_have_an_interval_of_no_width() -> None:
    assert median_interval(np.full(5, 7.0)) == Interval(7.0, 7.0, 7.0)


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0]])
def test_two_repeats_give_no_interval(values: list[float]) -> None:
    found = median_interval(np.array(values))
    assert found.estimate == np.median(values)
    assert not found.known


def test_no_repeat_gives_nothing() -> None:
    assert math.isnan(median_interval(np.empty(0)).estimate)


@pytest.mark.parametrize(
    ("interval", "outside"),
    [
        (Interval(1.2, 1.1, 1.3), True),
        (Interval(1.2, 0.9, 1.3), False),
        (Interval(0.8, 0.7, 0.9), True),
        (Interval(1.2, math.nan, math.nan), False),
    ],
)
def test_a_difference_is_claimed_only_with_an_interval_that_excludes_it(
    interval: Interval, outside: bool
) -> None:
    assert interval.excludes(1.0) is outside


def test_a_comparison_pairs_by_place() -> None:
    found = compare(np.array([20.0, 40.0, 60.0]), np.array([10.0, 20.0, 30.0]))
    assert found.ratio.estimate == 2.0
    assert found.difference.estimate == 20.0
    assert found.differs


def test_the_detectable_effect_of_a_known_sample() -> None:
    # t(0.975, 4) = 2.776, t(0.80, 4) = 0.941; s of 1..5 is sqrt(2.5)
    expected = (2.776 + 0.941) * math.sqrt(2.5 / 5) * math.sqrt(math.pi / 2)
    assert minimum_detectable(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx(expected, rel=1e-3)


def test_more_repeats_detect_smaller_effects() -> None:
    rng = np.random.default_rng(3)
    found = [minimum_detectable(rng.normal(0, 1, count)) for count in (4, 16, 64, 256)]
    assert found == sorted(found, reverse=True)


def test_an_effect_of_the_detectable_size_is_found_in_about_four_of_five() -> None:
    rng = np.random.default_rng(5)
    repeats, noise = 12, 0.1
    typical = minimum_detectable(np.sqrt(repeats / (repeats - 1)) * noise * np.resize([1.0, -1.0], repeats))
    found = sum(
        compare(np.exp(rng.normal(typical, noise, repeats)), np.ones(repeats)).differs for _ in range(200)
    )
    assert 0.68 <= found / 200 <= 0.95


def test_the_expanded_tail_is_that_of_the_source() -> None:
    # Hesterberg 2015, table 5: for n = 10 the adjusted one-sided tail of 2.5 % is 0.9 %
    assert expanded_tail(10) == pytest.approx(0.0086, abs=0.0005)
    assert expanded_tail(100_000) == pytest.approx(0.025, abs=1e-4)


@pytest.mark.parametrize("repeats", [8, 20])
def test_the_interval_of_a_median_covers_the_truth_in_about_95_of_100(repeats: int) -> None:
    rng = np.random.default_rng(repeats)
    runs = 250
    held = 0
    for _ in range(runs):
        found = median_interval(rng.lognormal(0, 0.2, repeats))
        held += found.low <= 1.0 <= found.high
    # three standard errors of a share of 0.95 over 250 are 0.041; small samples cost a little more
    assert 0.90 <= held / runs <= 0.99


def test_an_a_a_comparison_shows_a_difference_in_about_one_of_twenty() -> None:
    rng = np.random.default_rng(9)
    noise = rng.lognormal(0, 0.2, (250, 2, 10))
    false = sum(compare(first, second).differs for first, second in noise)
    assert false / 250 <= 0.10
