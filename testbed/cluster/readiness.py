"""When a cluster is ready: controllers quiet, every pod ready, every node's kernel at the latest objects."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from testbed.cluster.agent import WATCHED, Agent
from testbed.cluster.rpc import Progress
from testbed.errors import TestbedError
from testbed.kube.controllers import Manager
from testbed.kube.store import Object, Store

LOOK_SECONDS = 0.01  # how often the agents' progress is looked at
BEGINNINGS = ("ContainerCreating", "PodInitializing")  # of no interest by themselves
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
        latest = self._store.latest(WATCHED)
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
        told, state = 0.0, {}
        for state in self._states(timeout):
            if state["quiet"] and pods_ready(state) and state["synced"] == state["nodes"]:
                progress(state)
                return state
            if time.monotonic() - told > TELL_SECONDS:
                progress(state)
                told = time.monotonic()
        raise TestbedError(self._what_is_missing(timeout, state))

    def wait_for_pods(self, timeout: float) -> bool:
        """Wait until every pod is ready, whatever the nodes' kernels do; False after `timeout` seconds."""
        return any(pods_ready(state) for state in self._states(timeout))

    def _states(self, timeout: float) -> Iterator[dict[str, Any]]:
        """The state now and again until the time is over; counted anew only when something has changed.

        `quiet` says that nothing changed since the controllers were last at rest: a pod that has just become
        ready is not in its EndpointSlice yet, and then neither in the nodes' rules.
        """
        end, seen, state = time.monotonic() + timeout, None, dict[str, Any]()
        while True:
            before = self._store.version
            self._manager.settle(max(0.0, end - time.monotonic()))
            mark = (
                self._store.version,
                [(agent.synced_version, agent.failure) for agent in self._agents.values()],
            )
            if mark != seen:
                seen, state = mark, self.state()
            yield {**state, "quiet": self._store.version == before}
            if time.monotonic() > end:
                return
            time.sleep(LOOK_SECONDS)

    def _wanted_pods(self) -> int:
        """Pods of their own, and as many as each topmost workload wants."""
        loose = [p for p in self._store.list("Pod") if not p["metadata"].get("ownerReferences")]
        wanted = sum(
            int(obj["spec"].get("replicas", 1))
            for kind in ("Deployment", "ReplicaSet", "StatefulSet")
            for obj in self._store.list(kind)
            if not obj["metadata"].get("ownerReferences")
        )
        daemons = (each.get("status", {}) for each in self._store.list("DaemonSet"))
        wanted += sum(int(status.get("desiredNumberScheduled", 1)) for status in daemons)
        return len([p for p in loose if "deletionTimestamp" not in p["metadata"]]) + wanted

    def _what_is_missing(self, timeout: float, state: Mapping[str, Any]) -> str:
        waiting = [f"pod {_name(p)}: {_why(p)}" for p in self._store.list("Pod") if not is_ready(p)]
        lines = [f"not ready after {timeout:g} s: {state['ready']} of {state['pods']} pods"]
        lines += waiting[:10] + ([f"... and {len(waiting) - 10} more"] if len(waiting) > 10 else [])
        return "\n    ".join(lines + state["failures"])


def pods_ready(state: Mapping[str, Any]) -> bool:
    """True if as many pods are ready as there shall be."""
    return bool(state["ready"] >= state["pods"])


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
    """What the conditions say, each thing once (Ready and ContainersReady say the same), then the containers."""
    status = pod.get("status", {})
    told = [
        c.get("message") or c.get("reason", "") for c in status.get("conditions", ()) if c["status"] != "True"
    ]
    containers = (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ()))
    told += [f"{c['name']}: {trouble}" for c in containers for trouble in _troubles(c)]
    return "; ".join(filter(None, dict.fromkeys(told))) or status.get("phase", "Pending")


def _troubles(container: Mapping[str, Any]) -> Iterator[str]:
    """Why a container waits, and how it last ended if that was not well."""
    state = container.get("state", {})
    waiting = state.get("waiting")
    if waiting and (waiting["reason"] not in BEGINNINGS or waiting.get("message")):
        yield _reason(waiting)
    end = state.get("terminated") or container.get("lastState", {}).get("terminated")
    if end and end["exitCode"] != 0:
        yield _reason({**end, "reason": f"{end['reason']}, exit code {end['exitCode']}"})


def _reason(state: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (state["reason"], state.get("message", ""))))
