"""A Table of the API as text."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.cli.resources.tables import Style, TableText, plain

DEFINITIONS = [
    {"name": "Name", "type": "string", "format": "name", "priority": 0},
    {"name": "Ready", "type": "integer", "format": "", "priority": 0},
    {"name": "Node", "type": "string", "format": "", "priority": 1},
]


def table(*rows: tuple[str, Any, str], **metadata: Any) -> dict[str, Any]:
    partial = {"metadata": {"namespace": "blue", **metadata}}
    return {"columnDefinitions": DEFINITIONS, "rows": [{"cells": list(r), "object": partial} for r in rows]}


@pytest.mark.parametrize(
    ("style", "lines"),
    [
        (Style(), ["NAME   READY", "web    1"]),
        (Style(wide=True), ["NAME   READY   NODE", "web    1       node1"]),
        (Style(headers=False), ["web   1"]),
        (Style(namespaces=True), ["NAMESPACE   NAME   READY", "blue        web    1"]),
        (Style(labels=True), ["NAME   READY   LABELS", "web    1       app=web,tier=front"]),
        (
            Style(label_columns=("tier", "k8s.io/app")),
            ["NAME   READY   TIER    APP", "web    1       front   <none>"],
        ),
        (Style(prefix="pod"), ["NAME      READY", "pod/web   1"]),
    ],
)  # fmt: skip
def test_a_table_in_a_style(style: Style, lines: list[str]) -> None:
    seen = table(("web", 1, "node1"), labels={"tier": "front", "app": "web"})
    assert TableText(style).lines(seen) == lines


def test_without_rows_there_are_no_headers() -> None:
    assert TableText(Style()).lines(table()) == []


def test_a_watch_goes_on_under_the_same_headers() -> None:
    text = TableText(Style())
    assert text.lines(table(("a-long-name", 1, ""))) == ["NAME          READY", "a-long-name   1"]
    assert text.lines({"columnDefinitions": None, **{"rows": table(("b", 0, ""))["rows"]}}) == [
        "b             0"
    ]


def test_headers_come_with_the_first_row() -> None:
    text = TableText(Style())
    text.lines(table())
    assert text.lines(table(("b", 0, "")))[0] == "NAME   READY"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("one", "one"), ("one\ntwo", "one..."), ("a\x1b[31mred", "a^[[31mred"), ("", ""), ("\r", "...")],
)
def test_a_cell_is_one_line_and_harmless(text: str, shown: str) -> None:
    assert plain(text) == shown
