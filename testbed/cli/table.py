"""Tables as kubectl prints them: upper-case headers, columns at least three blanks apart, no borders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

GAP = 3  # blanks after the widest cell of a column
LEAST = 6  # the least width of a column with its gap (kubectl's tabwriter)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Left-aligned columns, as wide as their widest cell; `<none>` stands for an empty cell."""
    lines = [list(header), *([cell or "<none>" for cell in row] for row in rows)]
    return "\n".join(Columns().lines(lines))


class Columns:
    """Lines in columns. It remembers the widths, so that lines that come later stand under the first ones."""

    def __init__(self) -> None:
        self._widths: list[int] = []

    def lines(self, rows: Sequence[Sequence[str]]) -> list[str]:
        """Rows as lines, all columns as wide as needed now or before."""
        for row in rows:
            self._widths += [LEAST] * (len(row) - len(self._widths))
            for i, cell in enumerate(row[:-1]):
                self._widths[i] = max(self._widths[i], len(cell) + GAP)
        return ["".join(map(str.ljust, row, self._widths)).rstrip() for row in rows]
