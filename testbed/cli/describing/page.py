"""A page of text in columns, as Go's text/tabwriter lays it out for `kubectl describe`.

A tab ends a cell. Cells above each other in lines that follow each other are a column, as wide as the widest of
them; what comes after a line's last tab belongs to no column. Knows text; knows nothing of objects.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

INDENT = "  "
PADDING = 2


NO_TIME = "Mon, 01 Jan 0001 00:00:00 +0000"  # Go's zero time, which kubectl prints where there is none


class Page:
    """Lines in the order in which they are written. Ages are up to `now`, times in its zone."""

    def __init__(self, now: datetime.datetime) -> None:
        self.now = now
        self._done: list[str] = []
        self._lines: list[str] = []

    def line(self, text: str = "", level: int = 0) -> None:
        """A line, indented by `level` steps; a text of several lines is several lines."""
        first, *more = text.split("\n")
        self._lines += [INDENT * level + first, *more]

    def field(self, name: str, value: Any, level: int = 0) -> None:
        """`Name:    value`"""
        self.line(f"{name}:\t{value}", level)

    def several(self, name: str, values: Iterable[str], level: int = 0) -> None:
        """A field with each value on a line of its own, `<none>` if there are none."""
        first, *more = [*values] or ["<none>"]
        self.field(name, first, level)
        for value in more:
            self.line(INDENT * level + f"\t{value}")

    def table(self, header: Sequence[str], rows: Iterable[Sequence[Any]], level: int = 1) -> None:
        """Rows under a header that is underlined."""
        self.line("\t".join(header), level)
        self.line("\t".join("-" * len(name) for name in header), level)
        for row in rows:
            self.line("\t".join(map(str, row)), level)

    def time(self, timestamp: str | None) -> str:
        """A time of the API as `Mon, 23 Nov 2026 21:00:00 +0000` (RFC 1123)."""
        if not timestamp:
            return NO_TIME
        moment = datetime.datetime.fromisoformat(timestamp).astimezone(self.now.tzinfo)
        return moment.strftime("%a, %d %b %Y %H:%M:%S %z")

    def flush(self) -> None:
        """End all columns: what comes now is as wide as it needs by itself."""
        self._done += tabbed(self._lines)
        self._lines = []

    def text(self) -> str:
        """Everything written. Letters that would command a terminal are shown as `^[`, as kubectl does."""
        self.flush()
        return "\n".join(self._done).replace("\x1b", "^[")


def tabbed(lines: Sequence[str]) -> list[str]:
    """Lines with tabs as lines with columns."""
    out: list[str] = []
    _lay_out([line.split("\t") for line in lines], [], out)
    return out


def _lay_out(lines: Sequence[Sequence[str]], widths: list[int], out: list[str]) -> None:
    """`widths` are those of the columns that all of these lines have; find the blocks of the next one."""
    column, start = len(widths), 0
    while start < len(lines):
        end = start
        while end < len(lines) and column < len(lines[end]) - 1:
            end += 1
        if end == start:
            *cells, last = lines[start]
            out.append("".join(map(str.ljust, cells, widths)) + last)
            start += 1
        else:
            width = max(len(line[column]) for line in lines[start:end]) + PADDING
            _lay_out(lines[start:end], [*widths, width], out)
            start = end


def labels(page: Page, name: str, values: Mapping[str, str] | None, level: int = 0) -> None:
    """Labels or a selector, sorted, one to a line (`printLabelsMultiline`)."""
    page.several(name, (f"{key}={value}" for key, value in sorted((values or {}).items())), level)
