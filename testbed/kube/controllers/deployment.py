"""Deployments to ReplicaSets (pkg/controller/deployment).

A set is called `<deployment>-<pod-template-hash>`; old ones are kept, empty, to roll back to. How many replicas
each is to have says `rollout.py`, what the status says `deploymentstatus.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testbed.kube.controllers import revisionhistory as history
from testbed.kube.controllers.deploymentstatus import Progress, deadline, status_of
from testbed.kube.controllers.events import record
from testbed.kube.controllers.metadata import controller_uid, owner_reference, short_hash
from testbed.kube.controllers.ownership import Claims
from testbed.kube.controllers.rollout import (
    Replicas,
    Rollout,
    first_size,
    grown,
    proportioned,
    rollout_of,
    shrunk,
)
from testbed.kube.controllers.timers import Timers
from testbed.kube.store import Event, EventType, Key, Object, Store, end, ended, key_of, terminating

HASH = "pod-template-hash"


class DeploymentController:
    """Scales ReplicaSets; pods are their business, but for knowing when the last old one is gone."""

    name = "deployment-controller"
    kinds = ("Deployment", "Pod", "ReplicaSet")

    def __init__(self) -> None:
        self._claims = Claims("Deployment")
        self._pods: dict[str, set[Key]] = {}  # pods that have not ended, by their set's uid
        self._timers: Timers[str] = Timers()

    def due(self) -> float | None:
        """When the next progress deadline is over."""
        return self._timers.due()

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """One look at each Deployment that is concerned."""
        for event in events:
            if event.object["kind"] == "Pod":
                self._learn_pod(store, event)
            else:
                self._claims.learn(event)
        for uid in self._timers.take(store.now().timestamp()):
            self._claims.touch(uid)
        for deployment in self._claims.concerned():
            self._sync(store, deployment)

    def _learn_pod(self, store: Store, event: Event) -> None:
        """A pod that is gone may be what Recreate waits for."""
        pod, uid = event.object, controller_uid(event.object)
        if not uid:
            return
        pods = self._pods.setdefault(uid, set())
        if event.type is not EventType.DELETED and not ended(pod):
            pods.add(key_of(pod))
            return
        pods.discard(key_of(pod))
        if not pods:
            del self._pods[uid]
            references = pod["metadata"].get("ownerReferences", ())
            name = next((r["name"] for r in references if r.get("kind") == "ReplicaSet"), "")
            replica_set = store.get("ReplicaSet", pod["metadata"]["namespace"], name)
            self._claims.touch(controller_uid(replica_set) if replica_set else "")

    def _sync(self, store: Store, deployment: Object) -> None:
        sets = sorted(self._claims.claim(store, deployment), key=history.age)
        if not terminating(deployment):
            sync = _Sync(store, self._claims, deployment, sets)
            sync.run(self._old_pods(sync.old))
            deployment, sets = sync.deployment, sync.sets
        self._write_status(store, deployment, sets)

    def _old_pods(self, old: Sequence[Object]) -> bool:
        return any(self._pods.get(each["metadata"]["uid"]) for each in old)

    def _write_status(self, store: Store, deployment: Object, sets: Sequence[Object]) -> None:
        new = history.current_set(deployment, sets)
        progress = Progress(deployment, new, sets, store.now())
        status = status_of(progress)
        written = store.update({**deployment, "status": status})
        self._claims.note_owner(written)
        self._timers.set(deployment["metadata"]["uid"], deadline(written))


class _Sync:
    """One look at one Deployment with its ReplicaSets, oldest first."""

    def __init__(self, store: Store, claims: Claims, deployment: Object, sets: list[Object]) -> None:
        self._store, self._claims = store, claims
        self.deployment, self.sets = deployment, sets
        self._rollout = rollout_of(deployment["spec"])
        self._new = history.current_set(deployment, sets)

    @property
    def old(self) -> list[Object]:
        """All sets of other templates."""
        return [each for each in self.sets if each is not self._new]

    def run(self, old_pods: bool) -> None:
        """Take the next step; the events that it makes bring the one after it."""
        if self.deployment["spec"].get("paused") or self._was_scaled():
            self._note_revision()
            self._scale_all()
        elif self._rollout.recreate:
            self._recreate(old_pods)
        else:
            self._roll()

    def _roll(self) -> None:
        new = self._ensure_new()
        if self._scale(new, grown(self._rollout, _numbers(new), self._active(self.old))):
            return
        new = self._new_or_raise()
        sizes = shrunk(self._rollout, _numbers(new), self._active(self.old))
        for each in self.old:
            self._scale(each, sizes.get(each["metadata"]["name"], _numbers(each).wanted))
        self._clean_up()

    def _recreate(self, old_pods: bool) -> None:
        scaled = [self._scale(each, 0) for each in self.old]
        if any(scaled) or old_pods:
            return
        self._scale(self._ensure_new(), self._rollout.replicas)
        self._clean_up()

    def _was_scaled(self) -> bool:
        """`isScalingEvent`: a set in use was sized for another number of replicas."""
        return any(
            _numbers(each).wanted and history.desired(each) not in (None, self._rollout.replicas)
            for each in self.sets
        )

    def _scale_all(self) -> None:
        """The new number goes to the one set in use, or to all of them in their proportions (`scale`)."""
        active = [each for each in self.sets if _numbers(each).wanted]
        if len(active) <= 1:
            chosen = active[0] if active else self._new or (self.sets[-1] if self.sets else None)
            if chosen is not None:
                self._scale(chosen, self._rollout.replicas)
            return
        if self._saturated():
            for each in self.old:
                self._scale(each, 0)
            return
        if self._rollout.recreate:
            return
        limits = {each["metadata"]["name"]: history.limit(each) for each in active}
        sizes = proportioned(self._rollout, [_numbers(each) for each in reversed(active)], limits)
        for each in active:
            self._scale(each, sizes.get(each["metadata"]["name"], _numbers(each).wanted))

    def _saturated(self) -> bool:
        """The new set has all its replicas, and all are available (`IsSaturated`)."""
        new = _numbers(self._new) if self._new is not None else None
        return new is not None and new.wanted == self._rollout.replicas <= new.available

    def _ensure_new(self) -> Object:
        """The set of the template as it is, made if there is none, with the latest revision."""
        self._note_revision()
        if self._new is None:
            self._new = self._create()
            self.sets.append(self._new)
            self._note_revision()
        return self._new_or_raise()

    def _new_or_raise(self) -> Object:
        assert self._new is not None
        return self._new

    def _create(self) -> Object:
        metadata, spec = self.deployment["metadata"], self.deployment["spec"]
        count = self.deployment.get("status", {}).get("collisionCount", 0)
        while True:
            template_hash = short_hash([spec["template"], count] if count else spec["template"], 10)
            name = f"{metadata['name']}-{template_hash}"
            if self._store.get("ReplicaSet", metadata["namespace"], name) is None:
                break
            count += 1
            status = {**self.deployment.get("status", {}), "collisionCount": count}
            self.deployment = self._store.update({**self.deployment, "status": status})
        size = first_size(self._rollout, sum(_numbers(each).wanted for each in self.sets))
        new = self._store.create(_replica_set(self.deployment, name, template_hash, size, self._rollout))
        self._claims.note(new)
        if size:
            self._tell(name, 0, size)
        return new

    def _note_revision(self) -> None:
        """The new set has the highest revision of all, and the Deployment has the same."""
        if self._new is None:
            return
        revision = max((history.revision(each) for each in self.old), default=0) + 1
        # Why it came may be told later, too.
        new = history.annotated(self._new, history.inherited(self.deployment))
        if history.revision(new) < revision:
            new = history.with_revision(new, revision)
        if new != self._new:
            self._replace(self._new, new)
        self.deployment = self._store.update(
            history.annotated(
                self.deployment, {history.REVISION: str(history.revision(self._new_or_raise()))}
            )
        )

    def _scale(self, replica_set: Object, size: int) -> bool:
        """Give a set its size; True if it had another one. The annotations tell what it was sized for."""
        before = _numbers(replica_set).wanted
        if before == size and (not size or history.sized_for(replica_set, self._rollout)):
            return False
        new = history.annotated(replica_set, history.sizes(self._rollout))
        if before != size:
            changed = {**new["metadata"], "generation": int(new["metadata"].get("generation", 1)) + 1}
            new = {**new, "metadata": changed, "spec": {**new["spec"], "replicas": size}}
            self._tell(replica_set["metadata"]["name"], before, size)
        self._replace(replica_set, new)
        return before != size

    def _replace(self, old: Object, new: Object) -> None:
        written = self._store.update(new)
        self._claims.note(written, old)
        self.sets = [written if each is old else each for each in self.sets]
        if self._new is old:
            self._new = written

    def _tell(self, name: str, before: int, size: int) -> None:
        direction = "up" if size > before else "down"
        message = f"Scaled {direction} replica set {name} from {before} to {size}"
        record(self._store, DeploymentController.name, self.deployment, "ScalingReplicaSet", message)

    def _active(self, sets: Sequence[Object]) -> list[Replicas]:
        return [_numbers(each) for each in sets if _numbers(each).wanted]

    def _clean_up(self) -> None:
        """Once all is done, drop old sets beyond revisionHistoryLimit, the oldest revisions first."""
        new, spec = _numbers(self._new_or_raise()), self.deployment["spec"]
        if self._active(self.old) or not new.wanted == new.available == self._rollout.replicas:
            return
        empty = [each for each in self.old if not each.get("status", {}).get("replicas")]
        empty = sorted((each for each in empty if not terminating(each)), key=history.revision)
        for each in empty[: max(0, len(empty) - int(spec.get("revisionHistoryLimit", 10)))]:
            end(self._store, each)
            self.sets.remove(each)


def _numbers(replica_set: Object) -> Replicas:
    status = replica_set.get("status", {})
    return Replicas(
        replica_set["metadata"]["name"],
        replica_set["spec"].get("replicas", 1),
        status.get("availableReplicas", 0),
    )


def _replica_set(
    deployment: Object, name: str, template_hash: str, size: int, rollout: Rollout
) -> dict[str, Any]:
    spec, label = deployment["spec"], {HASH: template_hash}
    template, selector = spec["template"], spec.get("selector") or {}
    given = template.get("metadata") or {}
    labels = {**(given.get("labels") or {}), **label}
    annotations = {**history.inherited(deployment), **history.sizes(rollout)}
    metadata = {
        "name": name,
        "namespace": deployment["metadata"]["namespace"],
        "labels": labels,
        "annotations": annotations,
        "ownerReferences": [owner_reference(deployment)],
        "generation": 1,
    }
    body = {
        "replicas": size,
        "minReadySeconds": spec.get("minReadySeconds", 0),
        "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **label}},
        "template": {**template, "metadata": {**given, "labels": labels}},
    }
    if not body["minReadySeconds"]:
        del body["minReadySeconds"]
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": body}
