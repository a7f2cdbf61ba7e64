"""Deployments to pods, named `web-1`, `web-2`, … (the deployment and the replica set controller in one).

The names are our deliberate difference: Kubernetes draws them at random, here equal input gives equal names.
A template's pods are told from those of an earlier one by the label pod-template-hash, as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testbed.kube.controllers.metadata import (
    controller_uid,
    owner_reference,
    pod_ready,
    short_hash,
    with_condition,
)
from testbed.kube.controllers.rollout import Member, Step, least_ready, step
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.objects import defaulted
from testbed.kube.store import Event, EventType, Key, Object, Store, end, ended, key_of, terminating

HASH = "pod-template-hash"


class DeploymentController:
    """Keeps each Deployment's pods by its uid."""

    name = "deployment"
    kinds = ("Deployment", "Pod")

    def __init__(self) -> None:
        self._deployments: dict[str, Object] = {}
        self._pods: dict[str, dict[Key, Object]] = {}

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """One step for each Deployment that is concerned."""
        concerned = dict.fromkeys(self._learn(event) for event in events)
        for uid in concerned:
            if uid in self._deployments:
                self._reconcile(store, self._deployments[uid])

    def _learn(self, event: Event) -> str:
        """Take note; returns the uid of the Deployment concerned, empty for a pod that has none."""
        obj, gone = event.object, event.type is EventType.DELETED
        if obj["kind"] == "Deployment":
            uid = str(obj["metadata"]["uid"])
            self._deployments.pop(uid, None)
            if not gone:
                self._deployments[uid] = obj
            return uid
        uid = controller_uid(obj)
        if uid:
            pods = self._pods.setdefault(uid, {})
            pods.pop(key_of(obj), None)
            if not gone:
                pods[key_of(obj)] = obj
            elif not pods:
                del self._pods[uid]
        return uid

    def _reconcile(self, store: Store, deployment: Object) -> None:
        spec = deployment["spec"]
        wanted_hash = short_hash(spec["template"], 10)
        members: dict[str, Member] = {}
        for pod in self._pods.get(deployment["metadata"]["uid"], {}).values():
            if ended(pod):
                end(store, pod, 0)
            elif not terminating(pod):
                members[pod["metadata"]["name"]] = _member(pod, wanted_hash)
        todo = step(spec.get("replicas", 1), spec.get("strategy") or {}, list(members.values()))
        created = self._carry_out(store, deployment, todo, wanted_hash)
        for member in todo.remove:
            del members[member.name]
        _write_status(store, deployment, [*members.values(), *created])

    def _carry_out(self, store: Store, deployment: Object, todo: Step, template_hash: str) -> list[Member]:
        namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
        for member in todo.remove:
            pod = store.get("Pod", namespace, member.name)
            if pod is not None:
                end(store, pod)
        created: list[Member] = []
        ordinal = 0
        while len(created) < todo.create:
            ordinal += 1
            if store.get("Pod", namespace, f"{name}-{ordinal}") is None:
                pod = store.create(defaulted(_pod(deployment, f"{name}-{ordinal}", template_hash)))
                created.append(_member(pod, template_hash))
        return created


def _member(pod: Object, wanted_hash: str) -> Member:
    name = pod["metadata"]["name"]
    ordinal = name.rpartition("-")[2]
    current = labels_of(pod).get(HASH) == wanted_hash
    return Member(name, int(ordinal) if ordinal.isdecimal() else 0, current, pod_ready(pod))


def _pod(deployment: Object, name: str, template_hash: str) -> dict[str, Any]:
    template = deployment["spec"]["template"]
    given = template.get("metadata") or {}
    metadata = {
        "name": name,
        "namespace": deployment["metadata"]["namespace"],
        "labels": {**(given.get("labels") or {}), HASH: template_hash},
        "ownerReferences": [owner_reference(deployment)],
    }
    if given.get("annotations"):
        metadata["annotations"] = given["annotations"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template["spec"],
        "status": {"phase": "Pending"},
    }


def _write_status(store: Store, deployment: Object, members: Sequence[Member]) -> None:
    replicas = deployment["spec"].get("replicas", 1)
    ready = sum(member.ready for member in members)
    counts = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": len(members),
        "updatedReplicas": sum(member.current for member in members),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, replicas - ready),
    }
    conditions = deployment.get("status", {}).get("conditions", ())
    for condition in (_available(deployment, replicas, ready), _progressing(deployment, members)):
        conditions = with_condition(conditions, condition, store.timestamp())
    store.update({**deployment, "status": {**counts, "conditions": conditions}})


def _available(deployment: Object, replicas: int, ready: int) -> dict[str, str]:
    """Available, in the words of deployment/sync.go: as many as the strategy never goes below."""
    good = ready >= least_ready(replicas, deployment["spec"].get("strategy") or {})
    return {
        "type": "Available",
        "status": "True" if good else "False",
        "reason": "MinimumReplicasAvailable" if good else "MinimumReplicasUnavailable",
        "message": f"Deployment {'has' if good else 'does not have'} minimum availability.",
    }


def _progressing(deployment: Object, members: Sequence[Member]) -> dict[str, str]:
    """Progressing, in the words of deployment/progress.go, without its deadline."""
    replicas, name = deployment["spec"].get("replicas", 1), deployment["metadata"]["name"]
    done = len(members) == replicas and all(member.current and member.ready for member in members)
    return {
        "type": "Progressing",
        "status": "True",
        "reason": "NewReplicaSetAvailable" if done else "ReplicaSetUpdated",
        "message": f'Deployment "{name}" ' + ("has successfully progressed." if done else "is progressing."),
    }
