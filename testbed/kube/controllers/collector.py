"""Ends what has nothing to stand on any more: dependents of objects that are gone, content of namespaces.

The garbage collector and the namespace controller of Kubernetes in one. Knows ownerReferences, deletionTimestamps
and the two finalizers by which a deletion waits for its dependents or lets them go; knows no kind but Namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from testbed.kube.objects import KINDS
from testbed.kube.store import Event, EventType, Key, Object, Store, end, finish, key_of, terminating

FOREGROUND = "foregroundDeletion"  # metav1.FinalizerDeleteDependents, for propagationPolicy Foreground
ORPHAN = "orphan"  # metav1.FinalizerOrphanDependents, for propagationPolicy Orphan


class Collector:
    """Follows uids: an object made anew under an old name owns nothing of its predecessor."""

    name = "collector"
    kinds = tuple(sorted(KINDS.keys() - {"Event"}))

    def __init__(self) -> None:
        self._alive: set[str] = set()
        self._dependents: dict[str, dict[Key, None]] = {}
        self._closing: set[str] = set()  # namespaces
        self._leaving: dict[Key, None] = {}  # objects that wait for their dependents

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn all, then look at each object whose owner went, or that has got an owner."""
        suspects: dict[Key, None] = {}
        for event in events:
            self._learn(event)
        for event in events:
            uid = event.object["metadata"]["uid"]
            if event.type is EventType.DELETED:
                suspects |= dict.fromkeys(sorted(self._dependents.get(uid, ())))
            elif event.object["metadata"].get("ownerReferences") and (
                event.old is None or [*_owners(event.old)] != [*_owners(event.object)]
            ):
                suspects[key_of(event.object)] = None
        for key in suspects:
            obj = store.get(*key)
            if obj is not None and self._orphaned(obj) and not terminating(obj):
                end(store, obj)
        for key in tuple(self._leaving):
            self._leave(store, key)
        for name in sorted(self._closing):
            _empty(store, name)

    def _learn(self, event: Event) -> None:
        obj, key, uid = event.object, key_of(event.object), event.object["metadata"]["uid"]
        gone = event.type is EventType.DELETED
        if gone:
            self._alive.discard(uid)
        else:
            self._alive.add(uid)
        if event.old is not None:
            self._forget(key, event.old)
        self._leaving.pop(key, None)
        if not gone:
            for owner in _owners(obj):
                self._dependents.setdefault(owner, {})[key] = None
            if terminating(obj) and _waits(obj):
                self._leaving[key] = None
        if obj["kind"] == "Namespace":
            self._closing.discard(key[2])
            if terminating(obj) and not gone:
                self._closing.add(key[2])

    def _forget(self, key: Key, old: Object) -> None:
        for owner in _owners(old):
            dependents = self._dependents.get(owner, {})
            dependents.pop(key, None)
            if not dependents:
                self._dependents.pop(owner, None)

    def _orphaned(self, obj: Object) -> bool:
        owners = list(_owners(obj))
        return bool(owners) and not any(owner in self._alive for owner in owners)

    def _leave(self, store: Store, key: Key) -> None:
        """One step of a deletion that concerns dependents first."""
        obj = store.get(*key)
        if obj is None:
            return
        uid, done = obj["metadata"]["uid"], True
        for dependent in [store.get(*each) for each in sorted(self._dependents.get(uid, ()))]:
            if dependent is None:
                continue
            if ORPHAN in obj["metadata"]["finalizers"]:
                store.update(_without_owner(dependent, uid))
            else:
                done = done and not _blocks(dependent, uid)
                if not terminating(dependent):
                    deeper = self._dependents.get(dependent["metadata"]["uid"])
                    end(store, dependent, finalizers=(FOREGROUND,) if deeper else ())
        if done:
            kept = [each for each in obj["metadata"]["finalizers"] if each not in (FOREGROUND, ORPHAN)]
            freed = store.update({**obj, "metadata": {**obj["metadata"], "finalizers": kept}})
            finish(store, freed)


def _owners(obj: Object) -> Iterator[str]:
    return (reference["uid"] for reference in obj["metadata"].get("ownerReferences", ()))


def _waits(obj: Object) -> bool:
    """True if its dependents come first."""
    return not {FOREGROUND, ORPHAN}.isdisjoint(obj["metadata"].get("finalizers", ()))


def _blocks(dependent: Object, uid: str) -> bool:
    """True if the owner must not go before this dependent."""
    references = dependent["metadata"].get("ownerReferences", ())
    return any(r["uid"] == uid and r.get("blockOwnerDeletion") for r in references)


def _without_owner(obj: Object, uid: str) -> Object:
    kept = [r for r in obj["metadata"].get("ownerReferences", ()) if r["uid"] != uid]
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": kept}}


def _empty(store: Store, namespace: str) -> None:
    """End everything in a namespace, and the namespace itself once nothing is left."""
    content = [obj for kind in store.kinds() for obj in store.list(kind, namespace)]
    for obj in content:
        if not terminating(obj):
            end(store, obj)
    if not any(store.list(kind, namespace) for kind in store.kinds()):
        store.delete("Namespace", "", namespace)
