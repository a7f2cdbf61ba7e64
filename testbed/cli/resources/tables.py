"""A Table of the API as text, as `kubectl get` prints it.

Knows the shape of meta.k8s.io/v1 tables. Knows no kind: columns and cells are the server's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.cli.table import Columns
from testbed.kube.api.tables.text import NONE, labels_text

_LINE_END = re.compile(r"[\f\n\r]")


@dataclass(frozen=True, slots=True)
class Style:
    """What is shown besides the table's columns of priority 0."""

    wide: bool = False
    headers: bool = True
    namespaces: bool = False
    labels: bool = False
    label_columns: tuple[str, ...] = ()
    prefix: str = ""  # before each name and a slash: the kind, where several kinds are shown


class TableText:
    """One table that may grow: rows that are added later stand in the same columns."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._columns = Columns()
        self._definitions: Sequence[Mapping[str, Any]] = ()
        self._headed = not style.headers

    def lines(self, table: Mapping[str, Any]) -> list[str]:
        """The lines of a table's rows, under its headers the first time that there is a row.

        A table without definitions is a continuation: a watch tells them only once.
        """
        self._definitions = table.get("columnDefinitions") or self._definitions
        rows = [self._row(row) for row in table.get("rows") or ()]
        if rows and not self._headed:
            self._headed = True
            rows.insert(0, self._header())
        return self._columns.lines(rows)

    def _shown(self, cells: Sequence[Any]) -> list[tuple[Mapping[str, Any], Any]]:
        pairs = zip(self._definitions, cells, strict=True)
        return [pair for pair in pairs if self._style.wide or not pair[0].get("priority")]

    def _header(self) -> list[str]:
        names = [column["name"] for column in self._definitions]
        return [
            *(["NAMESPACE"] if self._style.namespaces else []),
            *(name.upper() for _, name in self._shown(names)),
            *(key.rpartition("/")[2].upper() for key in self._style.label_columns),
            *(["LABELS"] if self._style.labels else []),
        ]

    def _row(self, row: Mapping[str, Any]) -> list[str]:
        metadata: Mapping[str, Any] = (row.get("object") or {}).get("metadata") or {}
        labels = metadata.get("labels") or {}
        cells = [self._cell(column, cell) for column, cell in self._shown(row["cells"])]
        return [
            *([metadata.get("namespace", "")] if self._style.namespaces else []),
            *cells,
            *(labels.get(key, NONE) for key in self._style.label_columns),
            *([labels_text(labels)] if self._style.labels else []),
        ]

    def _cell(self, column: Mapping[str, Any], cell: Any) -> str:
        text = plain("" if cell is None else str(cell))
        named = self._style.prefix and column.get("format") == "name"
        return f"{self._style.prefix}/{text}" if named else text


def plain(text: str) -> str:
    """The first line of a text, with no letter that would command a terminal (as kubectl's printers do)."""
    first, *rest = _LINE_END.split(text, maxsplit=1)
    return (first + ("..." if rest else "")).replace("\x1b", "^[")
