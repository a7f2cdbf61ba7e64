"""`testbed exec`: run a program in a node, a client, a pod, or the sandbox itself."""

from __future__ import annotations

import argparse
import os

from testbed.cli import common
from testbed.cluster.rpc import Client
from testbed.errors import UsageError
from testbed.machine import sandbox

DESCRIPTION = """Run a program inside: testbed exec node1 -- iptables-save; testbed exec pod/web-1 -- sh;
testbed exec client1 -- ping 192.168.0.1; testbed exec --sandbox -- ip netns"""


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
    """Become the program: its exit code is ours, and so are its terminal and its signals."""
    target, argv = _split(arguments.words, arguments.sandbox)
    instance = sandbox.get(arguments.name)
    inside = argv
    if target:
        with Client(instance.socket) as client:
            inside = _inside(client, arguments, target, argv)
    command = instance.enter_argv() + inside
    os.execvp(command[0], command)


def _split(words: list[str], in_sandbox: bool) -> tuple[str, list[str]]:
    target = [] if in_sandbox else words[:1]
    argv = words[len(target) :]
    argv = argv[1:] if argv[:1] == ["--"] else argv
    if not argv or (not in_sandbox and target == ["--"]):
        raise UsageError("exec: give a target and a command, e.g. testbed exec node1 -- ip route")
    return (target[0] if target else ""), argv


def _inside(client: Client, arguments: argparse.Namespace, target: str, argv: list[str]) -> list[str]:
    kind, name = common.split_target(target)
    if kind in ("pod", "pods", "po"):
        told = client.call(
            "enter", namespace=arguments.namespace, name=name, container=arguments.container, argv=argv
        )
        return ["ip", "netns", "exec", told["netns"], *told["argv"]]
    network = client.call("inspect")["network"]
    places = [place["name"] for place in network["nodes"] + network["clients"]]
    if name not in places or kind not in ("", "node", "nodes", "no", "client"):
        raise UsageError(f"exec: no {target!r}; there are {', '.join(places)} and pod/NAME")
    return ["ip", "netns", "exec", name, *argv]
