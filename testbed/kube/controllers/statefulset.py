"""StatefulSets to pods called `<set>-<ordinal>` (pkg/controller/statefulset).

Which pod comes next says `ordinals.py`. There is no storage here: volumeClaimTemplates make no claims, which is
told as an event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from testbed.kube.controllers.events import record, warn
from testbed.kube.controllers.metadata import available_at, generation, pod_ready
from testbed.kube.controllers.ordinals import Member, Wish, complete, step
from testbed.kube.controllers.ownership import Claims
from testbed.kube.controllers.podtemplate import pod_from
from testbed.kube.controllers.revisions import HASH, Revisions, template_of
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.controllers.timers import Timers
from testbed.kube.store import Event, Object, Store, end, ended, terminating

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


class StatefulSetController:
    """Keeps each set's pods, by their ordinals."""

    name = "statefulset-controller"
    kinds = ("ControllerRevision", "Pod", "StatefulSet")

    def __init__(self) -> None:
        self._claims = Claims("StatefulSet", lambda owner, pod: _ordinal(owner, pod) is not None)
        self._revisions = Revisions("StatefulSet")
        self._timers: Timers[str] = Timers()

    def due(self) -> float | None:
        """When the next pod has been ready for minReadySeconds."""
        return self._timers.due()

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """One look at each set that is concerned."""
        for event in events:
            if event.object["kind"] != "ControllerRevision":
                self._claims.learn(event)
            if event.object["kind"] != "Pod":
                self._revisions.learn(event)
        for uid in self._timers.take(store.now().timestamp()):
            self._claims.touch(uid)
        for stateful_set in self._claims.concerned():
            _Sync(store, stateful_set, self._claims, self._revisions).run()
            self._timers.set(stateful_set["metadata"]["uid"], self._next_look(store, stateful_set))

    def _next_look(self, store: Store, stateful_set: Object) -> float | None:
        now, least = store.now().timestamp(), stateful_set["spec"].get("minReadySeconds", 0)
        times = (available_at(pod, least) for pod in self._claims.of(stateful_set))
        return min((at for at in times if at is not None and at > now), default=None)


class _Sync:
    """One look at one set."""

    def __init__(self, store: Store, stateful_set: Object, claims: Claims, revisions: Revisions) -> None:
        self._store, self._set, self._claims, self._revisions = store, stateful_set, claims, revisions
        self._spec = stateful_set["spec"]
        self._wish = _wish(self._spec)
        self._update = revisions.current(store, stateful_set)
        before = stateful_set.get("status", {}).get("currentRevision", "")
        self._current = revisions.named(stateful_set, before) or self._update

    def run(self) -> None:
        """Make and end pods, then tell how it stands."""
        pods = self._pods()
        if not terminating(self._set):
            todo = step(self._wish, {ordinal: self._member(pod) for ordinal, pod in pods.items()})
            for ordinal in todo.delete:
                self._end(pods[ordinal])
            for ordinal in todo.create:
                self._create(ordinal)
            if todo.create or todo.delete:
                pods = self._pods()
        self._write_status(pods)
        used = [labels_of(pod).get(HASH, "") for pod in pods.values()]
        kept = [each["metadata"]["name"] for each in (self._current, self._update)]
        self._revisions.truncate(self._store, self._set, [*used, *kept])

    def _pods(self) -> dict[int, Object]:
        found = {_ordinal(self._set, pod): pod for pod in self._claims.claim(self._store, self._set)}
        return {ordinal: pod for ordinal, pod in found.items() if ordinal is not None}

    def _member(self, pod: Object) -> Member:
        at = available_at(pod, self._spec.get("minReadySeconds", 0))
        there = at is not None and at <= self._store.now().timestamp() and not terminating(pod)
        updated = labels_of(pod).get(HASH) == self._update["metadata"]["name"]
        return Member(there, terminating(pod), ended(pod), updated)

    def _end(self, pod: Object) -> None:
        end(self._store, pod, 0 if ended(pod) else None)
        metadata, name = pod["metadata"], self._set["metadata"]["name"]
        after = self._store.get("Pod", metadata["namespace"], metadata["name"])
        if after is not None:
            self._claims.note(after, pod)
        message = f"delete Pod {metadata['name']} in StatefulSet {name} successful"
        record(self._store, StatefulSetController.name, self._set, "SuccessfulDelete", message)

    def _create(self, ordinal: int) -> None:
        set_name, namespace = self._set["metadata"]["name"], self._set["metadata"]["namespace"]
        name = f"{set_name}-{ordinal}"
        if self._store.get("Pod", namespace, name) is not None:
            message = (
                f'create Pod {name} in StatefulSet {set_name} failed error: pods "{name}" already exists'
            )
            warn(self._store, StatefulSetController.name, self._set, "FailedCreate", message)
            return
        revision = self._update if self._wish.updates(ordinal) else self._current
        labels = {POD_NAME: name, POD_INDEX: str(ordinal), HASH: revision["metadata"]["name"]}
        pod = pod_from(self._set, template_of(revision), name, labels)
        pod["spec"] |= {"hostname": name, "subdomain": self._spec.get("serviceName", "")}
        self._claims.note(self._store.create(pod))
        message = f"create Pod {name} in StatefulSet {set_name} successful"
        record(self._store, StatefulSetController.name, self._set, "SuccessfulCreate", message)
        if self._spec.get("volumeClaimTemplates"):
            claims = ", ".join(claim["metadata"]["name"] for claim in self._spec["volumeClaimTemplates"])
            message = f"there is no storage here: no claims are made for volumeClaimTemplates {claims}"
            warn(self._store, StatefulSetController.name, self._set, "VolumesIgnored", message)

    def _write_status(self, pods: Mapping[int, Object]) -> None:
        members = [self._member(pod) for pod in pods.values() if not ended(pod)]
        living = [pod for pod in pods.values() if not ended(pod)]
        done = not self._wish.on_delete and self._wish.partition == 0 and complete(self._wish, members)
        current = self._update if done else self._current
        name = current["metadata"]["name"]
        status: dict[str, Any] = {
            "observedGeneration": generation(self._set),
            "replicas": len(living),
            "readyReplicas": sum(pod_ready(pod) for pod in living),
            "availableReplicas": sum(member.available for member in members),
            "currentReplicas": sum(labels_of(pod).get(HASH) == name for pod in living),
            "updatedReplicas": sum(member.updated for member in members),
            "currentRevision": name,
            "updateRevision": self._update["metadata"]["name"],
            "collisionCount": 0,
        }
        self._current = current
        status = {**self._set.get("status", {}), **status}
        self._claims.note_owner(self._store.update({**self._set, "status": status}))


def _wish(spec: Object) -> Wish:
    strategy = spec.get("updateStrategy") or {}
    return Wish(
        replicas=spec.get("replicas", 1),
        start=(spec.get("ordinals") or {}).get("start", 0),
        parallel=spec.get("podManagementPolicy") == "Parallel",
        partition=(strategy.get("rollingUpdate") or {}).get("partition", 0),
        on_delete=strategy.get("type") == "OnDelete",
    )


def _ordinal(stateful_set: Object, pod: Object) -> int | None:
    """The pod's number in the set; None if its name is not one of the set's (`getParentNameAndOrdinal`)."""
    parent, _, number = pod["metadata"]["name"].rpartition("-")
    return int(number) if parent == stateful_set["metadata"]["name"] and number.isdecimal() else None
