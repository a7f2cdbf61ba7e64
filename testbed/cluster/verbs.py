"""What a daemon can be asked beside its Kubernetes API, which has the objects: each verb's arguments and result
are JSON (the protocol is `rpc.py`'s)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from testbed.cluster import beside
from testbed.cluster.rpc import Progress
from testbed.cluster.server import Verb
from testbed.datapaths import find
from testbed.datapaths.contract import Machine
from testbed.errors import NotFound
from testbed.machine.features import ThisMachine

if TYPE_CHECKING:
    from testbed.cluster.daemon import Daemon

NAMES = (
    "inspect", "wait", "syncs", "plan", "observe", "show", "resync", "enter",
    "datapaths", "switch", "present", "add", "remove",
)  # fmt: skip


class Verbs:
    """The verbs of one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> dict[str, Verb]:
        """Every verb by name, for the server."""
        return {name: getattr(self, f"do_{name}") for name in NAMES}

    def do_inspect(self) -> dict[str, Any]:
        """Everything about the instance that is not an object."""
        return {
            "name": self._daemon.name,
            "started": self._daemon.started,
            "kernel": {"kind": "native", "release": os.uname().release},
            "cluster": self._daemon.cluster.to_json(),
            "network": self._daemon.network.describe(),
            "failure": self._daemon.health.failure,
            "agents": [agent.describe() for agent in self._daemon.agents.values()],
            "version": self._daemon.store.version,
        }

    def do_wait(self, timeout: float, progress: Progress) -> dict[str, Any]:
        """Until every pod is ready and every node obeys the latest objects; not longer than all threads live."""

        def step(state: Mapping[str, Any]) -> None:
            self._daemon.health.check()
            progress(state)

        return self._daemon.readiness.wait(timeout, step)

    def do_syncs(self, node: str) -> list[dict[str, Any]]:
        """The timings of a node's rounds."""
        return [asdict(sync) for sync in self._daemon.agent(node).syncs]

    def do_plan(self, node: str) -> dict[str, Any]:
        """What the node must do, as data."""
        plan = self._daemon.agent(node).plan
        services = [plan.services[key] for key in sorted(plan.services)]
        return {"facts": _plain(asdict(plan.facts)), "services": _plain(services)}

    def do_observe(self, node: str) -> dict[str, Any]:
        """What the node's kernel holds."""
        agent = self._daemon.agent(node)
        seen: dict[str, Any] = _plain(asdict(agent.datapath.observe(agent.netns)))
        return seen

    def do_show(self, node: str) -> str:
        """What an operator would look at."""
        agent = self._daemon.agent(node)
        return agent.datapath.show(agent.netns)

    def do_resync(self, node: str) -> None:
        """A full pass on a node, and wait for its end."""
        self._daemon.agent(node).resync_and_wait()

    def do_datapaths(self) -> list[dict[str, Any]]:
        """Every datapath in every variant, and whether the kernel that this daemon runs on has what it needs."""
        return offered(ThisMachine())

    def do_switch(
        self, datapath: str, options: dict[str, Any], order: str, progress: Progress
    ) -> list[dict[str, Any]]:
        """Bring all nodes to another datapath; the moments of each node's move, in seconds of CLOCK_MONOTONIC.

        `order` is one of switch.ORDERS, or empty. Nobody is moved if all have that datapath with these options.
        """
        return [asdict(moved) for moved in self._daemon.switch(datapath, options, order, progress)]

    def do_present(self) -> dict[str, Any]:
        """For each node whose rules its kernel holds, whoever put them there."""
        return beside.told(self._daemon.agents, ThisMachine())

    def do_add(self, datapath: str, options: dict[str, Any]) -> None:
        """A second datapath on every node, beside the cluster's own."""
        self._daemon.add_beside(datapath, options)

    def do_remove(self, datapath: str, keep_rules: bool) -> None:
        """End the second datapath; with `keep_rules` its rules stay, and nobody follows the objects any more."""
        self._daemon.beside.remove(datapath, keep_rules=keep_rules)

    def do_enter(self, namespace: str, name: str, container: str) -> dict[str, Any]:
        """Where a container is: the pod's network namespace, and the process to join, None if it is served.

        An empty `container` means the first one.
        """
        pods = {(pod["namespace"], pod["name"]): pod for pod in self._daemon.network.describe()["pods"]}
        pod = self._daemon.store.get("Pod", namespace, name)
        if pod is None:
            raise NotFound(f'pods "{name}" not found')
        statuses = {c["name"]: c for c in pod.get("status", {}).get("containerStatuses", ())}
        if (namespace, name) not in pods or not statuses:
            raise NotFound(f"pod {namespace}/{name} is not running")
        if container and container not in statuses:
            raise NotFound(
                f"pod {namespace}/{name}: no container {container!r}; there are: {', '.join(statuses)}"
            )
        status = statuses[container or next(iter(statuses))]
        pid = status["containerID"].removeprefix("process://")
        return {"netns": pods[namespace, name]["netns"], "pid": int(pid) if pid else None}


def offered(machine: Machine) -> list[dict[str, Any]]:
    """The datapaths, each variant for itself, with what a machine lacks for it and the fix."""
    return [
        {"name": name, "options": dict(options), "missing": [asdict(lack) for lack in lacks]}
        for name in find.names()
        for options in find.choices(name)
        for lacks in [find.load(name, options).missing(machine)]
    ]


def _plain(value: Any) -> Any:
    """Addresses, networks and enums as their text, tuples with names as objects, for JSON."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    return value if isinstance(value, int | float | str | None) else str(value)
