"""How evenly connections fell on the endpoints of a Service, and whether chance explains it.

Knows counts. Knows no datapath, though the two tails have names: a random choice gives a p in the middle, one
that favours an endpoint a p_uneven near 0, and a round robin is "too even" for chance: p_even near 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.bench.stats.interval import CONFIDENCE
from testbed.errors import MeasurementInvalid


@dataclass(frozen=True, slots=True)
class Spread:
    """Counts per endpoint, shape (endpoints,), against an even random choice."""

    counts: npt.NDArray[np.int64]
    expected: float  # connections per endpoint
    low: float  # 95 % of endpoints of an even random choice lie between low and high
    high: float
    chi_square: float
    p_uneven: float  # chance alone would be at least this uneven
    p_even: float  # chance alone would be at least this even
    jain: float  # 1: all alike; 1/k: one of k endpoints takes everything

    @property
    def total(self) -> int:
        """All connections."""
        return int(self.counts.sum())


def spread(counts: npt.NDArray[np.int64]) -> Spread:
    """Pearson's chi-square of counts, shape (k,), against equal shares, with both tails.

    X² = Σ (n_i - n/k)² / (n/k), chi-square with k - 1 degrees of freedom (Pearson 1900); good from an
    expected count of 5 on (Cochran 1954). kube-proxy's random choice is multinomial with equal shares
    (probability 1/(n-i) at the i-th rule). Jain's fairness index (Σn)² / (k Σn²) (Jain, Chiu & Hawe,
    DEC-TR-301, 1984). The band is the binomial's central 95 % for one endpoint. Raises MeasurementInvalid
    with fewer than two endpoints or without any connection.
    """
    from scipy import stats

    k, total = len(counts), int(counts.sum())
    if k < 2 or total == 0:
        raise MeasurementInvalid("a spread needs two endpoints and a connection")
    expected = total / k
    chi_square = float(np.sum((counts - expected) ** 2) / expected)
    tail = (1 - CONFIDENCE) / 2
    return Spread(
        counts=counts,
        expected=expected,
        low=float(stats.binom.ppf(tail, total, 1 / k)),
        high=float(stats.binom.ppf(1 - tail, total, 1 / k)),
        chi_square=chi_square,
        p_uneven=float(stats.chi2.sf(chi_square, k - 1)),
        p_even=float(stats.chi2.cdf(chi_square, k - 1)),
        jain=float(total**2 / (k * np.sum(counts.astype(np.float64) ** 2))),
    )
