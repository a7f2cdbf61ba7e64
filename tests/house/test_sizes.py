"""Sizes. A function is counted from its signature to its last line, nested ones included."""

from __future__ import annotations

import statistics

import pytest

from tests.house.source import Function, Source, sources

MEDIAN_LINES, P90_LINES, MAX_LINES = 12, 35, 70
MAX_FILE_LINES = 400
MAX_POSITIONAL = 5  # what must be named at the call is not counted: it explains itself there

PRODUCT = sources("testbed")
ALL = PRODUCT + sources("tests") + sources("benchmarks")


def lines(function: Function) -> int:
    """Lines from the signature to the last statement."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def positional(function: Function) -> int:
    """Arguments that a caller may give without their name, `self` and `cls` left out."""
    names = [argument.arg for argument in function.args.posonlyargs + function.args.args]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def product_lines() -> list[int]:
    return [lines(function) for source in PRODUCT for function in source.functions()]


def test_functions_are_short_at_the_median() -> None:
    assert statistics.median(product_lines()) <= MEDIAN_LINES


def test_nine_functions_of_ten_fit_on_a_screen() -> None:
    assert statistics.quantiles(product_lines(), n=10)[-1] <= P90_LINES


@pytest.mark.parametrize("source", ALL, ids=str)
def test_no_function_is_long(source: Source) -> None:
    long = [f"{source.where(f)}: {f.name}: {lines(f)}" for f in source.functions() if lines(f) > MAX_LINES]
    assert not long


@pytest.mark.parametrize("source", ALL, ids=str)
def test_no_function_takes_many_arguments(source: Source) -> None:
    wide = [f"{source.where(f)}: {f.name}" for f in source.functions() if positional(f) > MAX_POSITIONAL]
    assert not wide, "make a dataclass of them"


@pytest.mark.parametrize("source", ALL, ids=str)
def test_no_file_is_long(source: Source) -> None:
    assert len(source.text.splitlines()) <= MAX_FILE_LINES
