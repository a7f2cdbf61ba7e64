"""Ends what has nothing to stand on any more: dependents of objects that are gone, content of namespaces.

The garbage collector and the namespace controller of Kubernetes in one. Knows ownerReferences and
deletionTimestamps; knows no kind but Namespace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from testbed.kube.store import Event, EventType, Key, Object, Store, end, key_of, terminating


class Collector:
    """Follows uids: an object made anew under an old name owns nothing of its predecessor."""

    name = "collector"
    kinds = ("Deployment", "EndpointSlice", "Namespace", "Pod", "Service")

    def __init__(self) -> None:
        self._alive: set[str] = set()
        self._dependents: dict[str, set[Key]] = {}
        self._closing: set[str] = set()

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn all, then look at each object whose owner went, or that has an owner and is new."""
        suspects: dict[Key, None] = {}
        for event in events:
            self._learn(event)
        for event in events:
            uid = event.object["metadata"]["uid"]
            if event.type is EventType.DELETED:
                suspects |= dict.fromkeys(sorted(self._dependents.get(uid, ())))
            elif any(True for _ in _owners(event.object)):
                suspects[key_of(event.object)] = None
        for key in suspects:
            obj = store.get(*key)
            if obj is not None and self._orphaned(obj) and not terminating(obj):
                end(store, obj)
        for name in sorted(self._closing):
            _empty(store, name)

    def _learn(self, event: Event) -> None:
        obj, key, uid = event.object, key_of(event.object), event.object["metadata"]["uid"]
        gone = event.type is EventType.DELETED
        if gone:
            self._alive.discard(uid)
        else:
            self._alive.add(uid)
        for owner in _owners(obj):
            dependents = self._dependents.setdefault(owner, set())
            if gone:
                dependents.discard(key)
            else:
                dependents.add(key)
            if not dependents:
                del self._dependents[owner]
        if obj["kind"] == "Namespace":
            self._closing.discard(key[2])
            if terminating(obj) and not gone:
                self._closing.add(key[2])

    def _orphaned(self, obj: Object) -> bool:
        owners = list(_owners(obj))
        return bool(owners) and not any(owner in self._alive for owner in owners)


def _owners(obj: Object) -> Iterator[str]:
    return (reference["uid"] for reference in obj["metadata"].get("ownerReferences", ()))


def _empty(store: Store, namespace: str) -> None:
    """End everything in a namespace, and the namespace itself once nothing is left."""
    content = [obj for kind in store.kinds() for obj in store.list(kind, namespace)]
    for obj in content:
        if not terminating(obj):
            end(store, obj)
    if not any(store.list(kind, namespace) for kind in store.kinds()):
        store.delete("Namespace", "", namespace)
