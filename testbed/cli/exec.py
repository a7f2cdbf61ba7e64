"""`testbed exec`: run a program in a node, a client, a pod, or the sandbox itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from testbed.cli import common
from testbed.cluster.rpc import Client
from testbed.errors import CommandFailed, UsageError
from testbed.machine import sandbox
from testbed.machine.enter import environment, run_inside

DESCRIPTION = """Run a program inside: testbed exec node1 -- iptables-save; testbed exec pod/web-1 -- sh;
testbed exec client1 -- ping 192.168.0.1; testbed exec --sandbox -- ip netns"""
# A node's, client's or served pod's name as its host name; the shell's `exec` has a shell's statuses, ip has not.
UNDER_ITS_NAME = 'hostname "$0" && exec "$@"'
LONGEST_HOSTNAME = 63


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("exec", help="run a program in a node or pod", description=DESCRIPTION)
    common.add_name(parser)
    parser.add_argument("-n", "--namespace", default="default", help="the pod's Kubernetes namespace")
    parser.add_argument("-c", "--container", default="", help="the pod's container (default: the first)")
    parser.add_argument("--sandbox", action="store_true", help="in the sandbox's own namespaces, in no node")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="TARGET -- COMMAND [ARG ...]")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the program: its exit code is ours, and so are its terminal and its signals.

    As in a shell, 127 says that there is no such program, 126 that it cannot be run.
    """
    try:
        return _run(arguments)
    except CommandFailed as error:
        print(f"testbed: {error}", file=sys.stderr)
        return error.status


def _run(arguments: argparse.Namespace) -> int:
    target, argv = _split(arguments.words, arguments.sandbox)
    instance = sandbox.get(arguments.name)
    daemon = Path(f"/proc/{instance.daemon.pid}")
    if not target:
        return run_inside(daemon, argv)
    with Client(instance.socket) as client:
        netns, pid = _place(client, arguments, target)
    if pid is None:
        named = ["unshare", "--uts", "sh", "-c", UNDER_ITS_NAME, netns.rpartition("_")[2][:LONGEST_HOSTNAME]]
        return run_inside(daemon, ["ip", "netns", "exec", netns, *named, *argv])
    container = daemon / f"root/proc/{pid}"  # the sandbox's own /proc, which has its own numbers
    return run_inside(container, argv, environment(container))


def _split(words: list[str], in_sandbox: bool) -> tuple[str, list[str]]:
    target = [] if in_sandbox else words[:1]
    argv = words[len(target) :]
    argv = argv[1:] if argv[:1] == ["--"] else argv
    if not argv or (not in_sandbox and target == ["--"]):
        raise UsageError("exec: give a target and a command, e.g. testbed exec node1 -- ip route")
    return (target[0] if target else ""), argv


def _place(client: Client, arguments: argparse.Namespace, target: str) -> tuple[str, int | None]:
    """The network namespace of a target, and, of a container with processes of its own, one of these."""
    kind, name = common.split_target(target)
    if kind in ("pod", "pods", "po"):
        told = client.call("enter", namespace=arguments.namespace, name=name, container=arguments.container)
        return told["netns"], told["pid"]
    network = client.call("inspect")["network"]
    places = [place["name"] for place in network["nodes"] + network["clients"]]
    if name not in places or kind not in ("", "node", "nodes", "no", "client"):
        raise UsageError(f"exec: no {target!r}; there are {', '.join(places)} and pod/NAME")
    return name, None
