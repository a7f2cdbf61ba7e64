"""Tables as kubectl prints them."""

from __future__ import annotations

from testbed.cli.table import Columns, table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("NAME", "IP"), [("a-long-name", "10.244.0.2"), ("b", "")]).splitlines() == [
        "NAME          IP",
        "a-long-name   10.244.0.2",
        "b             <none>",
    ]


def test_a_narrow_column_has_the_least_width() -> None:
    assert table(("A", "AGE"), []) == "A     AGE"


def test_later_lines_stand_under_the_first_ones() -> None:
    columns = Columns()
    assert columns.lines([["NAME", "AGE"], ["a-long-name", "5s"]]) == [
        "NAME          AGE",
        "a-long-name   5s",
    ]
    assert columns.lines([["b", "6s"]]) == ["b             6s"]
    assert columns.lines([["a-much-longer-name", "7s"]]) == ["a-much-longer-name   7s"]
