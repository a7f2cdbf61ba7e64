"""`testbed delete`: end objects, by kind and name or by the files that made them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence, Set

from testbed.cli import common
from testbed.cluster.rpc import Client
from testbed.errors import TestbedError, UsageError
from testbed.kube.objects import kind_named

LOOK_SECONDS = 0.02  # how often it is looked whether the objects are gone
Target = tuple[str, str, str]
"""What names an object: its kind, namespace and name."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("delete", help="end objects", description=__doc__)
    common.add_name(parser)
    common.add_files(parser, required=False)
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--grace-period", type=int, help="seconds that a pod gets to end (0: at once)")
    parser.add_argument(
        "--wait", choices=("true", "false"), default="true",
        help="until the objects are gone (default: true)",
    )  # fmt: skip
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to wait at most")
    parser.add_argument("words", nargs="*", metavar="KIND NAME ... | KIND/NAME ...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tell each object to end, then wait until they are gone; exit code 1 with what is left after the timeout."""
    targets = _from_files(arguments.filename) if arguments.filename else _from_words(arguments)
    with common.client(arguments.name) as client:
        leaving = []
        for target in targets:
            kind, namespace, name = target
            uid = client.call(
                "delete", kind=kind, namespace=namespace, name=name, grace=arguments.grace_period
            )
            leaving.append((target, uid))
            print(f'{kind_named(kind).singular} "{name}" deleted', flush=True)
        if arguments.wait == "true":
            _await_end(client, leaving, arguments.timeout)
    return 0


def _await_end(client: Client, leaving: Sequence[tuple[Target, str]], timeout: float) -> None:
    """Like kubectl, which waits for the uid: a new object of the same name may be there already."""
    end = time.monotonic() + timeout
    while True:
        there = _uids(client, {target[:2] for target, _ in leaving})
        left = [f"{kind} {name}" for (kind, _, name), uid in leaving if uid in there]
        if not left:
            return
        if time.monotonic() > end:
            raise TestbedError(f"not gone after {timeout:g} s: {', '.join(left)}")
        time.sleep(LOOK_SECONDS)


def _uids(client: Client, places: Set[tuple[str, str]]) -> set[str]:
    """The uids of all objects of some kinds in some namespaces."""
    found = [client.call("get", kind=kind, namespace=namespace) for kind, namespace in places]
    return {obj["metadata"]["uid"] for objects in found for obj in objects}


def _from_files(paths: list[str]) -> list[Target]:
    bodies = [manifest.body for manifest in common.load_files(paths).manifests]
    return [(b["kind"], b["metadata"].get("namespace", ""), b["metadata"]["name"]) for b in reversed(bodies)]


def _from_words(arguments: argparse.Namespace) -> list[Target]:
    words: list[str] = arguments.words
    if words and all("/" in word for word in words):
        pairs = [common.split_target(word) for word in words]
    elif len(words) > 1:
        pairs = [(words[0], name) for name in words[1:]]
    else:
        raise UsageError("delete: give KIND NAME, KIND/NAME or -f FILE, e.g. testbed delete pod web-1")
    kinds = [(kind_named(kind), name) for kind, name in pairs]
    return [(kind.name, arguments.namespace if kind.namespaced else "", name) for kind, name in kinds]
