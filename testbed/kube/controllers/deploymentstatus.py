"""What a Deployment's status says: counts, Available, Progressing (deployment/sync.go, progress.go). Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.kube.controllers.metadata import condition_of, generation, seconds_of
from testbed.kube.controllers.rollout import rollout_of
from testbed.kube.store import Object

NO_DEADLINE = 2**31 - 1  # seconds; "never" in progressDeadlineSeconds
TIMED_OUT = "ProgressDeadlineExceeded"
COUNTS = ("replicas", "readyReplicas", "availableReplicas")


@dataclass(frozen=True, slots=True)
class Progress:
    """A Deployment with the set of its template, if that is there, and all its sets, at a time."""

    deployment: Object
    new: Object | None
    sets: Sequence[Object]
    now: datetime.datetime

    @property
    def stamp(self) -> str:
        """The time as the API writes it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")


def status_of(progress: Progress) -> dict[str, Any]:
    """The whole status (`calculateStatus`, `syncRolloutStatus`)."""
    deployment, old = progress.deployment, progress.deployment.get("status", {})
    total = {name: sum(each.get("status", {}).get(name, 0) for each in progress.sets) for name in COUNTS}
    wanted = sum(each["spec"].get("replicas", 1) for each in progress.sets)
    new = progress.new.get("status", {}) if progress.new is not None else {}
    counts = {
        "observedGeneration": generation(deployment),
        "replicas": total["replicas"],
        "updatedReplicas": new.get("replicas", 0),
        "readyReplicas": total["readyReplicas"],
        "availableReplicas": total["availableReplicas"],
        "unavailableReplicas": max(0, wanted - total["availableReplicas"]),
    }
    if "collisionCount" in old:
        counts["collisionCount"] = old["collisionCount"]
    conditions = [_available(deployment, total["availableReplicas"])]
    progressing = _progressing(progress, counts)
    if progressing is not None:
        conditions.append(progressing)
    kept = [c for c in old.get("conditions", ()) if c["type"] not in ("Available", "Progressing")]
    return {**counts, "conditions": [_timed(c, deployment, progress.stamp) for c in conditions] + kept}


def deadline(deployment: Object) -> float | None:
    """When a rollout under way has taken too long, in seconds since 1970; None if that cannot happen."""
    condition, seconds = condition_of(deployment, "Progressing"), _deadline_seconds(deployment)
    if condition is None or seconds is None or condition["status"] != "True":
        return None
    if condition["reason"] in ("NewReplicaSetAvailable", "DeploymentPaused"):
        return None
    return seconds_of(condition["lastUpdateTime"]) + seconds + 1  # its stamp is cut to whole seconds


def _deadline_seconds(deployment: Object) -> int | None:
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds in (None, NO_DEADLINE) else int(seconds)


def _available(deployment: Object, available: int) -> dict[str, Any]:
    """As many as the strategy never goes below."""
    rollout = rollout_of(deployment["spec"])
    good = available >= rollout.least
    return {
        "type": "Available",
        "status": "True" if good else "False",
        "reason": "MinimumReplicasAvailable" if good else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if good else 'does not have'} minimum availability.",
    }


def _progressing(progress: Progress, counts: Mapping[str, int]) -> dict[str, Any] | None:
    """Done, on its way, paused, or too long on its way; None where there is no deadline to keep."""
    deployment, old = progress.deployment, condition_of(progress.deployment, "Progressing")
    if _deadline_seconds(deployment) is None:
        return None
    name = progress.new["metadata"]["name"] if progress.new is not None else ""
    subject = f'ReplicaSet "{name}"' if name else f'Deployment "{deployment["metadata"]["name"]}"'
    if deployment["spec"].get("paused"):
        return _condition("Unknown", "DeploymentPaused", "Deployment is paused")
    if _complete(deployment, counts):
        done = f"{subject} has successfully progressed."
        return _condition("True", "NewReplicaSetAvailable", done)
    moving = _moved(deployment.get("status", {}), counts)
    late = old is not None and not moving and _late(deployment, progress.now)
    if late or (old is not None and old["reason"] == TIMED_OUT and not moving):
        return _condition("False", TIMED_OUT, f"{subject} has timed out progressing.")
    if old is not None and not moving and old["reason"] == "ReplicaSetUpdated":
        return {k: v for k, v in old.items() if k != "lastTransitionTime"}
    return _condition("True", "ReplicaSetUpdated", f"{subject} is progressing.") | {"moved": True}


def _late(deployment: Object, now: datetime.datetime) -> bool:
    at = deadline(deployment)
    return at is not None and now.timestamp() >= at


def _complete(deployment: Object, counts: Mapping[str, int]) -> bool:
    """`DeploymentComplete`."""
    replicas = deployment["spec"].get("replicas", 1)
    return all(counts[name] == replicas for name in ("updatedReplicas", "replicas", "availableReplicas"))


def _moved(old: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """`DeploymentProgressing`: more new pods, fewer old ones, more ready or available ones, or a new spec."""

    def old_pods(status: Mapping[str, Any]) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    more = any(
        counts[name] > old.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    newer = counts["observedGeneration"] != old.get("observedGeneration")
    return more or newer or old_pods(counts) < old_pods(old)


def _condition(status: str, reason: str, message: str) -> dict[str, Any]:
    return {"type": "Progressing", "status": status, "reason": reason, "message": message}


def _timed(new: Mapping[str, Any], deployment: Object, now: str) -> dict[str, Any]:
    """With both its times: of the last transition, and of the last change or movement."""
    old = condition_of(deployment, new["type"])
    plain = {k: v for k, v in new.items() if k not in ("moved", "lastUpdateTime")}
    if old is None:
        return {**plain, "lastUpdateTime": now, "lastTransitionTime": now}
    same = all(old.get(key) == value for key, value in plain.items())
    updated = old["lastUpdateTime"] if same and not new.get("moved") else now
    since = old["lastTransitionTime"] if old["status"] == new["status"] else now
    return {**plain, "lastUpdateTime": updated, "lastTransitionTime": since}
