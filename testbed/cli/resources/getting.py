"""What `get` shows: tables, whole objects, names. Knows the API's client and the options of the command."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from testbed.cli import common
from testbed.cli.resources import jsonpath, outputs
from testbed.cli.resources.selection import (
    Selected,
    check,
    from_files,
    namespace_of,
    qualified,
    query_of,
    selected,
)
from testbed.cli.resources.tables import Style, TableText
from testbed.errors import StatusError, UsageError
from testbed.kube.client import TABLE, Client

Object = Mapping[str, Any]

PLAIN_OUTPUTS = ("", "wide")
WHOLE_OUTPUTS = ("json", "yaml", "name")
_JSONPATH = ("jsonpath=", "jsonpath-as-json=")
_NUMBER = re.compile(r"(\d+)")


class Getting:
    """One `get`: what it is about, and how it is shown. Raises UsageError for options that do not go together."""

    def __init__(self, client: Client, arguments: argparse.Namespace) -> None:
        self.client, self.arguments = client, arguments
        self.output: str = arguments.output
        if self.output not in (*PLAIN_OUTPUTS, *WHOLE_OUTPUTS) and not self.output.startswith(_JSONPATH):
            known = ", ".join((*PLAIN_OUTPUTS[1:], *WHOLE_OUTPUTS, "jsonpath=TEMPLATE"))
            raise UsageError(
                f"get: unable to match a printer suitable for {self.output!r}; there are: {known}"
            )
        if arguments.filename:
            self.selections = from_files(arguments.filename)
        else:
            self.selections = selected(arguments.words, "get")
        check(self.selections, arguments)
        self._missing: list[StatusError] = []

    def show(self) -> int:
        """Print everything once; exit code 1 if a name is not there."""
        if self.output in PLAIN_OUTPUTS:
            self._print_tables()
        else:
            self._print_objects()
        for error in self._missing:
            print(common.told(error), file=sys.stderr)
        return 1 if self._missing else 0

    def style(self, selection: Selected) -> Style:
        """How the table of a kind looks."""
        return Style(
            wide=self.output == "wide",
            headers=not self.arguments.no_headers,
            namespaces=self.arguments.all_namespaces and selection.kind.namespaced,
            labels=self.arguments.show_labels,
            label_columns=tuple(key for word in self.arguments.label_columns for key in word.split(",")),
            prefix=qualified(selection.kind) if len(self.selections) > 1 else "",
        )

    def where(self, selection: Selected) -> str | None:
        """The namespace that a selection is about."""
        return selection.namespace or namespace_of(self.arguments, selection.kind)

    def _print_tables(self) -> None:
        printed = False
        for selection in self.selections:
            text = TableText(self.style(selection))
            lines = [line for table in self._tables(selection) for line in text.lines(table)]
            if lines:
                print(*([""] if printed else []), *lines, sep="\n")
                printed = True
        if not printed and not self._missing and not self.arguments.ignore_not_found:
            print(self._nothing(), file=sys.stderr)

    def _nothing(self) -> str:
        some = [self.where(selection) for selection in self.selections]
        return f"No resources found in {some[0]} namespace." if all(some) else "No resources found"

    def _tables(self, selection: Selected) -> Iterator[Object]:
        if not selection.names:
            yield self._sorted(self._listed(selection))
        for name in selection.names:
            yield from self._one(selection, name, TABLE)

    def _listed(self, selection: Selected) -> Object:
        include = "Object" if self.arguments.sort_by else ""
        return self.client.table(selection.kind, self.where(selection), query_of(self.arguments), include)

    def _one(self, selection: Selected, name: str, accept: str) -> Iterator[Object]:
        """The object of a name, if it is there; else that is remembered."""
        try:
            yield self.client.get(selection.kind, self.where(selection) or "", name, accept)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
            if not self.arguments.ignore_not_found:
                self._missing.append(error)

    def _print_objects(self) -> None:
        objects = [obj for selection in self.selections for obj in self._objects(selection)]
        named = [name for selection in self.selections for name in selection.names]
        if len(named) == 1 and len(self.selections) == 1:
            if objects:
                print(shown(objects[0], self.output))
        elif self.output == "name":
            print(
                *(line for obj in objects for line in [shown(obj, "name")]),
                sep="\n",
                end="\n" * bool(objects),
            )
        else:
            print(shown(outputs.as_list(objects), self.output))

    def _objects(self, selection: Selected) -> Sequence[Object]:
        if selection.names:
            return [obj for name in selection.names for obj in self._one(selection, name, "application/json")]
        found = self.client.list(selection.kind, self.where(selection), query_of(self.arguments)).items
        return sorted(found, key=self._order) if self.arguments.sort_by else found

    def _sorted(self, table: Object) -> Object:
        if not self.arguments.sort_by:
            return table
        rows = sorted(table.get("rows") or (), key=lambda row: self._order(row["object"]))
        return {**table, "rows": rows}

    def _order(self, obj: Object) -> tuple[Any, ...]:
        """What is not there comes first; digits in a text count as numbers, as in kubectl's natural order."""
        value = next(iter(jsonpath.find(self.arguments.sort_by, obj)), None)
        if value is None or isinstance(value, int | float):
            return value is not None, value or 0, ()
        parts = _NUMBER.split(str(value))
        return True, 0, tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)


def shown(value: Object, output: str) -> str:
    """An object, or a List of them, as one of the outputs that show it whole."""
    if output == "json":
        return outputs.as_json(value)
    if output == "yaml":
        return outputs.as_yaml(value)
    if output == "name":
        return outputs.as_name(value)
    kind, _, template = output.partition("=")
    if kind == "jsonpath-as-json":
        return outputs.as_json(jsonpath.find(template, value))
    return jsonpath.render(template, value)
