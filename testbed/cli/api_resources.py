"""`testbed api-resources`: the kinds that there are, and what they are called."""

from __future__ import annotations

import argparse

from testbed.cli import common
from testbed.cli.resources.selection import qualified
from testbed.cli.table import Columns
from testbed.kube.objects import KINDS


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("api-resources", help="the kinds that there are", description=__doc__)
    parser.add_argument("-o", "--output", choices=("name",), help="print only names")
    parser.add_argument("--no-headers", action="store_true")
    common.add_choice(parser, "--namespaced", ("true", "false"), "", "only those that are, or are not")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print them, by group and name, in kubectl's columns."""
    wanted = {"": (True, False), "true": (True,), "false": (False,)}[arguments.namespaced]
    kinds = [kind for kind in KINDS.values() if kind.namespaced in wanted]
    kinds.sort(key=lambda kind: (kind.api_version.rpartition("/")[0], kind.plural))
    if arguments.output:
        print(*(qualified(kind).replace(kind.singular, kind.plural, 1) for kind in kinds), sep="\n")
        return 0
    header = [["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]]
    rows = [
        [kind.plural, ",".join(kind.short_names), kind.api_version, str(kind.namespaced).lower(), kind.name]
        for kind in kinds
    ]
    print(*Columns().lines(rows if arguments.no_headers else header + rows), sep="\n")
    return 0
