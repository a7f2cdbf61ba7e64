"""The annotations by which a Deployment and its ReplicaSets remember (deployment/util/deployment_util.go). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from testbed.kube.controllers.metadata import seconds_of
from testbed.kube.controllers.rollout import Rollout
from testbed.kube.store import Object

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_NOT_INHERITED = frozenset(
    {REVISION, HISTORY, DESIRED, MAX, LAST_APPLIED, "deprecated.deployment.rollback.to"}
)


def annotated(obj: Object, annotations: Mapping[str, str]) -> Object:
    """The object with these annotations beside its own."""
    metadata = obj["metadata"]
    return {
        **obj,
        "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **annotations}},
    }


def age(replica_set: Object) -> tuple[float, int, str]:
    """What sets are sorted by, oldest first; their times are whole seconds."""
    metadata = replica_set["metadata"]
    return seconds_of(metadata["creationTimestamp"]), revision(replica_set), metadata["name"]


def revision(obj: Object) -> int:
    """The number in the annotation; 0 if there is none."""
    text = str((obj["metadata"].get("annotations") or {}).get(REVISION, ""))
    return int(text) if text.isdecimal() else 0


def with_revision(replica_set: Object, number: int) -> Object:
    """The set with a new revision; the one before goes into its history."""
    before, annotations = revision(replica_set), replica_set["metadata"].get("annotations") or {}
    past = [part for part in (annotations.get(HISTORY, ""), str(before) if before else "") if part]
    kept = {HISTORY: ",".join(past)} if past else {}
    return annotated(replica_set, {REVISION: str(number), **kept})


def inherited(deployment: Object) -> dict[str, str]:
    """The Deployment's annotations that its sets get, too."""
    given = deployment["metadata"].get("annotations") or {}
    return {key: value for key, value in given.items() if key not in _NOT_INHERITED}


def sizes(rollout: Rollout) -> dict[str, str]:
    """What a set was sized for."""
    return {DESIRED: str(rollout.replicas), MAX: str(rollout.replicas + rollout.surge)}


def sized_for(replica_set: Object, rollout: Rollout) -> bool:
    """True if the annotations say so already."""
    annotations = replica_set["metadata"].get("annotations") or {}
    return all(annotations.get(key) == value for key, value in sizes(rollout).items())


def desired(replica_set: Object) -> int | None:
    """The Deployment's replicas when the set was last sized."""
    return _number(replica_set, DESIRED)


def limit(replica_set: Object) -> int:
    """The pods that the Deployment was allowed then; 0 if nobody noted it."""
    return _number(replica_set, MAX) or 0


def _number(replica_set: Object, key: str) -> int | None:
    text = str((replica_set["metadata"].get("annotations") or {}).get(key, ""))
    return int(text) if text.isdecimal() else None


def current_set(deployment: Object, sets: Sequence[Object]) -> Object | None:
    """The oldest set with the Deployment's template, labels of the hash apart (`FindNewReplicaSet`)."""
    wanted = _plain(deployment["spec"]["template"])
    return next((each for each in sets if _plain(each["spec"]["template"]) == wanted), None)


def _plain(template: Object) -> Object:
    metadata = template.get("metadata") or {}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != "pod-template-hash"}
    return {**template, "metadata": {**metadata, "labels": labels}}
