"""The table of pods (`printPod` in kubernetes/pkg/printers/internalversion/printers.go).

Knows how a pod's many states become the one word under STATUS.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.kube.api.tables.duration import age, since
from testbed.kube.api.tables.layout import AGE, NAME, Cells, Column, Layout
from testbed.kube.api.tables.text import NONE
from testbed.kube.store import Object

Status = Mapping[str, Any]

_ENDED = ("Succeeded", "Failed")
_CONDITIONS = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}


@dataclass(frozen=True, slots=True)
class PodSummary:
    """A pod in a few words: what READY, STATUS and RESTARTS show. `last_restart` is a time of the API."""

    ready: int
    containers: int
    reason: str
    restarts: int
    last_restart: str


def summary(pod: Object) -> PodSummary:
    """What becomes of a pod's phase, conditions and container states."""
    status = pod.get("status", {})
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if _is_sidecar(c)}
    inits: Sequence[Status] = status.get("initContainerStatuses") or ()
    initializing = _initializing(inits, sidecars, len(pod["spec"].get("initContainers") or ()))
    counted, reason, ready = inits, initializing or "", _ready_sidecars(inits, sidecars)
    if not initializing or _is_true(status, "Initialized"):
        containers: Sequence[Status] = status.get("containerStatuses") or ()
        counted = [*(c for c in inits if c["name"] in sidecars), *containers]
        reason = _running_reason(reason or _phase_reason(status), containers, status)
        ready += sum(_runs(container) for container in containers)
    return PodSummary(
        ready,
        len(pod["spec"]["containers"]) + len(sidecars),
        _ending(pod) or reason,
        sum(container.get("restartCount", 0) for container in counted),
        max(_ends(counted), default=""),
    )


def _is_sidecar(container: Mapping[str, Any]) -> bool:
    return container.get("restartPolicy") == "Always"


def _phase_reason(status: Status) -> str:
    gated = any(
        c["type"] == "PodScheduled" and c.get("reason") == "SchedulingGated" for c in _conditions(status)
    )
    return "SchedulingGated" if gated else status.get("reason") or status.get("phase", "")


def _conditions(status: Status) -> Sequence[Mapping[str, Any]]:
    return status.get("conditions") or ()


def _is_true(status: Status, condition: str) -> bool:
    return any(c["type"] == condition and c["status"] == "True" for c in _conditions(status))


def _initializing(inits: Sequence[Status], sidecars: set[str], wanted: int) -> str | None:
    """What the first init container that is not done yet tells; None if all are."""
    for number, container in enumerate(inits):
        state = container.get("state", {})
        ended, waiting = state.get("terminated"), state.get("waiting", {}).get("reason", "")
        if (ended and ended["exitCode"] == 0) or (container["name"] in sidecars and container.get("started")):
            continue
        if ended:
            return f"Init:{_end_reason(ended)}"
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{number}/{wanted}"
    return None


def _ready_sidecars(inits: Sequence[Status], sidecars: set[str]) -> int:
    """Of those up to the first init container that is not done, as the loop in `printPod` ends there."""
    ready = 0
    for container in inits:
        if container["name"] in sidecars and container.get("started"):
            ready += bool(container.get("ready"))
        elif container.get("state", {}).get("terminated", {}).get("exitCode") != 0:
            break
    return ready


def _end_reason(ended: Mapping[str, Any]) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended['exitCode']}"


def _running_reason(reason: str, containers: Sequence[Status], status: Status) -> str:
    """The trouble of the first container that has one, since the loop in `printPod` goes from the last."""
    for container in reversed(containers):
        state = container.get("state", {})
        if state.get("waiting", {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = _end_reason(state["terminated"])
    if reason == "Completed" and any(map(_runs, containers)):
        return "Running" if _is_true(status, "Ready") else "NotReady"
    return reason


def _runs(container: Status) -> bool:
    return bool(container.get("ready")) and "running" in container.get("state", {})


def _ending(pod: Object) -> str:
    status = pod.get("status", {})
    if "deletionTimestamp" not in pod["metadata"]:
        return ""
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return "" if status.get("phase") in _ENDED else "Terminating"


def _ends(containers: Iterable[Status]) -> Iterator[str]:
    for container in containers:
        end = container.get("lastState", {}).get("terminated")
        if end and end.get("finishedAt"):
            yield end["finishedAt"]


def _cells(pod: Object, now: datetime.datetime) -> Cells:
    told, status = summary(pod), pod.get("status", {})
    restarts = str(told.restarts)
    if told.restarts and told.last_restart:
        restarts += f" ({since(told.last_restart, now)} ago)"
    ips = status.get("podIPs") or [{}]
    return (
        pod["metadata"]["name"],
        f"{told.ready}/{told.containers}",
        told.reason,
        restarts,
        age(pod, now),
        ips[0].get("ip") or NONE,
        pod["spec"].get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _gates(pod),
    )


def _gates(pod: Object) -> str:
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    passed = sum(_is_true(pod.get("status", {}), gate) for gate in gates)
    return f"{passed}/{len(gates)}" if gates else NONE


def _row_conditions(pod: Object) -> Sequence[Mapping[str, str]]:
    phase = pod.get("status", {}).get("phase", "")
    if phase not in _CONDITIONS:
        return ()
    return ({"type": "Completed", "status": "True", "reason": phase, "message": _CONDITIONS[phase]},)


PODS = Layout(
    (
        NAME,
        Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
        Column("Status", description="The aggregate status of the containers in this pod."),
        Column(
            "Restarts", description="How often its containers were restarted, and when for the last time."
        ),
        AGE,
        Column("IP", description="The pod's address of its first family.", priority=1),
        Column("Node", description="The node that the pod runs on.", priority=1),
        Column("Nominated Node", description="The node that the pod waits for.", priority=1),
        Column("Readiness Gates", description="Conditions besides those of its containers.", priority=1),
    ),
    _cells,
    _row_conditions,
)
