"""`testbed destroy`: end a lab instance; the kernel takes everything that it was made of."""

from __future__ import annotations

import argparse
import time

from testbed.cli import common
from testbed.machine import sandbox


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("destroy", help="end a lab instance", description=__doc__)
    common.add_name(parser)
    parser.add_argument("--all", action="store_true", help="end all lab instances of yours")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """End one or all. What one that was killed has left is removed, too."""
    if not arguments.all and sandbox.tidy(arguments.name):
        print(f"lab instance {arguments.name}: had died, what it left is removed")
        return 0
    for instance in sandbox.instances() if arguments.all else [sandbox.get(arguments.name)]:
        start = time.monotonic()
        sandbox.destroy(instance)
        print(f"lab instance {instance.name}: gone in {time.monotonic() - start:.2f} s")
    return 0
