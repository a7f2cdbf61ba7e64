"""Tables and ages as kubectl prints them."""

from __future__ import annotations

import pytest

from testbed.cli.table import age, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("NAME", "IP"), [("a-long-name", "10.244.0.2"), ("b", "")]).splitlines() == [
        "NAME          IP",
        "a-long-name   10.244.0.2",
        "b             <none>",
    ]


def test_without_rows_there_is_the_header() -> None:
    assert table(("NAME", "AGE"), []) == "NAME   AGE"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        # k8s.io/apimachinery/pkg/util/duration HumanDuration's own test table
        (-1, "0s"), (0, "0s"), (1, "1s"), (70, "70s"), (119, "119s"), (120, "2m"), (190, "3m10s"),
        (600, "10m"), (3600 + 600, "70m"), (47 * 60, "47m"), (3 * 3600, "3h"), (3 * 3600 + 600, "3h10m"),
        (7 * 3600 + 59 * 60, "7h59m"), (8 * 3600, "8h"), (8 * 3600 + 600, "8h"), (47 * 3600, "47h"),
        (48 * 3600, "2d"), (60 * 3600, "2d12h"), (8 * 86400, "8d"), (8 * 86400 + 5 * 3600, "8d"),
    ],
)  # fmt: skip
def test_an_age_is_shortened(seconds: float, text: str) -> None:
    assert age(seconds) == text
