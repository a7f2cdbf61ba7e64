"""ReplicaSets to pods (pkg/controller/replicaset).

Pods are called `<set>-<5 characters>`. Kubernetes draws the characters at random; here they follow from namespace,
set and the pod's number in the set's life, so that equal input gives equal names. No name is given twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from testbed.kube.controllers.events import record
from testbed.kube.controllers.metadata import (
    available_at,
    condition_of,
    generation,
    pod_ready,
    seconds_of,
    short_hash,
)
from testbed.kube.controllers.ownership import Claims
from testbed.kube.controllers.podtemplate import pod_from
from testbed.kube.controllers.timers import Timers
from testbed.kube.objects import selects
from testbed.kube.store import Event, EventType, Object, Store, end, ended, terminating

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
SUFFIX = 5  # characters


class ReplicaSetController:
    """Keeps as many living pods as each set wants."""

    name = "replicaset-controller"
    kinds = ("Pod", "ReplicaSet")

    def __init__(self) -> None:
        self._claims = Claims("ReplicaSet")
        self._made: Counter[str] = Counter()  # pods made in a set's life, by its uid
        self._numbers: dict[str, int] = {}  # which one of them a pod is, by the pod's uid
        self._timers: Timers[str] = Timers()

    def due(self) -> float | None:
        """When the next pod has been ready for minReadySeconds."""
        return self._timers.due()

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """One look at each set that is concerned."""
        for event in events:
            self._claims.learn(event)
            if event.type is EventType.DELETED:
                self._made.pop(event.object["metadata"]["uid"], None)
                self._numbers.pop(event.object["metadata"]["uid"], None)
        for uid in self._timers.take(store.now().timestamp()):
            self._claims.touch(uid)
        for replica_set in self._claims.concerned():
            self._sync(store, replica_set)

    def _sync(self, store: Store, replica_set: Object) -> None:
        pods = [pod for pod in self._claims.claim(store, replica_set) if active(pod)]
        wanted = replica_set["spec"].get("replicas", 1)
        if not terminating(replica_set):
            for pod in _surplus(pods, len(pods) - wanted, self._numbers):
                pods.remove(pod)
                end(store, pod)
                record(store, self.name, replica_set, "SuccessfulDelete", f"Deleted pod: {_name(pod)}")
            pods += [self._create(store, replica_set) for _ in range(wanted - len(pods))]
        self._write_status(store, replica_set, pods)

    def _create(self, store: Store, replica_set: Object) -> Object:
        metadata = replica_set["metadata"]
        name = ""
        while not name or store.get("Pod", metadata["namespace"], name) is not None:
            self._made[metadata["uid"]] += 1
            seed = [metadata["namespace"], metadata["name"], self._made[metadata["uid"]]]
            name = f"{metadata['name'][: 252 - SUFFIX]}-{short_hash(seed, SUFFIX)}"
        pod = store.create(pod_from(replica_set, replica_set["spec"]["template"], name))
        self._claims.note(pod)
        self._numbers[pod["metadata"]["uid"]] = self._made[metadata["uid"]]
        record(store, self.name, replica_set, "SuccessfulCreate", f"Created pod: {name}")
        return pod

    def _write_status(self, store: Store, replica_set: Object, pods: Sequence[Object]) -> None:
        now, least = store.now().timestamp(), replica_set["spec"].get("minReadySeconds", 0)
        times = [at for at in (available_at(pod, least) for pod in pods) if at is not None]
        self._timers.set(replica_set["metadata"]["uid"], min((at for at in times if at > now), default=None))
        labels = replica_set["spec"]["template"].get("metadata", {}).get("labels") or {}
        status = {
            "replicas": len(pods),
            "fullyLabeledReplicas": sum(
                selects({"matchLabels": labels}, pod["metadata"].get("labels") or {}) for pod in pods
            ),
            "readyReplicas": len(times),
            "availableReplicas": sum(at <= now for at in times),
            "observedGeneration": generation(replica_set),
        }
        status = {**replica_set.get("status", {}), **status}
        self._claims.note_owner(store.update({**replica_set, "status": status}))


def active(pod: Object) -> bool:
    """True for a pod that counts: not ended, and not told to end (`FilterActivePods`)."""
    return not ended(pod) and not terminating(pod)


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _deletion_cost(pod: Object) -> int:
    """The annotation's number; what is none counts as 0 (`getDeletionCostFromPodAnnotations`)."""
    text = str((pod["metadata"].get("annotations") or {}).get(DELETION_COST, "0"))
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else 0


def _surplus(pods: Sequence[Object], count: int, numbers: Mapping[str, int]) -> list[Object]:
    """The pods to give up first (`ActivePodsWithRanks`): without node, pending, not ready, cheap to delete,
    crowded on their node, ready for the shortest time, restarted most, youngest."""
    if count <= 0:
        return []
    crowd = Counter(pod["spec"].get("nodeName", "") for pod in pods)

    def rank(pod: Object) -> tuple[Any, ...]:
        metadata, node = pod["metadata"], pod["spec"].get("nodeName", "")
        since = (condition_of(pod, "Ready") or {}).get("lastTransitionTime")
        return (
            bool(node),
            pod.get("status", {}).get("phase") == "Running",
            pod_ready(pod),
            _deletion_cost(pod),
            -crowd[node],
            -seconds_of(since) if since else 0.0,
            -sum(c["restartCount"] for c in pod.get("status", {}).get("containerStatuses", ())),
            -seconds_of(metadata["creationTimestamp"]),
            -numbers.get(metadata["uid"], 0),
        )

    return sorted(pods, key=rank)[:count]
