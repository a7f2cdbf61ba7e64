"""Versioned objects with watch."""

from testbed.kube.store.store import Event, EventType, Key, Object, Store, Watch, key_of

__all__ = ["Event", "EventType", "Key", "Object", "Store", "Watch", "key_of"]
