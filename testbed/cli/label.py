"""`testbed label`: labels of objects: set, change or remove them."""

from __future__ import annotations

import argparse

from testbed.cli import common
from testbed.cli.resources.marking import Marks, declare, mark
from testbed.kube.client import Client

MARKS = Marks("label", "labels", "labeled", "unlabeled")


EXAMPLES = """examples:
  testbed label pod web-1 app=other --overwrite
  testbed label node node1 topology.kubernetes.io/zone=za
  testbed label pods --all tier-
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("label", help="change labels", description=__doc__, epilog=EXAMPLES)
    declare(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Change each object."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    return mark(client, arguments, MARKS)
