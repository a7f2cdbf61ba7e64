"""`testbed scale`: set how many pods a Deployment, ReplicaSet or StatefulSet shall have."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from testbed.cli import common
from testbed.cli.resources import selection
from testbed.cli.resources.selection import qualified
from testbed.errors import TestbedError, UsageError
from testbed.kube.client import Client
from testbed.kube.objects import KINDS, Kind

EXAMPLES = """examples:
  testbed scale deploy/web --replicas 5
  testbed scale sts web --replicas 2 --current-replicas 3
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("scale", help="set a number of pods", description=__doc__, epilog=EXAMPLES)
    common.add_name(parser)
    common.add_namespace(parser)
    selection.add_selectors(parser)
    common.add_files(parser, required=False)
    parser.add_argument("--replicas", type=int, required=True, metavar="N", help="how many there shall be")
    parser.add_argument(
        "--current-replicas", type=int, metavar="N", help="only if there shall be so many now"
    )
    parser.add_argument("--all", action="store_true", help="all objects of the kind in the namespace")
    parser.add_argument("words", nargs="*", metavar="KIND NAME ... | KIND/NAME ...")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Change each; exit code 1 if one has another number than was expected."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    if arguments.replicas < 0:
        raise UsageError("scale: --replicas must be 0 or more")
    for kind, namespace, name in _targets(client, arguments):
        if not kind.scale:
            known = ", ".join(each.plural for each in KINDS.values() if each.scale)
            raise UsageError(f"scale: {kind.plural} have no number of replicas; those that have: {known}")
        scale = client.scale(kind, namespace, name)
        now, wanted = scale["spec"].get("replicas", 0), arguments.current_replicas
        if wanted is not None and now != wanted:
            raise TestbedError(f"Expected replicas to be {wanted}, was {now}")
        client.set_scale(kind, namespace, name, {**scale, "spec": {"replicas": arguments.replicas}})
        print(f"{qualified(kind)}/{name} scaled")
    return 0


def _targets(client: Client, arguments: argparse.Namespace) -> Iterator[tuple[Kind, str, str]]:
    if arguments.filename:
        selections = selection.from_files(arguments.filename)
    else:
        selections = selection.selected(arguments.words, "scale")
    selection.check(selections, arguments)
    for each in selections:
        where = each.namespace or selection.namespace_of(arguments, each.kind)
        if not each.names and not (arguments.all or arguments.selector or arguments.field_selector):
            raise UsageError("scale: give KIND/NAME, or a KIND with -l or --all")
        found = [] if each.names else client.list(each.kind, where, selection.query_of(arguments)).items
        yield from ((each.kind, where or "", name) for name in each.names)
        yield from (
            (each.kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]) for obj in found
        )
