"""`testbed describe`: an object, what belongs to it and what happened to it, as kubectl tells it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from testbed.cli import common
from testbed.cli.describing import describe
from testbed.cli.describing.parts import Object
from testbed.cli.resources import selection
from testbed.cli.resources.selection import Selected
from testbed.errors import StatusError
from testbed.kube.client import Client

EXAMPLES = """examples:
  testbed describe svc web
  testbed describe node/node1
  testbed describe pods -l app=web
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "describe", help="tell all about objects", description=__doc__, epilog=EXAMPLES
    )
    common.add_name(parser)
    common.add_namespace(parser)
    selection.add_selectors(parser)
    common.add_files(parser, required=False)
    parser.add_argument("words", nargs="*", metavar="KIND[,KIND] [NAME ...] | KIND/NAME ... | all")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a page for each object; exit code 1 if something of a given name is not there."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    if arguments.filename:
        selections = selection.from_files(arguments.filename)
    else:
        selections = selection.selected(arguments.words, "describe")
    selection.check(selections, arguments)
    printed, missing = 0, 0
    for selected in selections:
        for found in _found(client, arguments, selected):
            if isinstance(found, StatusError):
                missing += 1
                print(common.told(found), file=sys.stderr)
            else:
                print(("\n\n" if printed else "") + describe(found, client))
                printed += 1
    if not printed and not missing:
        everywhere = any(selection.namespace_of(arguments, each.kind) is None for each in selections)
        print(
            "No resources found" + ("" if everywhere else f" in {arguments.namespace} namespace."),
            file=sys.stderr,
        )
    return 1 if missing else 0


def _found(
    client: Client, arguments: argparse.Namespace, selected: Selected
) -> Iterator[Object | StatusError]:
    """The objects. A name that is not there may be the beginning of names that are, as in kubectl."""
    where = selected.namespace or selection.namespace_of(arguments, selected.kind)
    if not selected.names:
        yield from client.list(selected.kind, where, selection.query_of(arguments)).items
    for name in selected.names:
        try:
            yield client.get(selected.kind, where or "", name)
        except StatusError as error:
            if error.reason != "NotFound":
                raise
            several = client.list(selected.kind, where).items
            matching = [obj for obj in several if obj["metadata"]["name"].startswith(name)]
            yield from matching or (error,)
