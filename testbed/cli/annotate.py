"""`testbed annotate`: annotations of objects: set, change or remove them."""

from __future__ import annotations

import argparse

from testbed.cli import common
from testbed.cli.resources.marking import Marks, declare, mark
from testbed.kube.client import Client

MARKS = Marks("annotate", "annotations", "annotated", "annotated")


EXAMPLES = """examples:
  testbed annotate svc web service.kubernetes.io/topology-mode=Auto
  testbed annotate svc web service.kubernetes.io/topology-mode-
"""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "annotate", help="change annotations", description=__doc__, epilog=EXAMPLES
    )
    declare(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Change each object."""
    with common.api(arguments.name) as client:
        return act(client, arguments)


def act(client: Client, arguments: argparse.Namespace) -> int:
    """As `run`, with a client."""
    return mark(client, arguments, MARKS)
