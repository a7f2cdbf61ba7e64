"""When a cluster is ready: controllers quiet, every pod ready, every node's kernel at the latest objects."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from testbed.cluster.agent import WATCHED, Agent
from testbed.cluster.rpc import Progress
from testbed.errors import TestbedError
from testbed.kube.controllers import Manager
from testbed.kube.store import Object, Store

LOOK_SECONDS = 0.01  # how often the agents' progress is looked at
TELL_SECONDS = 0.1  # how often the client is told


class Readiness:
    """Answers `testbed wait`, and what `deploy` and `apply` end with."""

    def __init__(self, store: Store, manager: Manager, agents: Mapping[str, Agent]) -> None:
        self._store, self._manager, self._agents = store, manager, agents

    def state(self) -> dict[str, Any]:
        """How far it is: pods ready of pods wanted, nodes synced of nodes, and what stands in the way."""
        pods = [p for p in self._store.list("Pod") if "deletionTimestamp" not in p["metadata"]]
        wanted = self._wanted_pods()
        ready = sum(is_ready(pod) for pod in pods)
        latest = self._latest()
        synced = sum(agent.synced_version >= latest for agent in self._agents.values())
        return {
            "ready": ready,
            "pods": max(len(pods), wanted),
            "synced": synced,
            "nodes": len(self._agents),
            "failures": [agent.failure for agent in self._agents.values() if agent.failure],
        }

    def wait(self, timeout: float, progress: Progress) -> dict[str, Any]:
        """Wait up to `timeout` seconds; raises TestbedError that says what is not ready."""
        end, told = time.monotonic() + timeout, 0.0
        while True:
            self._manager.settle(max(0.0, end - time.monotonic()))
            state = self.state()
            if state["ready"] >= state["pods"] and state["synced"] == state["nodes"]:
                progress(state)
                return state
            if time.monotonic() > end:
                raise TestbedError(self._what_is_missing(timeout, state))
            if time.monotonic() - told > TELL_SECONDS:
                progress(state)
                told = time.monotonic()
            time.sleep(LOOK_SECONDS)

    def _latest(self) -> int:
        """The version of the newest object that concerns the agents."""
        versions = (obj["metadata"]["resourceVersion"] for kind in WATCHED for obj in self._store.list(kind))
        return max(map(int, versions), default=0)

    def _wanted_pods(self) -> int:
        loose = [p for p in self._store.list("Pod") if not p["metadata"].get("ownerReferences")]
        wanted = sum(int(d["spec"]["replicas"]) for d in self._store.list("Deployment"))
        return len([p for p in loose if "deletionTimestamp" not in p["metadata"]]) + wanted

    def _what_is_missing(self, timeout: float, state: Mapping[str, Any]) -> str:
        waiting = [f"pod {_name(p)}: {_why(p)}" for p in self._store.list("Pod") if not is_ready(p)]
        lines = [f"not ready after {timeout:g} s: {state['ready']} of {state['pods']} pods"]
        lines += waiting[:10] + ([f"... and {len(waiting) - 10} more"] if len(waiting) > 10 else [])
        return "\n    ".join(lines + state["failures"])


def is_ready(pod: Object) -> bool:
    """True for a pod whose Ready condition is True, and for one that has done its work."""
    status = pod.get("status", {})
    conditions = status.get("conditions", ())
    return status.get("phase") == "Succeeded" or any(
        c["type"] == "Ready" and c["status"] == "True" for c in conditions
    )


def _name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _why(pod: Object) -> str:
    status = pod.get("status", {})
    told = [
        c.get("message") or c.get("reason", "") for c in status.get("conditions", ()) if c["status"] != "True"
    ]
    return "; ".join(filter(None, told)) or status.get("phase", "Pending")
