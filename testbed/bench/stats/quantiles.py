"""Quantiles of latencies, and how sure one may be of them.

Knows arrays of samples. Knows nothing of where they come from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from testbed.bench.stats.interval import CONFIDENCE, FEWEST, Interval, draws, expanded_tail

Samples = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def minimum_samples(q: float) -> int:
    """How many samples a quantile needs: 10 / (1 - q), so that about ten lie beyond it (p99: 1,000).

    A rule of thumb: the number beyond is binomial, and at ten its relative standard error is 1/sqrt(10), a
    third. For q < 0.5 it is ten below.
    """
    return math.ceil(10 / min(q, 1 - q) - 1e-9)


def quantile(values: Samples, q: float) -> float:
    """The q-quantile by linear interpolation (Hyndman & Fan 1996, definition 7); nan of nothing."""
    return float(np.quantile(values, q)) if len(values) else math.nan


def quantile_interval(values: Samples, q: float, confidence: float = CONFIDENCE) -> Interval:
    """A quantile of independent samples with an interval between two order statistics, distribution-free.

    X(l) and X(u) enclose the quantile with probability P(l <= B < u), B ~ Binomial(n, q) (David & Nagaraja,
    "Order Statistics", 3rd ed. 2003, section 7.1); l and u are chosen with at most half of the error on each
    side, so the interval covers at least `confidence`. nan where the sample has no such order statistic.
    """
    from scipy import stats

    ordered, count = np.sort(values), len(values)
    tail = (1 - confidence) / 2
    lower = int(stats.binom.ppf(tail, count, q)) if count else 0
    upper = int(stats.binom.ppf(1 - tail, count, q)) + 1
    low = float(ordered[lower - 1]) if lower >= 1 else math.nan
    high = float(ordered[upper - 1]) if upper <= count else math.nan
    return Interval(quantile(values, q), low, high)


def pooled_quantile_interval(repeats: Sequence[Samples], q: float) -> Interval:
    """A quantile of all repeats' samples together, with an interval from resampling whole repeats.

    For quantiles that one repeat alone has too few samples for. Resampling packets instead would take samples
    of one repeat for independent (Davison & Hinkley, "Bootstrap Methods", 1997, section 3.8: hierarchical
    data). Where repeats differ in their tail, eight of them hold the truth in about 85 of 100 rather than 95
    (simulated in the tests). nan bounds with fewer than three repeats.
    """
    values = np.concatenate([np.asarray(r, dtype=np.float64) for r in repeats] or [np.empty(0)])
    estimate = quantile(values, q)
    if len(repeats) < FEWEST:
        return Interval(estimate, math.nan, math.nan)
    order = np.argsort(values, kind="stable")
    owner = np.repeat(np.arange(len(repeats)), [len(r) for r in repeats])[order]
    ranks = np.cumsum(owner[:, None] == np.arange(len(repeats)), axis=0)
    found = values[order][_resampled_places(ranks, q)]
    tail = expanded_tail(len(repeats))
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))


def _resampled_places(ranks: npt.NDArray[np.int64], q: float) -> npt.NDArray[np.int64]:
    """Where the q-quantile of each resample lies among the sorted samples, shape (resamples,).

    `ranks[i, r]` counts the samples of repeat r among the i + 1 lowest. A repeat drawn w times counts each of
    its samples w times, so every resample is a weighted quantile, found by bisection without copying samples.
    """
    drawn = draws(ranks.shape[1])
    wanted = q * (drawn @ ranks[-1])
    low = np.zeros(len(drawn), dtype=np.int64)
    high = np.full(len(drawn), len(ranks) - 1)
    while np.any(low < high):
        middle = (low + high) // 2
        enough = np.sum(drawn * ranks[middle], axis=1) >= wanted
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return low
