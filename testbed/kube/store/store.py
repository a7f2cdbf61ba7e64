"""Versioned objects with watch: what an API server and its etcd are to a cluster.

Objects are plain Kubernetes JSON (dicts), and a dict that has been handed in or out is never changed again: a
new version is a new dict. So readers need no copies and no locks. Knows keys and versions; knows nothing of
what the objects mean (that is `kube.api` for admission, `kube.controllers` for consequences).
"""

from __future__ import annotations

import contextlib
import datetime
import enum
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.errors import Conflict, Expired, NotFound

Object = Mapping[str, Any]
Key = tuple[str, str, str]  # kind, namespace (empty for cluster-wide kinds), name

REMEMBERED = 8192  # events; a real API server forgets after five minutes


class EventType(enum.StrEnum):
    """What happened to an object (the API's watch events)."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Event:
    """One change: `object` as it is now (for DELETED: as it was last), `old` as it was before.

    `version` is the store's at the change: the object's own resourceVersion, but for DELETED a later one.
    """

    type: EventType
    object: Object
    old: Object | None = None
    version: int = 0


def key_of(obj: Object) -> Key:
    """The object's place in the store."""
    metadata = obj["metadata"]
    return obj["kind"], metadata.get("namespace", ""), metadata["name"]


class Watch:
    """A queue of events for some kinds, in the order of the changes. Close it, or use it with `with`.

    One with a `limit` is cut off when more events than that lie in it and more come: it is `overrun` then,
    holds nothing and gets nothing any more.
    """

    def __init__(self, store: Store, kinds: frozenset[str], limit: int = 0) -> None:
        self._store, self.kinds, self._limit = store, kinds, limit
        self.overrun = False
        self._events: deque[Event] = deque()
        self._ready = threading.Condition()
        self._closed = False
        self._poked = False

    def put(self, events: Iterable[Event]) -> None:
        """Called by the store, under its lock. The events arrive together: no `drain` parts them."""
        with self._ready:
            if self._limit and len(self._events) > self._limit:
                self.overrun = True
                self._events.clear()
            if not self.overrun:
                self._events.extend(events)
            self._ready.notify()

    def poke(self) -> None:
        """Wake a waiting `drain` without an event (a timer, or a stop flag, has something to say)."""
        with self._ready:
            self._poked = True
            self._ready.notify()

    def drain(self, timeout: float | None = 0.0) -> list[Event]:
        """Every event so far; waits up to `timeout` seconds (None: for ever) for the first one or a poke."""
        with self._ready:
            if timeout != 0.0:
                self._ready.wait_for(
                    lambda: self._events or self._closed or self._poked or self.overrun, timeout
                )
            self._poked = False
            events = list(self._events)
            self._events.clear()
            return events

    @property
    def waiting(self) -> int:
        """How many events `drain` would give at this moment."""
        return len(self._events)

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Stop receiving; a waiting `drain` returns at once."""
        self._store.unwatch(self)
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Store:
    """All objects of a lab instance, each with a resourceVersion from one counter.

    The latest `remembered` events are kept, for watches that go on from a version and for lists of the past.
    """

    def __init__(
        self, now: Callable[[], datetime.datetime] | None = None, remembered: int = REMEMBERED
    ) -> None:
        self._lock = threading.RLock()
        self._kinds: dict[str, dict[tuple[str, str], Object]] = {}
        self._watches: list[Watch] = []
        self._version = 0
        self._latest: dict[str, int] = {}
        self._depth = 0  # of transactions; events wait in _untold until the outermost ends
        self._untold: list[Event] = []
        self._past: deque[Event] = deque()
        self._remembered, self._forgotten = (
            remembered,
            0,
        )  # the version of the latest event that is not in _past
        self._now = now or (lambda: datetime.datetime.now(datetime.UTC))
        self._second: tuple[int, str] = (-1, "")  # the latest timestamp: thousands of objects share one

    @property
    def version(self) -> int:
        """The resourceVersion of the latest change."""
        return self._version

    def latest(self, kinds: Iterable[str]) -> int:
        """The version of the latest change to any object of these kinds, deletions included."""
        with self._lock:
            return max((self._latest.get(kind, 0) for kind in kinds), default=0)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """For a caller whose reads and writes must not be parted: `with store.transaction():`.

        Nobody reads in between, and watches get all its events together at the end of the outermost one.
        There is no way back: what was written before an exception stays, and is told.
        """
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._tell()

    def now(self) -> datetime.datetime:
        """The store's clock, UTC."""
        return self._now()

    def timestamp(self, later_seconds: int = 0) -> str:
        """The store's clock in Kubernetes' notation (RFC 3339, whole seconds, UTC)."""
        second = int(self._now().timestamp()) + later_seconds
        known, text = self._second
        if known != second:
            text = datetime.datetime.fromtimestamp(second, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            self._second = second, text
        return text

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        with self._lock:
            return self._kinds.get(kind, {}).get((namespace, name))

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        """All objects of a kind (in one namespace, if given), sorted by namespace and name."""
        with self._lock:
            found = self._kinds.get(kind, {})
            return [found[k] for k in sorted(found) if namespace is None or k[0] == namespace]

    def list_at(self, kind: str, version: int) -> Sequence[Object]:
        """All objects of a kind as they were at a version, sorted. Raises Expired if that is too long ago."""
        with self._lock:
            found = dict(self._kinds.get(kind, {}))
            for event in reversed(self._since(version)):
                if event.object["kind"] == kind:
                    _, *place = key_of(event.object)
                    if event.old is None:
                        del found[place[0], place[1]]
                    else:
                        found[place[0], place[1]] = event.old
            return [found[k] for k in sorted(found)]

    def kinds(self) -> tuple[str, ...]:
        """The kinds of which there is at least one object."""
        with self._lock:
            return tuple(sorted(kind for kind, objects in self._kinds.items() if objects))

    def create(self, obj: Object) -> Object:
        """Add an object; returns it with uid, resourceVersion and creationTimestamp. Raises Conflict."""
        kind, namespace, name = key_of(obj)
        with self.transaction():
            if self.get(kind, namespace, name) is not None:
                raise Conflict(f"{kind} {namespace}/{name} exists already")
            born = {"uid": str(uuid.uuid4()), "creationTimestamp": self.timestamp()}
            return self._put(EventType.ADDED, {**obj, "metadata": {**obj["metadata"], **born}}, None)

    def update(self, obj: Object) -> Object:
        """Replace an object; one with a resourceVersion only if it is the current one. NotFound, Conflict.

        An update that changes nothing makes no new version and no event.
        """
        kind, namespace, name = key_of(obj)
        with self.transaction():
            old = self.get(kind, namespace, name)
            if old is None:
                raise NotFound(f"{kind} {namespace}/{name} is not there")
            given = obj["metadata"].get("resourceVersion")
            if given is not None and given != old["metadata"]["resourceVersion"]:
                raise Conflict(f"{kind} {namespace}/{name} was changed meanwhile")
            kept = {k: old["metadata"][k] for k in ("uid", "creationTimestamp", "resourceVersion")}
            new = {**obj, "metadata": {**obj["metadata"], **kept}}
            return old if new == old else self._put(EventType.MODIFIED, new, old)

    def mutate(self, kind: str, namespace: str, name: str, change: Callable[[Object], Object]) -> Object:
        """Read, change, write without anyone in between. `change` returns a new object. Raises NotFound."""
        with self.transaction():
            old = self.get(kind, namespace, name)
            if old is None:
                raise NotFound(f"{kind} {namespace}/{name} is not there")
            return self.update(change(old))

    def delete(self, kind: str, namespace: str, name: str) -> Object:
        """Remove an object for good and return it. Raises NotFound. (Grace periods are `kube.api`'s.)"""
        with self.transaction():
            old = self._kinds.get(kind, {}).pop((namespace, name), None)
            if old is None:
                raise NotFound(f"{kind} {namespace}/{name} is not there")
            self._next_version(kind)
            self._untold.append(Event(EventType.DELETED, old, old, self._version))
            return old

    def watch(
        self, kinds: Iterable[str], *, initial: bool = True, since: int | None = None, limit: int = 0
    ) -> Watch:
        """A new watch. With `initial`, the objects that exist come first as ADDED, with no gap after them.

        With `since`, what happened after that version comes first instead; raises Expired if that is no longer
        known. `limit` is the number of waiting events beyond which the watch is cut off (0: never).
        """
        watch = Watch(self, frozenset(kinds), limit)
        with self._lock:
            self._tell()  # inside a transaction: what is told now is not told to the new watch as well
            if since is not None:
                watch.put(event for event in self._since(since) if event.object["kind"] in watch.kinds)
            elif initial:
                watch.put(
                    Event(EventType.ADDED, obj, None, int(obj["metadata"]["resourceVersion"]))
                    for obj in self._existing(watch.kinds)
                )
            self._watches.append(watch)
        return watch

    def _since(self, version: int) -> Sequence[Event]:
        """Everything that happened after a version, told or not."""
        if version < self._forgotten:
            raise Expired(f"too old resource version: {version} ({self._forgotten})")
        return [event for event in (*self._past, *self._untold) if event.version > version]

    def watching(self) -> Sequence[Watch]:
        """The watches that are open."""
        with self._lock:
            return list(self._watches)

    def unwatch(self, watch: Watch) -> None:
        """Called by Watch.close."""
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)

    def _existing(self, kinds: frozenset[str]) -> Iterator[Object]:
        return (obj for kind in sorted(kinds) for obj in self.list(kind))

    def _put(self, kind_of_event: EventType, obj: Object, old: Object | None) -> Object:
        self._next_version(obj["kind"])
        new = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        kind, namespace, name = key_of(new)
        self._kinds.setdefault(kind, {})[namespace, name] = new
        self._untold.append(Event(kind_of_event, new, old, self._version))
        return new

    def _next_version(self, kind: str) -> None:
        self._version += 1
        self._latest[kind] = self._version

    def _tell(self) -> None:
        if not self._untold:
            return
        events, self._untold = self._untold, []
        self._past.extend(events)
        while len(self._past) > self._remembered:
            self._forgotten = self._past.popleft().version
        kinds = {event.object["kind"] for event in events}
        for watch in self._watches:
            if kinds.isdisjoint(watch.kinds):
                continue
            if kinds <= watch.kinds:
                watch.put(events)
            else:
                watch.put(event for event in events if event.object["kind"] in watch.kinds)
