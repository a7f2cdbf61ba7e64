"""The templates that a workload has had: what `rollout history` shows and `rollout undo` goes back to.

A Deployment's are its ReplicaSets, a StatefulSet's and DaemonSet's their ControllerRevisions. Follows
k8s.io/kubectl/pkg/polymorphichelpers (history.go, rollback.go). Knows objects; prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.errors import TestbedError
from testbed.kube.client import Client

Object = Mapping[str, Any]

CAUSE = "kubernetes.io/change-cause"
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
KEPT = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        "deployment.kubernetes.io/revision-history",
        "deployment.kubernetes.io/desired-replicas",
        "deployment.kubernetes.io/max-replicas",
        "deprecated.deployment.rollback.to",
    }
)
"""Annotations of a Deployment that an undo leaves as they are (`annotationsToSkip`)."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One of them: its number, why it came (an annotation of the user's), its template and what keeps that."""

    number: int
    cause: str
    template: Object
    keeper: Object


def revisions(client: Client, obj: Object) -> list[Revision]:
    """All that are remembered of a workload, the oldest first."""
    deployment = obj["kind"] == "Deployment"
    metadata = obj["metadata"]
    kept = client.list("ReplicaSet" if deployment else "ControllerRevision", metadata["namespace"]).items
    made = _of_replica_set if deployment else _of_controller_revision
    found = [made(each) for each in kept if _controlled(each, metadata["uid"])]
    return sorted((each for each in found if each.number), key=lambda revision: revision.number)


def chosen(found: Sequence[Revision], number: int, obj: Object) -> Revision:
    """The revision of this number, or for 0 the last but one. Raises TestbedError."""
    if number:
        for each in found:
            if each.number == number:
                return each
        raise TestbedError(f"unable to find specified revision {number} in history")
    if len(found) < 2:
        kind, name = obj["kind"], obj["metadata"]["name"]
        raise TestbedError(
            f'no rollout history found for deployment "{name}"'
            if kind == "Deployment"
            else "no last revision to roll back to"
        )
    return found[-2]


def with_cause(revision: Revision) -> Object:
    """Its template, with why it came among the annotations, as kubectl shows it."""
    if not revision.cause:
        return revision.template
    metadata = revision.template.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), CAUSE: revision.cause}
    return {**revision.template, "metadata": {**metadata, "annotations": annotations}}


def undo(client: Client, obj: Object, revision: Revision) -> bool:
    """Give a workload the template of a revision; False if it has that already."""
    metadata = obj["metadata"]
    if revision.template == obj["spec"]["template"]:
        return False
    patch = [{"op": "replace", "path": "/spec/template", "value": revision.template}]
    if obj["kind"] == "Deployment":
        patch.append({"op": "add", "path": "/metadata/annotations", "value": _annotations(obj, revision)})
    client.patch(obj["kind"], metadata["namespace"], metadata["name"], patch, "json")
    return True


def _annotations(obj: Object, revision: Revision) -> dict[str, str]:
    """A ReplicaSet's annotations, the cause among them, go back with its template (`getDeploymentPatch`)."""
    own = obj["metadata"].get("annotations") or {}
    then = revision.keeper["metadata"].get("annotations") or {}
    kept = {key: value for key, value in own.items() if key in KEPT}
    return kept | {key: value for key, value in then.items() if key not in KEPT}


def _controlled(obj: Object, uid: str) -> bool:
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner["uid"] == uid for owner in owners)


def _of_replica_set(obj: Object) -> Revision:
    annotations = obj["metadata"].get("annotations") or {}
    text = annotations.get(REVISION, "")
    template = obj["spec"]["template"]
    labels = {k: v for k, v in template["metadata"]["labels"].items() if k != HASH}
    template = {**template, "metadata": {**template["metadata"], "labels": labels}}
    return Revision(int(text) if text.isdecimal() else 0, annotations.get(CAUSE, ""), template, obj)


def _of_controller_revision(obj: Object) -> Revision:
    annotations = obj["metadata"].get("annotations") or {}
    kept = obj["data"]["spec"]["template"]
    template = {key: value for key, value in kept.items() if key != "$patch"}
    return Revision(int(obj["revision"]), annotations.get(CAUSE, ""), template, obj)
