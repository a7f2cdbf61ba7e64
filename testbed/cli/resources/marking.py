"""Setting and removing labels or annotations: what `label` and `annotate` have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.cli import common
from testbed.cli.resources import selection
from testbed.cli.resources.selection import qualified
from testbed.errors import TestbedError, UsageError
from testbed.kube.client import Client
from testbed.kube.objects import Kind


@dataclass(frozen=True, slots=True)
class Marks:
    """`field` of the metadata, and the words for what was done: `labeled`, `annotated`."""

    command: str
    field: str
    done: str
    undone: str


def declare(parser: argparse.ArgumentParser) -> None:
    """The options of both commands."""
    common.add_name(parser)
    common.add_namespace(parser)
    selection.add_selectors(parser)
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    parser.add_argument("--overwrite", action="store_true", help="change what has another value")
    parser.add_argument("words", nargs="+", metavar="KIND NAME ... | KIND/NAME ... KEY=VALUE ... KEY- ...")


def mark(client: Client, arguments: argparse.Namespace, marks: Marks) -> int:
    """Change each object; raises TestbedError for a value that is there and shall not be overwritten."""
    words, changes = _parted(arguments.words, marks)
    selections = selection.selected(words, marks.command)
    selection.check(selections, arguments)
    for each in selections:
        if not each.names and not (arguments.all or arguments.selector or arguments.field_selector):
            raise UsageError(f"{marks.command}: give names, -l or --all")
        where = selection.namespace_of(arguments, each.kind)
        if each.names:
            objects = [client.get(each.kind, where or "", name) for name in each.names]
        else:
            objects = client.list(each.kind, where, selection.query_of(arguments)).items
        for obj in objects:
            _change(
                client,
                each.kind,
                obj,
                changes,
                marks if arguments.overwrite else _careful(obj, changes, marks),
            )
    return 0


def _parted(words: Sequence[str], marks: Marks) -> tuple[list[str], dict[str, str | None]]:
    """What is meant, and what is to be set, or with None removed."""
    first = next((i for i, word in enumerate(words) if "=" in word or word.endswith("-")), len(words))
    changes: dict[str, str | None] = {}
    for word in words[first:]:
        key, equals, value = word.partition("=")
        if not equals and not word.endswith("-"):
            raise UsageError(f"{marks.command}: {word!r}: all resources must be specified before the changes")
        changes[key if equals else word[:-1]] = value if equals else None
    if not changes:
        raise UsageError(f"{marks.command}: give at least one KEY=VALUE or KEY-")
    return list(words[:first]), changes


def _careful(obj: Mapping[str, Any], changes: Mapping[str, str | None], marks: Marks) -> Marks:
    now = obj["metadata"].get(marks.field) or {}
    for key, value in changes.items():
        if value is not None and now.get(key, value) != value:
            raise TestbedError(f"'{key}' already has a value ({now[key]}), and --overwrite is false")
    return marks


def _change(
    client: Client, kind: Kind, obj: Mapping[str, Any], changes: Mapping[str, str | None], marks: Marks
) -> None:
    metadata = obj["metadata"]
    now = metadata.get(marks.field) or {}
    name = f"{qualified(kind)}/{metadata['name']}"
    if all(now.get(key) == value for key, value in changes.items()):
        print(f"{name} not {marks.done}")
        return
    patch = {"metadata": {marks.field: dict(changes)}}
    client.patch(kind, metadata.get("namespace", ""), metadata["name"], patch, "merge")
    only_removed = all(value is None for value in changes.values())
    print(f"{name} {marks.undone if only_removed else marks.done}")
