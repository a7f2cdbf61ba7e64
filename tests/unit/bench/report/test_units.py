"""Figures as words: units, digits, signs."""

from __future__ import annotations

import math

import pytest

from testbed.bench.report import units
from testbed.bench.stats.interval import Interval

NAN = math.nan


def plain(text: str) -> str:
    """With ordinary spaces."""
    return text.replace(units.GLUE, " ")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 3, "0"), (1.0, 3, "1.00"), (9.97, 2, "10"), (9.94, 2, "9.9"), (123456.0, 3, "123,456"),
        (0.000123, 2, "0.00012"), (-12.34, 3, "−12.3"), (NAN, 3, "–"), (math.inf, 3, "–"),
    ],
)  # fmt: skip
def test_significant_digits(value: float, digits: int, text: str) -> None:
    assert units.number(value, digits) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (850, "850 ns"),
        (1_000, "1.00 µs"),
        (31_200, "31.2 µs"),
        (4.5e6, "4.50 ms"),
        (2e9, "2.00 s"),
    ],
)
def test_a_time_takes_its_unit(nanoseconds: float, text: str) -> None:
    assert plain(units.time(nanoseconds)) == text


@pytest.mark.parametrize(
    ("nanoseconds", "text"), [(0, "0"), (50_000, "50 µs"), (2_500, "2.5 µs"), (1e6, "1 ms")]
)
def test_an_axis_has_no_digit_too_many(nanoseconds: float, text: str) -> None:
    assert units.tick_time(nanoseconds) == text


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(31_234, 28_400, 34_900), "31 [28, 35] µs"),
        (Interval(31_234, 30_900, 31_500), "31.2 [30.9, 31.5] µs"),
        (Interval(31_234, 31_230, 31_240), "31.23 [31.23, 31.24] µs"),
        (Interval(31_234, NAN, NAN), "31.2 µs"),
        (Interval(1_400_000, 900_000, 1_900_000), "1.4 [0.9, 1.9] ms"),
        (None, "–"),
    ],
)
def test_digits_follow_the_interval(interval: Interval | None, text: str) -> None:
    assert plain(units.times(interval)) == text


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(1.312, 1.20, 1.44), "× 1.31 [1.20, 1.44]"),
        (Interval(17.4, 15.1, 19.9), "× 17 [15, 20]"),
        (None, "–"),
    ],
)
def test_a_ratio(interval: Interval | None, text: str) -> None:
    assert plain(units.factor(interval)) == text


def test_a_negative_slope_has_a_real_minus() -> None:
    assert units.between(Interval(-0.05, -0.20, 0.05)) == "−0.05 [−0.20, 0.05]"


def test_nothing_is_never_less_than_nothing() -> None:
    assert units.between(Interval(-0.01, -0.3, 0.3)) == "0.0 [−0.3, 0.3]"


@pytest.mark.parametrize(
    ("p", "text"), [(0.0004, "< 0.001"), (0.0213, "0.021"), (0.434, "0.43"), (1.0, "1.00")]
)
def test_a_probability(p: float, text: str) -> None:
    assert units.probability(p) == text


@pytest.mark.parametrize(("amount", "text"), [(1, "1 Service"), (5000, "5,000 Services")])
def test_services(amount: int, text: str) -> None:
    assert units.services(amount) == text


@pytest.mark.parametrize(("load", "text"), [(0.0, "idle"), (20_000.0, "20,000 packets/s")])
def test_a_load(load: float, text: str) -> None:
    assert units.load(load) == text


@pytest.mark.parametrize(
    ("parts", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_a_list(parts: list[str], text: str) -> None:
    assert units.listed(parts) == text


@pytest.mark.parametrize(("amount", "text"), [(12, "12 B"), (1536, "1.50 KiB"), (8 << 30, "8.00 GiB")])
def test_a_size(amount: float, text: str) -> None:
    assert plain(units.size(amount)) == text
