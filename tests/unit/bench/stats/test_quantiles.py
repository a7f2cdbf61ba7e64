"""Quantiles with order statistics and over repeats: known answers, properties, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.bench.stats.quantiles import (
    minimum_samples,
    pooled_quantile_interval,
    quantile,
    quantile_interval,
)


@pytest.mark.parametrize(
    ("q", "needed"), [(0.5, 20), (0.9, 100), (0.99, 1000), (0.999, 10_000), (0.1, 100), (0.01, 1000)]
)
def test_the_samples_that_a_quantile_needs(q: float, needed: int) -> None:
    assert minimum_samples(q) == needed


def test_a_known_interval_of_a_median() -> None:
    # the classical table of the sign test: n = 20 takes the 6th and the 15th value
    found = quantile_interval(np.arange(1, 21), 0.5)
    assert (found.low, found.estimate, found.high) == (6.0, 10.5, 15.0)


def test_a_quantile_too_far_out_has_no_upper_bound() -> None:
    found = quantile_interval(np.arange(100), 0.99)
    assert not found.known
    assert found.low > 90


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300), st.sampled_from([0.1, 0.5, 0.9]))
def test_bounds_are_samples_around_the_estimate(values: list[int], q: float) -> None:
    found = quantile_interval(np.array(values), q)
    for bound in (found.low, found.high):
        assert np.isnan(bound) or bound in values
    assert not found.low > found.estimate
    assert not found.high < found.estimate


@pytest.mark.parametrize(("q", "size"), [(0.5, 60), (0.9, 200), (0.99, 1500)])
def test_order_statistics_cover_at_least_95_of_100(q: float, size: int) -> None:
    rng = np.random.default_rng(size)
    truth = -np.log(1 - q)  # of an exponential
    found = [quantile_interval(rng.exponential(1.0, size), q) for _ in range(500)]
    assert sum(i.low <= truth <= i.high for i in found) / 500 >= 0.93


def test_a_quantile_of_nothing_is_not_a_number() -> None:
    assert np.isnan(quantile(np.empty(0), 0.5))


def test_pooling_takes_all_samples() -> None:
    repeats = [np.arange(0, 100), np.arange(100, 200), np.arange(200, 300)]
    assert pooled_quantile_interval(repeats, 0.5).estimate == 149.5


def test_pooling_equal_repeats_leaves_no_doubt() -> None:
    found = pooled_quantile_interval([np.arange(1000)] * 4, 0.9)
    assert found.high - found.low <= 1


def test_pooling_two_repeats_gives_no_interval() -> None:
    assert not pooled_quantile_interval([np.arange(1000)] * 2, 0.9).known


def test_resampling_repeats_is_what_copying_them_would_give() -> None:
    rng = np.random.default_rng(2)
    repeats = [rng.integers(0, 50, size) for size in (40, 60, 50, 55)]
    found = pooled_quantile_interval(repeats, 0.9)
    # every bound is the quantile of some multiset of the repeats
    choices = np.stack(np.meshgrid(*[range(4)] * 4), -1).reshape(-1, 4)
    possible = set()
    for choice in choices:
        values = np.sort(np.concatenate([repeats[c] for c in choice]))
        possible.add(float(values[int(np.ceil(0.9 * len(values))) - 1]))
    assert {found.low, found.high} <= possible


def test_a_pooled_tail_covers_the_truth_although_repeats_differ() -> None:
    rng = np.random.default_rng(4)
    truth = float(np.quantile(np.exp(rng.normal(0, 0.2, (2000, 1)) + rng.normal(0, 0.3, (2000, 400))), 0.99))
    held = 0
    for _ in range(200):
        repeats = [np.exp(rng.normal(0, 0.2) + rng.normal(0, 0.3, 300)) for _ in range(8)]
        found = pooled_quantile_interval(repeats, 0.99)
        held += found.low <= truth <= found.high
    # few repeats say little about a tail that repeats differ in: nominally 95
    assert held / 200 >= 0.78
