"""Confidence intervals by bootstrap over repeats, and what a comparison could have seen at all.

Knows arrays of one figure per repeat. Knows neither packets nor arms. Every resampling is seeded: the same
figures give the same interval.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Statistic = Callable[..., npt.NDArray[np.float64]]

CONFIDENCE = 0.95
POWER = 0.80
RESAMPLES = 4999
SEED = 20250228
FEWEST = 3  # repeats; with fewer there is an estimate but no interval


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % confidence interval; `low`, `high` are nan where repeats are too few."""

    estimate: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """True if there is an interval and not only an estimate."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def excludes(self, value: float) -> bool:
        """True if the interval is known and `value` lies outside: a difference at the 5 % level."""
        return self.known and not self.low <= value <= self.high

    def scaled(self, factor: float) -> Interval:
        """In another unit; `factor` must be positive."""
        return Interval(self.estimate * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm against another, repeat by repeat: `ratio` and `difference` (ns) of their figures.

    `detectable` is the smallest relative change that this many repeats, this noisy, would have shown as a
    difference (0.06 is 6 %); nan with fewer than three pairs.
    """

    ratio: Interval
    difference: Interval
    detectable: float
    pairs: int

    @property
    def differs(self) -> bool:
        """True if the ratio's interval excludes 1."""
        return self.ratio.excludes(1.0)

    @property
    def same(self) -> bool:
        """True if the interval is known and holds 1. Too few repeats are neither the same nor different."""
        return self.ratio.known and not self.differs


def bootstrap_interval(values: Floats, statistic: Statistic, seed: int = SEED) -> Interval:
    """The 95 % interval of `statistic` (vectorised over `axis`) by resampling `values` along its first axis.

    Bias-corrected and accelerated (Efron, "Better bootstrap confidence intervals", JASA 82, 1987); where BCa
    is undefined because resamples coincide, plain percentiles (Efron & Tibshirani, "An Introduction to the
    Bootstrap", 1993, ch. 13 and 14). `values` has shape (repeats,).
    """
    estimate = float(statistic(values, axis=-1)) if len(values) else math.nan
    if len(values) < FEWEST:
        return Interval(estimate, math.nan, math.nan)
    if np.all(values == values[0]):
        return Interval(estimate, estimate, estimate)
    low, high = _bootstrap(values, statistic, "BCa", seed)
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = _bootstrap(values, statistic, "percentile", seed)
    return Interval(estimate, low, high)


def _bootstrap(values: Floats, statistic: Statistic, method: str, seed: int) -> tuple[float, float]:
    from scipy import stats

    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # answered by the caller
        found = stats.bootstrap(
            (values,),
            statistic,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method=method,
            rng=np.random.default_rng(seed),
            vectorized=True,
        )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def median_interval(values: Floats) -> Interval:
    """The median of one figure per repeat, shape (repeats,), with its interval over repeats."""
    return bootstrap_interval(values, np.median)


@functools.lru_cache(maxsize=64)
def draws(repeats: int) -> npt.NDArray[np.int64]:
    """How often each repeat is drawn in each resample, shape (RESAMPLES, repeats). Always the same; read only."""
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(repeats, [1 / repeats] * repeats, size=RESAMPLES)
    drawn.setflags(write=False)
    return drawn


def expanded_tail(repeats: int) -> float:
    """The tail to cut from each side of a percentile bootstrap over few repeats, for 95 % between the cuts.

    Plain percentiles are too narrow by sqrt((n-1)/n) and by normal against t quantiles; the expanded
    percentile interval cuts at the standard normal's cdf of -sqrt(n/(n-1)) * t(0.975, n-1) instead
    (Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015, section
    5.3).
    """
    from scipy import stats

    quantile = stats.t.ppf(0.5 + CONFIDENCE / 2, repeats - 1)
    return float(stats.norm.cdf(-math.sqrt(repeats / (repeats - 1)) * quantile))


def compare(values: Floats, baseline: Floats) -> Comparison:
    """Compare two arms whose figures, shape (repeats,), belong together pair by pair.

    Medians of the paired ratios and of the paired differences. Pairing takes out what changes slowly on the
    machine and hits both alike, which is why arms are interleaved.
    """
    ratios = values / baseline
    return Comparison(
        ratio=median_interval(ratios),
        difference=median_interval(values - baseline),
        detectable=math.expm1(minimum_detectable(np.log(ratios))),
        pairs=len(ratios),
    )


def minimum_detectable(differences: Floats) -> float:
    """The smallest true difference found with 80 % power at the two-sided 5 % level; nan under 3 pairs.

    (t(0.975) + t(0.80)) * s / sqrt(n) (Bloom, "Minimum detectable effects", Evaluation Review 19, 1995),
    times sqrt(pi/2) because medians are compared and a median varies that much more than a mean (normal
    theory).
    """
    from scipy import stats

    count = len(differences)
    if count < FEWEST:
        return math.nan
    multiplier = stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1) + stats.t.ppf(POWER, count - 1)
    spread = float(np.std(differences, ddof=1)) / math.sqrt(count)
    return float(multiplier) * spread * math.sqrt(math.pi / 2)
