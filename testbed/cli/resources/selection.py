"""Which objects words on a command line name: `pods`, `pods,svc`, `pod web-1 web-2`, `pod/web-1 svc/web`, `all`.

Follows kubectl's resource builder. Knows words and kinds; knows nothing of what is there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.cli import common
from testbed.errors import UsageError
from testbed.kube.client import Query
from testbed.kube.client.requests import segment
from testbed.kube.objects import KINDS, Kind, kind_named

# The order in which `kubectl get all` prints.
ALL_ORDER = ("Pod", "Service", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")


@dataclass(frozen=True, slots=True)
class Selected:
    """Objects of one kind: those of these names, or all that a query finds.

    An empty namespace stands for the one that the command is about.
    """

    kind: Kind
    names: tuple[str, ...] = ()
    namespace: str = ""


def add_selectors(parser: argparse.ArgumentParser) -> None:
    """`-l`, `--field-selector` and `-A`."""
    parser.add_argument("-l", "--selector", default="", help="by labels: app=web,tier!=back,env in (a,b)")
    parser.add_argument("--field-selector", default="", help="by fields: status.phase=Running")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="in every namespace")


def namespace_of(arguments: argparse.Namespace, kind: Kind) -> str | None:
    """Where to look: None for everywhere, empty for a kind that is in no namespace."""
    if not kind.namespaced:
        return ""
    return None if getattr(arguments, "all_namespaces", False) else str(arguments.namespace)


def query_of(arguments: argparse.Namespace) -> Query:
    """The selectors that were given."""
    return Query(labels=arguments.selector, fields=arguments.field_selector)


def selected(words: Sequence[str], command: str) -> list[Selected]:
    """What the words name. Raises UsageError for words that do not go together, or name no kind."""
    if not words:
        raise UsageError(f"{command}: give KIND, KIND NAME or KIND/NAME, e.g. testbed {command} pods")
    if any("/" in word for word in words):
        return _pairs(words, command)
    kinds = [kind for word in words[0].split(",") for kind in kinds_named(word)]
    names = tuple(words[1:])
    for name in names:
        segment(name, "resource name")
    return [Selected(kind, names) for kind in kinds]


def _pairs(words: Sequence[str], command: str) -> list[Selected]:
    if not all("/" in word for word in words):
        hint = f"use {command} KIND/NAME without a kind before it, or {command} KIND NAME"
        raise UsageError(f"{command}: KIND/NAME and other words cannot be mixed; {hint}")
    found: list[Selected] = []
    for word in words:
        kind_word, name = common.split_target(word)
        kind = kind_named(kind_word)
        if found and found[-1].kind is kind:
            found[-1] = Selected(kind, (*found[-1].names, name))
        else:
            found.append(Selected(kind, (name,)))
    return found


def from_files(paths: list[str]) -> list[Selected]:
    """The objects that manifests are about, in their order. Raises ManifestErrors."""
    bodies = [manifest.body for manifest in common.load_files(paths).manifests]
    return [
        Selected(KINDS[body["kind"]], (body["metadata"]["name"],), body["metadata"].get("namespace", ""))
        for body in bodies
    ]


def kinds_named(word: str) -> list[Kind]:
    """The kinds of a word; `all` stands for several."""
    if word.lower() == "all":
        return [KINDS[name] for name in ALL_ORDER]
    return [kind_named(word)]


def check(selections: Sequence[Selected], arguments: argparse.Namespace) -> None:
    """Names and selectors exclude each other. Raises UsageError."""
    if not any(selection.names for selection in selections):
        return
    if arguments.selector:
        raise UsageError("name cannot be provided when a selector is specified")
    if arguments.field_selector:
        raise UsageError("name cannot be provided when a field selector is specified")
    if arguments.all_namespaces and any(selection.kind.namespaced for selection in selections):
        raise UsageError("a resource cannot be retrieved by name across all namespaces")


def qualified(kind: Kind) -> str:
    """The kind as kubectl names it before a slash: `service`, `deployment.apps`."""
    group = kind.api_version.rpartition("/")[0]
    return f"{kind.singular}.{group}" if group else kind.singular
