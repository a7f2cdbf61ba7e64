"""`testbed get`: objects in kubectl's columns, once or as they change."""

from __future__ import annotations

import argparse

from testbed.cli import common
from testbed.cli.resources import ipvs, selection
from testbed.cli.resources.getting import Getting
from testbed.cli.resources.watching import watch
from testbed.kube.client import Client

EPILOG = """examples:
  testbed get pods -o wide                      testbed get deploy,rs,pods -l app=web
  testbed get svc web -o yaml                   testbed get pod/web-1 svc/web
  testbed get all -A                            testbed get pods --watch
  testbed get pods -o jsonpath='{.items[*].status.podIP}'
  testbed get ipvs -n node1 -o wide             (virtual and real servers of a node; without -n of all nodes)"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "get", help="show objects", description=__doc__, epilog=EPILOG,
    )  # fmt: skip
    common.add_name(parser)
    common.add_namespace(parser)
    selection.add_selectors(parser)
    common.add_files(parser, required=False)
    parser.add_argument("-o", "--output", default="", metavar="FORMAT",
                        help="wide, json, yaml, name, jsonpath=TEMPLATE")  # fmt: skip
    parser.add_argument("-w", "--watch", action="store_true", help="go on and show what changes")
    parser.add_argument("--watch-only", action="store_true", help="show only what changes from now on")
    parser.add_argument(
        "--output-watch-events", action="store_true", help="with each change what it is: ADDED, …"
    )
    parser.add_argument("--show-labels", action="store_true", help="in a last column")
    parser.add_argument(
        "-L", "--label-columns", action="append", default=[], metavar="KEY", help="a column each"
    )
    parser.add_argument("--no-headers", action="store_true")
    parser.add_argument("--sort-by", default="", metavar="PATH", help="e.g. .metadata.creationTimestamp")
    parser.add_argument(
        "--ignore-not-found", action="store_true", help="a name that is not there is no error"
    )
    parser.add_argument("words", nargs="*", metavar="KIND[,KIND] [NAME ...] | KIND/NAME ... | all")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what was asked for; exit code 1 if something of a given name is not there."""
    if arguments.words[:1] == [ipvs.WORD]:
        return ipvs.get(arguments)
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    getting = Getting(client, arguments)
    return watch(getting) if arguments.watch or arguments.watch_only else getting.show()
