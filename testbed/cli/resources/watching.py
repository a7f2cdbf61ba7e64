"""What `get --watch` shows: the objects, then each change as it comes, until somebody stops it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from testbed.cli.resources.getting import PLAIN_OUTPUTS, Getting, shown
from testbed.cli.resources.selection import Selected, query_of
from testbed.cli.resources.tables import TableText
from testbed.errors import UsageError
from testbed.kube.client import JSON, TABLE, Event, Query

INTERRUPTED = 130  # a shell's status for a program that SIGINT ended


def watch(getting: Getting) -> int:
    """Follow one kind, or one object; 0 when the daemon ends, 130 after Ctrl-C."""
    if len(getting.selections) != 1 or len(getting.selections[0].names) > 1:
        raise UsageError("you may only specify a single resource type, or one name of it, to watch")
    if getting.output == "name" or getting.output in PLAIN_OUTPUTS or getting.output in ("json", "yaml"):
        with contextlib.suppress(KeyboardInterrupt):
            for line in _lines(getting, getting.selections[0]):
                print(line, flush=True)
            return 0
        return INTERRUPTED
    raise UsageError(f"get: -o {getting.output} cannot be watched; use a table, json, yaml or name")


def _lines(getting: Getting, selection: Selected) -> Iterator[str]:
    query = query_of(getting.arguments)
    where = getting.where(selection)
    if selection.names:
        name = selection.names[0]
        getting.client.get(selection.kind, where or "", name)  # its absence is an error, as in kubectl
        query = replace(query, fields=f"metadata.name={name}")
    as_table = getting.output in PLAIN_OUTPUTS
    shape = _Tables(getting, selection) if as_table else _Objects(getting)
    first = (
        getting.client.table(selection.kind, where, query)
        if as_table
        else _as_list(getting, selection, query)
    )
    if not getting.arguments.watch_only:
        yield from shape.first(first)
    query = replace(query, version=first["metadata"]["resourceVersion"])
    accept = TABLE if as_table else JSON
    for event in getting.client.watch(selection.kind, where, query, accept):
        yield from shape.next(event)


def _as_list(getting: Getting, selection: Selected, query: Query) -> dict[str, Any]:
    found = getting.client.list(selection.kind, getting.where(selection), query)
    return {"items": found.items, "metadata": {"resourceVersion": found.version}}


class _Tables:
    """Events as rows of one table."""

    def __init__(self, getting: Getting, selection: Selected) -> None:
        self._text = TableText(getting.style(selection))
        self._events = getting.arguments.output_watch_events

    def first(self, table: dict[str, Any]) -> Iterator[str]:
        yield from self._text.lines(self._with_type(table, "ADDED"))

    def next(self, event: Event) -> Iterator[str]:
        yield from self._text.lines(self._with_type(event.object, event.type))

    def _with_type(self, table: dict[str, Any], kind: str) -> dict[str, Any]:
        """With a first column that says what happened, if that is wanted."""
        if not self._events:
            return table
        column = {"name": "Event", "type": "string", "format": "", "description": "", "priority": 0}
        rows = [{**row, "cells": [kind, *row["cells"]]} for row in table.get("rows") or ()]
        definitions = table.get("columnDefinitions")
        return {**table, "rows": rows, "columnDefinitions": [column, *definitions] if definitions else None}


class _Objects:
    """Events as whole objects."""

    def __init__(self, getting: Getting) -> None:
        self._output, self._events = getting.output, getting.arguments.output_watch_events

    def first(self, listed: dict[str, Any]) -> Iterator[str]:
        for obj in listed["items"]:
            yield from self.next(Event("ADDED", obj))

    def next(self, event: Event) -> Iterator[str]:
        if self._output == "name":
            yield shown(event.object, "name")
            return
        told = {"type": event.type, "object": event.object} if self._events else event.object
        if self._output == "yaml":
            yield "---"
        yield shown(told, self._output)
