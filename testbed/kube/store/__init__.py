"""Versioned objects with watch."""

from testbed.kube.store.ending import end, ended, finish, terminating
from testbed.kube.store.pool import Pool
from testbed.kube.store.store import Event, EventType, Key, Object, Store, Watch, key_of

__all__ = [
    "Event",
    "EventType",
    "Key",
    "Object",
    "Pool",
    "Store",
    "Watch",
    "end",
    "ended",
    "finish",
    "key_of",
    "terminating",
]
