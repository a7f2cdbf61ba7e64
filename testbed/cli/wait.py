"""`testbed wait`: until all pods are ready and every node's kernel obeys the latest objects."""

from __future__ import annotations

import argparse

from testbed.cli import common
from testbed.cli.progress import ReadyBar


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("wait", help="wait until everything is ready", description=__doc__)
    common.add_name(parser)
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds to wait at most")
    common.add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Wait; exit code 1 with what is missing when the time is over."""
    with common.client(arguments.name) as client, ReadyBar() as bar:
        state = client.call("wait", bar, timeout=arguments.timeout)
    if arguments.output:
        common.print_json(state)
    else:
        pods, nodes = common.counted(state["ready"], "pod"), common.counted(state["synced"], "node")
        print(f"{pods} ready, {nodes} synced")
    return 0
