"""`testbed exec`: run a program in a node, a client, a pod, or the sandbox itself."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from testbed.cli import common
from testbed.cli.resources.targets import Object, pods_of
from testbed.cluster.rpc import Client
from testbed.errors import CommandFailed, NotFound, StatusError, UsageError
from testbed.machine import sandbox
from testbed.machine.enter import environment, run_inside
from testbed.machine.kernels import NATIVE

DESCRIPTION = """Run a program inside: testbed exec node1 -- iptables-save; testbed exec -it pod/web-1 -- sh;
testbed exec deploy/web -- hostname; testbed exec client1 -- ping 192.168.0.1; testbed exec --sandbox -- ip netns"""
# A node's, client's or served pod's name as its host name; the shell's `exec` has a shell's statuses, ip has not.
UNDER_ITS_NAME = 'hostname "$0" && exec "$@"'
LONGEST_HOSTNAME = 63
PLACES = ("node", "nodes", "no", "client")


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("exec", help="run a program in a node or pod", description=DESCRIPTION)
    common.add_name(parser)
    parser.add_argument("-n", "--namespace", default="default", help="the pod's Kubernetes namespace")
    parser.add_argument("-c", "--container", default="", help="the pod's container (default: the first)")
    parser.add_argument(
        "-i", "--stdin", action="store_true", help="as kubectl has it; standard input is always there"
    )
    parser.add_argument(
        "-t", "--tty", action="store_true", help="as kubectl has it; so is the terminal, if there is one"
    )
    parser.add_argument("--sandbox", action="store_true", help="in the sandbox's own namespaces, in no node")
    parser.add_argument(
        "words", nargs="*", metavar="NODE | CLIENT | [pod/]POD | deploy/NAME | svc/NAME -- COMMAND [ARG ...]"
    )
    parser.set_defaults(run=run, trailing=[])


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
    target, argv = _split([*arguments.words, *arguments.trailing], arguments.sandbox)
    instance = sandbox.get(arguments.name)
    if instance.kernel != NATIVE:
        return common.hand_over(instance)
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
    """The target and the command. `--` may stand between them, or a command without options follows at once."""
    target = [] if in_sandbox else words[:1]
    argv = words[len(target) :]
    if not argv:
        raise UsageError("exec: give a target and a command, e.g. testbed exec node1 -- ip route")
    return (target[0] if target else ""), argv


def _place(client: Client, arguments: argparse.Namespace, target: str) -> tuple[str, int | None]:
    """The network namespace of a target, and, of a container with processes of its own, one of these.

    A bare name is a node's or a client's, else a pod's.
    """
    kind, name = common.split_target(target)
    network = client.call("inspect")["network"]
    places = [place["name"] for place in network["nodes"] + network["clients"]]
    if kind in ("", *PLACES) and name in places:
        return name, None
    if kind in PLACES:
        raise UsageError(f"exec: no {target!r}; there are {', '.join(places)} and pod/NAME")
    try:
        pod = _pod(arguments, target)
    except StatusError as error:
        if kind or error.reason != "NotFound":
            raise
        raise NotFound(f"exec: no {target!r}; there are {', '.join(places)} and pod/NAME") from error
    told = client.call(
        "enter", namespace=arguments.namespace, name=pod["metadata"]["name"], container=arguments.container
    )
    return told["netns"], told["pid"]


def _pod(arguments: argparse.Namespace, target: str) -> Object:
    """The pod that is meant; a container of several is chosen aloud, as kubectl does."""
    with common.api(arguments.name) as api:
        pod = pods_of(api, arguments.namespace, target)[0]
    names = [container["name"] for container in pod["spec"]["containers"]]
    if len(names) > 1 and not arguments.container:
        print(f'Defaulted container "{names[0]}" out of: {", ".join(names)}', file=sys.stderr)
    return pod
