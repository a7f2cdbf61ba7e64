"""A straight line through latency over the number of rules or Services: t = a + b N.

Knows points with the repeat that each belongs to. Knows neither units nor what N counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.bench.stats.interval import FEWEST, Floats, Interval, draws, expanded_tail
from testbed.errors import MeasurementInvalid


@dataclass(frozen=True, slots=True)
class Line:
    """t = intercept + slope * N; `r_squared` is the share of all points' variance that it explains."""

    intercept: float
    slope: Interval
    r_squared: float
    points: int

    def at(self, x: Floats) -> Floats:
        """The line's height at `x`."""
        return self.intercept + self.slope.estimate * x


def fit_line(x: Floats, y: Floats, repeat: npt.NDArray[np.int64]) -> Line:
    """Ordinary least squares through points of shape (n,), with a 95 % interval of the slope over repeats.

    Whole repeats are resampled, because the points of one repeat share its noise (Davison & Hinkley 1997,
    section 3.8); expanded percentiles of the resampled slopes. Least squares from the five sums of each
    repeat (Montgomery, "Introduction to Linear Regression Analysis", section 2.2), so a resample is a sum of
    sums. Raises MeasurementInvalid if all x are equal: there is no slope.
    """
    if len(x) == 0 or np.ptp(x) == 0:
        raise MeasurementInvalid("a line needs at least two different x")
    sums = _sums_by_repeat(x, y, repeat)
    slope, intercept = (float(part) for part in _solve(sums.sum(axis=0)))
    residual = float(np.sum((y - intercept - slope * x) ** 2))
    total = float(np.sum((y - y.mean()) ** 2))
    r_squared = 1 - residual / total if total > 0 else 1.0
    low, high = _slope_bounds(sums)
    return Line(intercept, Interval(slope, low, high), r_squared, len(x))


def _sums_by_repeat(x: Floats, y: Floats, repeat: npt.NDArray[np.int64]) -> Floats:
    """n, Σx, Σy, Σx², Σxy of each repeat, shape (repeats, 5)."""
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y], axis=1)
    return np.stack([terms[repeat == r].sum(axis=0) for r in np.unique(repeat)])


def _solve(sums: Floats) -> tuple[Floats, Floats]:
    """Slope and intercept from sums of shape (..., 5)."""
    n, sx, sy, sxx, sxy = np.moveaxis(sums, -1, 0)
    slope = (n * sxy - sx * sy) / (n * sxx - sx * sx)
    return slope, (sy - slope * sx) / n


def _slope_bounds(sums: Floats) -> tuple[float, float]:
    repeats = len(sums)
    if repeats < FEWEST:
        return math.nan, math.nan
    with np.errstate(invalid="ignore", divide="ignore"):  # a resample may hold one x only
        slopes, _ = _solve(draws(repeats) @ sums)
    tail = expanded_tail(repeats)
    low, high = np.nanquantile(slopes, [tail, 1 - tail])
    return float(low), float(high)
