"""Events: what happened to an object, for `kubectl describe` and `kubectl get events`.

Knows how equal ones are counted together (client-go tools/record, by object, reason and message) and how long they
are kept. Knows no reason; those stand where things happen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from testbed.kube.controllers.metadata import seconds_of, short_hash
from testbed.kube.store import Event, EventType, Key, Object, Store, key_of, terminating

NORMAL, WARNING = "Normal", "Warning"
KEPT_SECONDS = 3600.0  # kube-apiserver --event-ttl
KEPT_IN_NAMESPACE = 1000  # ours: they lie in memory


def record(store: Store, component: str, obj: Object, reason: str, message: str) -> None:
    """Note that something normal happened to an object; a second time the same only counts it up."""
    _record(store, (component, _host(obj)), obj, (NORMAL, reason, message))


def warn(store: Store, component: str, obj: Object, reason: str, message: str) -> None:
    """Note that something is wrong with an object."""
    _record(store, (component, _host(obj)), obj, (WARNING, reason, message))


def _host(obj: Object) -> str:
    return str(obj.get("spec", {}).get("nodeName", ""))


def _record(store: Store, source: tuple[str, str], obj: Object, what: tuple[str, str, str]) -> None:
    metadata = obj["metadata"]
    namespace = metadata.get("namespace") or "default"  # events about nodes lie in default, as in Kubernetes
    home = store.get("Namespace", "", namespace)
    if home is None or terminating(home):
        return  # nothing new comes into a namespace that ends
    name = f"{metadata['name']}.{short_hash([obj['kind'], *source, *what], 16)}"
    with store.transaction():
        old = store.get("Event", namespace, name)
        if old is not None and old["involvedObject"].get("uid") == metadata.get("uid"):
            now = {"count": old.get("count", 1) + 1, "lastTimestamp": store.timestamp()}
            store.update({**old, **now})
            return
        if old is not None:
            store.delete("Event", namespace, name)  # of an object that had the name before
        store.create(_event(store, (namespace, name), source, obj, what))


def _event(
    store: Store, key: tuple[str, str], source: tuple[str, str], obj: Object, what: tuple[str, str, str]
) -> dict[str, Any]:
    now, (component, host), (kind, reason, message) = store.timestamp(), source, what
    reference = {"kind": obj["kind"], "apiVersion": obj.get("apiVersion", "v1")}
    for field in ("namespace", "name", "uid", "resourceVersion"):
        if field in obj["metadata"]:
            reference[field] = obj["metadata"][field]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": key[0], "name": key[1]},
        "involvedObject": reference,
        "reason": reason,
        "message": message,
        "source": {"component": component, **({"host": host} if host else {})},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "type": kind,
        "eventTime": None,
        "reportingComponent": component,
        "reportingInstance": host,
    }


class EventKeeper:
    """Forgets events: those an hour old, and the oldest where a namespace has too many."""

    name = "event-keeper"
    kinds = ("Event",)

    def __init__(self) -> None:
        self._rows: dict[str, deque[tuple[float, Key]]] = {}  # by namespace, in the order of their last time
        self._latest: dict[Key, float] = {}

    def due(self) -> float | None:
        """When the first one is old enough."""
        firsts = [row[0][0] for row in self._rows.values() if row]
        return min(firsts) + KEPT_SECONDS if firsts else None

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn of events, and drop what is too much."""
        for event in events:
            self._learn(event)
        old = store.now().timestamp() - KEPT_SECONDS
        for row in self._rows.values():
            living = (
                sum(self._latest.get(key) == at for at, key in row) if len(row) > KEPT_IN_NAMESPACE else 0
            )
            while row and (self._stale(row) or living > KEPT_IN_NAMESPACE or row[0][0] <= old):
                living -= not self._stale(row)
                self._drop(store, *row.popleft())

    def _learn(self, event: Event) -> None:
        key = key_of(event.object)
        if event.type is EventType.DELETED:
            self._latest.pop(key, None)
            return
        told = event.object.get("lastTimestamp") or event.object["metadata"]["creationTimestamp"]
        at = seconds_of(told)
        if self._latest.get(key) != at:
            self._latest[key] = at
            self._rows.setdefault(key[1], deque()).append((at, key))

    def _stale(self, row: deque[tuple[float, Key]]) -> bool:
        """The first entry is gone, or has a later one further down."""
        at, key = row[0]
        return self._latest.get(key) != at

    def _drop(self, store: Store, at: float, key: Key) -> None:
        if self._latest.get(key) == at:
            del self._latest[key]
            if store.get(*key) is not None:
                store.delete(*key)
