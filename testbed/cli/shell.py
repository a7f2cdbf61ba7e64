"""`testbed shell`: Mininet's command line on a running lab instance."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import testbed
from testbed.cli import common
from testbed.machine import sandbox
from testbed.machine.enter import run_inside
from testbed.machine.kernels import NATIVE

DESCRIPTION = """Mininet's command line: nodes, net, dump, links, pingall, py EXPRESSION, and commands in hosts,
whose names stand for their addresses: node1 ip route; client1 ping -c1 node1; default_web-1 ip address. Reads
commands from standard input when that is no terminal. Nothing is made in the instance, and nothing removed."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("shell", help="Mininet's command line", description=DESCRIPTION)
    common.add_name(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the shell inside the sandbox."""
    instance = sandbox.get(arguments.name)
    if instance.kernel != NATIVE:
        return common.hand_over(instance)
    package = str(Path(testbed.__file__).parents[1])  # found there from any folder, installed or not
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    program = [sys.executable, "-m", "testbed.cluster.shell", str(instance.socket)]
    return run_inside(Path(f"/proc/{instance.daemon.pid}"), program, {**os.environ, "PYTHONPATH": path})
