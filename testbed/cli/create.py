"""`testbed create`: new objects, from files, or a namespace by its name; what is there already is an error."""

from __future__ import annotations

import argparse
import sys

from testbed.cli import common
from testbed.cli.resources.selection import qualified
from testbed.errors import StatusError, UsageError
from testbed.kube.client import Client
from testbed.kube.objects import KINDS

DRY_RUNS = {"none": "", "client": " (dry run)", "server": " (server dry run)"}


EXAMPLES = """examples:
  testbed create -f pod.yaml
  testbed create namespace blue
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("create", help="new objects", description=__doc__, epilog=EXAMPLES)
    common.add_name(parser)
    common.add_files(parser, required=False)
    common.add_choice(parser, "--dry-run", tuple(DRY_RUNS), "none", "only say what would be created")
    parser.add_argument("words", nargs="*", metavar="namespace NAME")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Create each; exit code 1 if one could not be."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    failed = 0
    for body in _bodies(arguments):
        try:
            made = client.create(body, dry_run=arguments.dry_run != "none")
            print(
                f"{qualified(KINDS[made['kind']])}/{made['metadata']['name']} created{DRY_RUNS[arguments.dry_run]}"
            )
        except StatusError as error:
            failed += 1
            print(common.told(error), file=sys.stderr)
    return 1 if failed else 0


def _bodies(arguments: argparse.Namespace) -> list[dict[str, object]]:
    if bool(arguments.filename) == bool(arguments.words):
        raise UsageError("create: give -f FILE, or namespace NAME; other objects: testbed apply -f FILE")
    if arguments.filename:
        return [dict(manifest.body) for manifest in common.load_files(arguments.filename).manifests]
    kind, *names = arguments.words
    if kind not in ("namespace", "ns") or len(names) != 1:
        raise UsageError("create: only a namespace can be created by its name: testbed create namespace NAME")
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names[0]}}]
