"""`testbed delete`: end objects, by kind and name or by the files that made them."""

from __future__ import annotations

import argparse

from testbed.cli import common
from testbed.errors import UsageError
from testbed.kube.objects import kind_named


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("delete", help="end objects", description=__doc__)
    common.add_name(parser)
    common.add_files(parser, required=False)
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--grace-period", type=int, help="seconds that a pod gets to end (0: at once)")
    parser.add_argument("words", nargs="*", metavar="KIND NAME ... | KIND/NAME ...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell each object to end."""
    targets = _from_files(arguments.filename) if arguments.filename else _from_words(arguments)
    with common.client(arguments.name) as client:
        for kind, namespace, name in targets:
            client.call("delete", kind=kind, namespace=namespace, name=name, grace=arguments.grace_period)
            print(f'{kind_named(kind).singular} "{name}" deleted')
    return 0


def _from_files(paths: list[str]) -> list[tuple[str, str, str]]:
    bodies = [manifest.body for manifest in common.load_files(paths).manifests]
    return [(b["kind"], b["metadata"].get("namespace", ""), b["metadata"]["name"]) for b in reversed(bodies)]


def _from_words(arguments: argparse.Namespace) -> list[tuple[str, str, str]]:
    words: list[str] = arguments.words
    if words and all("/" in word for word in words):
        pairs = [common.split_target(word) for word in words]
    elif len(words) > 1:
        pairs = [(words[0], name) for name in words[1:]]
    else:
        raise UsageError("delete: give KIND NAME, KIND/NAME or -f FILE, e.g. testbed delete pod web-1")
    kinds = [(kind_named(kind), name) for kind, name in pairs]
    return [(kind.name, arguments.namespace if kind.namespaced else "", name) for kind, name in kinds]
