"""Columns as Go's text/tabwriter lays them out, with padding 2 (its own example tables)."""

from __future__ import annotations

import datetime

import pytest

from testbed.cli.describing.page import Page, tabbed

NOW = datetime.datetime(2026, 11, 23, 12, 0, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))


@pytest.mark.parametrize(
    ("lines", "laid_out"),
    [
        (["no tab at all"], ["no tab at all"]),
        (["a\tb", "long\tc"], ["a     b", "long  c"]),
        (["a\tb\tc", "aa\tbb\tcc", "aaa\tb"], ["a    b   c", "aa   bb  cc", "aaa  b"]),
        (["a\tb", "a line between ends the column", "longer\tb"],
         ["a  b", "a line between ends the column", "longer  b"]),
        (["Name:\tx", "Labels:\ta=b", "\tc=d"], ["Name:    x", "Labels:  a=b", "         c=d"]),
        (["Type\tStatus", "Ready \tTrue "], ["Type    Status", "Ready   True "]),
        (["a\t\tb", "aa\t\tb"], ["a     b", "aa    b"]),
        (["", "x\ty"], ["", "x  y"]),
        ([], []),
    ],
)  # fmt: skip
def test_columns(lines: list[str], laid_out: list[str]) -> None:
    assert tabbed(lines) == laid_out


def test_fields_and_tables() -> None:
    page = Page(NOW)
    page.field("Name", "web")
    page.several("Labels", ["a=b", "c=d"])
    page.several("Taints", [])
    page.line("Ports:")
    page.table(("Name", "Port"), [("http", 80)])
    assert page.text().splitlines() == [
        "Name:    web",
        "Labels:  a=b",
        "         c=d",
        "Taints:  <none>",
        "Ports:",
        "  Name  Port",
        "  ----  ----",
        "  http  80",
    ]


def test_what_is_flushed_is_laid_out_by_itself() -> None:
    page = Page(NOW)
    page.line("a long name\tx")
    page.flush()
    page.line("b\ty")
    assert page.text() == "a long name  x\nb  y"


def test_no_letter_commands_the_terminal() -> None:
    page = Page(NOW)
    page.field("Name", "\x1b[31mred")
    assert page.text() == "Name:  ^[[31mred"


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        ("2026-11-23T11:00:00Z", "Mon, 23 Nov 2026 12:00:00 +0100"),
        (None, "Mon, 01 Jan 0001 00:00:00 +0000"),
        ("", "Mon, 01 Jan 0001 00:00:00 +0000"),
    ],
)
def test_times_are_those_of_the_reader(timestamp: str | None, text: str) -> None:
    assert Page(NOW).time(timestamp) == text
