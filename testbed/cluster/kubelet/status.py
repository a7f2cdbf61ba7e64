"""A pod's status as kubelet tells it. Pure: from what is known of the containers to the JSON of the API.

Follows pkg/kubelet/kubelet_pods.go (getPhase) and pkg/kubelet/status/generate.go (conditions).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running, not yet or not again."""

    reason: str
    message: str = ""

    def json(self) -> Json:
        """As `state` and `lastState` have it."""
        return {"waiting": {"reason": self.reason, **({"message": self.message} if self.message else {})}}


@dataclass(frozen=True, slots=True)
class Running:
    """Running since."""

    started_at: str

    def json(self) -> Json:
        """As `state` and `lastState` have it."""
        return {"running": {"startedAt": self.started_at}}


@dataclass(frozen=True, slots=True)
class Terminated:
    """Ended, with the exit code that a shell would show."""

    exit_code: int
    reason: str
    started_at: str
    finished_at: str
    message: str = ""

    def json(self) -> Json:
        """As `state` and `lastState` have it."""
        fields = {"exitCode": self.exit_code, "reason": self.reason}
        message = {"message": self.message} if self.message else {}
        times = {"startedAt": self.started_at, "finishedAt": self.finished_at}
        return {"terminated": {**fields, **message, **times}}


State = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class ContainerReport:
    """What is known of a container."""

    name: str
    image: str
    state: State
    last: Terminated | None
    ready: bool
    started: bool
    restart_count: int
    container_id: str = ""
    message: str = ""  # why it is not ready, where a probe said so
    sidecar: bool = False  # an init container that stays

    def json(self) -> Json:
        """A `containerStatuses` entry."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "",
            "containerID": self.container_id,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restart_count,
            "state": self.state.json(),
            "lastState": self.last.json() if self.last else {},
        }


@dataclass(frozen=True, slots=True)
class PodReport:
    """What is known of a pod."""

    restart_policy: str
    start_time: str
    host_ips: tuple[str, ...]
    pod_ips: tuple[str, ...]
    attached: bool
    inits: tuple[ContainerReport, ...]
    containers: tuple[ContainerReport, ...]
    attach_error: str = ""  # why it has no place in the network yet


def stamp(time: datetime.datetime) -> str:
    """A time as the API writes it: RFC 3339, whole seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def pod_status(report: PodReport, previous: Mapping[str, Any], now: str) -> Json:
    """The whole status. Conditions that did not change keep their time, and those of others are kept."""
    status: Json = {"phase": phase(report), "conditions": _conditions(report, previous, now)}
    if report.host_ips:
        status["hostIP"] = report.host_ips[0]
        status["hostIPs"] = [{"ip": ip} for ip in report.host_ips]
    if report.pod_ips:
        status["podIP"] = report.pod_ips[0]
        status["podIPs"] = [{"ip": ip} for ip in report.pod_ips]
    status["startTime"] = report.start_time
    if report.inits:
        status["initContainerStatuses"] = [container.json() for container in report.inits]
    status["containerStatuses"] = [container.json() for container in report.containers]
    status["qosClass"] = "BestEffort"  # nothing is limited here
    return {**previous, **status}


def phase(report: PodReport) -> str:
    """Pending, Running, Succeeded or Failed."""
    plain = [c for c in report.inits if not c.sidecar]
    if report.restart_policy == "Never" and any(_ended(c) and not _succeeded(c) for c in plain):
        return "Failed"
    if any(not _ended(c) and not isinstance(c.state, Running) for c in report.containers):
        return "Pending"
    if any(isinstance(c.state, Running) for c in report.containers) or report.restart_policy == "Always":
        return "Running"
    if all(_succeeded(c) for c in report.containers):
        return "Succeeded"
    return "Failed" if report.restart_policy == "Never" else "Running"


def _ended(container: ContainerReport) -> bool:
    """True for one that ended at least once and does not run now."""
    waits = isinstance(container.state, Waiting) and container.last is not None
    return waits or isinstance(container.state, Terminated)


def _initialized(container: ContainerReport) -> bool:
    return container.started if container.sidecar else _succeeded(container)


def _succeeded(container: ContainerReport) -> bool:
    end = container.state if isinstance(container.state, Terminated) else container.last
    return not isinstance(container.state, Running) and end is not None and end.exit_code == 0


def _conditions(report: PodReport, previous: Mapping[str, Any], now: str) -> list[Json]:
    """Kubelet's conditions in its order; a scheduler's PodScheduled is taken over."""
    old = {condition["type"]: condition for condition in previous.get("conditions", ())}
    completed = phase(report) == "Succeeded"
    initialized = _condition(
        "Initialized",
        _unready((c for c in report.inits if not _initialized(c)), "ContainersNotInitialized", "incomplete"),
    )
    lasting = (*report.containers, *(c for c in report.inits if c.sidecar))
    broken = _unready((c for c in lasting if not c.ready), "ContainersNotReady", "unready")
    broken = {"reason": "PodCompleted"} if completed else broken
    # Kubelet tells this as an event; there are none here.
    sandbox = (
        {"reason": "FailedCreatePodSandBox", "message": report.attach_error} if report.attach_error else {}
    )
    ours = [
        _condition("PodReadyToStartContainers", None if report.attached else sandbox),
        initialized,
        _condition("Ready", broken),
        _condition("ContainersReady", broken),
    ]
    if "PodScheduled" not in old:
        ours.append(_condition("PodScheduled", None))
    types = {condition["type"] for condition in ours}
    theirs = [condition for kind, condition in old.items() if kind not in types]
    return [_timed(condition, old.get(condition["type"]), now) for condition in ours] + theirs


def _condition(kind: str, trouble: Mapping[str, str] | None) -> Json:
    return {"type": kind, "status": "True" if trouble is None else "False", **(trouble or {})}


def _unready(culprits: Iterable[ContainerReport], reason: str, what: str) -> dict[str, str] | None:
    """Reason and message for containers that are not as they should be; None if there is none."""
    found: Sequence[ContainerReport] = tuple(culprits)
    if not found:
        return None
    told = (f"{c.name}: {c.message}" for c in found if c.message)
    names = " ".join(c.name for c in found)
    return {"reason": reason, "message": "; ".join([f"containers with {what} status: [{names}]", *told])}


def _timed(new: Json, old: Mapping[str, Any] | None, now: str) -> Json:
    """With the time of its last transition."""
    kept = old is not None and old["status"] == new["status"]
    time = old.get("lastTransitionTime", now) if old is not None and kept else now
    return {**new, "lastProbeTime": None, "lastTransitionTime": time}
