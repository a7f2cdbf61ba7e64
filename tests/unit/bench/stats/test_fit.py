"""The line over the number of Services: exact, by an independent solver, and how sure its slope is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.bench.stats.fit import fit_line
from testbed.errors import MeasurementInvalid

SERVICES = np.array([1.0, 1000.0, 5000.0])


def points(rng: np.random.Generator, slope: float, repeats: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latencies 14,000 + slope * N with a noise of each repeat and one of each point."""
    shared = rng.normal(0, 300, (repeats, 1))
    y = 14_000 + slope * SERVICES + shared + rng.normal(0, 500, (repeats, 3))
    return np.tile(SERVICES, repeats), y.ravel(), np.repeat(np.arange(repeats), 3)


@given(st.floats(-100, 100), st.floats(-1e5, 1e5))
def test_a_line_without_noise_is_found(slope: float, intercept: float) -> None:
    x = np.tile(SERVICES, 4)
    line = fit_line(x, intercept + slope * x, np.repeat(np.arange(4), 3))
    assert line.slope.estimate == pytest.approx(slope, abs=1e-6)
    assert line.intercept == pytest.approx(intercept, abs=1e-3)
    assert line.slope.low == pytest.approx(line.slope.high, abs=1e-6)


def test_it_agrees_with_numpy() -> None:
    x, y, repeat = points(np.random.default_rng(1), 24.0, 6)
    slope, intercept = np.polyfit(x, y, 1)
    line = fit_line(x, y, repeat)
    assert line.slope.estimate == pytest.approx(slope)
    assert line.intercept == pytest.approx(intercept)
    assert line.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert line.at(np.array([2000.0]))[0] == pytest.approx(intercept + 2000 * slope)


def test_repeats_may_lack_points() -> None:
    x, y, repeat = points(np.random.default_rng(2), 24.0, 6)
    kept = np.arange(len(x)) != 4
    line = fit_line(x[kept], y[kept], repeat[kept])
    assert line.slope.low < 24.0 < line.slope.high
    assert line.points == 17


def test_two_repeats_give_a_slope_without_an_interval() -> None:
    line = fit_line(*points(np.random.default_rng(2), 24.0, 2))
    assert line.slope.estimate == pytest.approx(24.0, rel=0.05)
    assert not line.slope.known


def test_a_single_size_has_no_slope() -> None:
    with pytest.raises(MeasurementInvalid, match="two different x"):
        fit_line(np.full(3, 5.0), np.arange(3.0), np.arange(3))


@pytest.mark.parametrize(("repeats", "least"), [(5, 0.90), (10, 0.93)])
def test_the_slope_is_covered_in_about_95_of_100(repeats: int, least: float) -> None:
    rng = np.random.default_rng(repeats)
    lines = [fit_line(*points(rng, 24.0, repeats)) for _ in range(1000)]
    held = sum(line.slope.low <= 24.0 <= line.slope.high for line in lines)
    assert least <= held / 1000 <= 0.975


def test_a_flat_line_is_called_flat_in_about_95_of_100() -> None:
    rng = np.random.default_rng(8)
    steep = sum(fit_line(*points(rng, 0.0, 8)).slope.excludes(0.0) for _ in range(300))
    assert steep / 300 <= 0.09
