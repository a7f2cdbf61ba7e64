"""`testbed inspect`: which lab instances run, where their nodes stand and how their agents do."""

from __future__ import annotations

import argparse
import time
from typing import Any

from testbed.cli import common
from testbed.cli.table import table
from testbed.cluster.rpc import Client
from testbed.errors import TestbedError
from testbed.kube.api.tables.duration import human_duration
from testbed.machine import sandbox
from testbed.machine.sandbox import Instance

ANSWER_SECONDS = 20.0


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("inspect", help="show a lab instance", description=__doc__)
    common.add_name(parser)
    parser.add_argument("--all", action="store_true", help="all lab instances of yours")
    common.add_output(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one or all instances."""
    found = sandbox.instances() if arguments.all else [sandbox.get(arguments.name)]
    details = [describe(instance) for instance in found]
    if arguments.output:
        common.print_json(details if arguments.all else details[0])
    else:
        print("\n\n".join(_text(detail) for detail in details) or "no lab instance is running")
    return 0


def describe(instance: Instance) -> dict[str, Any]:
    """What the record and the daemon tell. `daemon.pid` is the daemon's process id outside."""
    try:
        with Client(instance.socket, ANSWER_SECONDS) as client:
            told: dict[str, Any] = client.call("inspect")
            told["present"] = client.call("present")
    except TestbedError as error:
        raise TestbedError(
            f"lab instance {instance.name} does not answer ({error}); see {instance.log}"
        ) from error
    own = {"pid": instance.daemon.pid, "supervisor": instance.supervisor.pid, "log": str(instance.log)}
    state = "failed" if told["failure"] else "running"
    # A guest's daemon does not know that it is in one: whoever started the guest does.
    kernel = {**told["kernel"], "kind": instance.kernel}
    return {"name": instance.name, "state": state, "daemon": own, **told, "kernel": kernel}


def _text(detail: dict[str, Any]) -> str:
    cluster, network = detail["cluster"], detail["network"]
    agents = {agent["node"]: agent for agent in detail["agents"]}
    head = (
        f"lab instance {detail['name']}: cluster {cluster['name']}, "
        f"{cluster['networking']['kube_proxy_mode']} on {detail['kernel']['kind']} kernel "
        f"{detail['kernel']['release']}, daemon pid {detail['daemon']['pid']}, "
        f"up {human_duration(time.time() - detail['started'])}"
    )
    if detail["failure"]:
        head += f"\nFAILED: {detail['failure']}; see {detail['daemon']['log']}"
    for node, held in detail["present"].items():
        if len(held) > 1:
            head += (
                f"\nWARNING: {node} holds rules of {' and of '.join(held)}: both decide over the same packets"
            )
    rows = [_row(place, "node", network, agents) for place in network["nodes"]]
    rows += [_row(place, "client", network, agents) for place in network["clients"]]
    return head + "\n" + table(("NAME", "KIND", "ADDRESSES", "PODS", "AGENT"), rows)


def _row(
    place: dict[str, Any], kind: str, network: dict[str, Any], agents: dict[str, Any]
) -> tuple[str, ...]:
    pods = sum(pod["node"] == place["name"] for pod in network["pods"]) if kind == "node" else ""
    agent = agents.get(place["name"])
    state = (agent["failure"] or f"synced at {agent['synced']}") if agent else ""
    return place["name"], kind, ",".join(place["addresses"]), str(pods), state
