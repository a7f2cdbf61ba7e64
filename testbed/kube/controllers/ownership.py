"""Which dependents belong to which owner: adoption and release, by selector and ownerReferences.

The rules are Kubernetes' (controller_ref_manager.go): what has no controller and matches the selector is adopted;
what has us as its controller and matches no more is released. Keeps indexes, so that an event touches only the
owners that it concerns. Knows owners of one kind and dependents of one kind; knows not what either is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from testbed.kube.controllers.metadata import controller_uid, owner_reference
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.objects import selects
from testbed.kube.store import Event, EventType, Key, Object, Store, key_of, terminating

Pair = tuple[
    str, str, str
]  # namespace, label, value; a selector without matchLabels stands under two empty texts
Belongs = Callable[[Object, Object], bool]


class Claims:
    """Owners by uid, their dependents, and dependents that belong to nobody.

    `belongs(owner, dependent)` says, beside the selector, which ones may be adopted.
    """

    def __init__(self, owner_kind: str, belongs: Belongs = lambda _owner, _dependent: True) -> None:
        self._kind, self._belongs = owner_kind, belongs
        self._owners: dict[str, Object] = {}
        self._selecting: dict[Pair, dict[str, None]] = {}
        self._dependents: dict[str, dict[Key, Object]] = {}
        self._orphans: dict[Pair, dict[Key, Object]] = {}
        self._dirty: dict[str, None] = {}

    def learn(self, event: Event) -> None:
        """Take note, and of whom it concerns. Learning an event twice does no harm."""
        if event.object["kind"] == self._kind:
            self._learn_owner(event)
        else:
            self._learn_dependent(event)

    def touch(self, uid: str) -> None:
        """An owner wants another look."""
        if uid in self._owners:
            self._dirty[uid] = None

    def concerned(self) -> list[Object]:
        """The living owners whose dependents or whose wishes changed; they count as looked at now."""
        found = [self._owners[uid] for uid in self._dirty if uid in self._owners]
        self._dirty.clear()
        return found

    def owner(self, uid: str) -> Object | None:
        """The owner with this uid."""
        return self._owners.get(uid)

    def of(self, owner: Object) -> list[Object]:
        """An owner's dependents as they are, sorted by name."""
        found = self._dependents.get(owner["metadata"]["uid"], {})
        return [found[key] for key in sorted(found)]

    def claim(self, store: Store, owner: Object) -> list[Object]:
        """Adopt and release; then the dependents, sorted by name."""
        if not terminating(owner):
            for orphan in self._adoptable(owner):
                metadata = orphan["metadata"]
                references = [*metadata.get("ownerReferences", ()), owner_reference(owner)]
                self.note(store.update(_with(orphan, ownerReferences=references)))
        selector = owner["spec"].get("selector") or {}
        for dependent in self.of(owner):
            if not selects(selector, labels_of(dependent)) and not terminating(dependent):
                self.note(store.update(_released(dependent, owner["metadata"]["uid"])), dependent)
        return self.of(owner)

    def note(self, obj: Object, old: Object | None = None) -> None:
        """Take note of our own writing at once; the event about it will bring nothing new."""
        self._forget(obj if old is None else old)
        self._enter(obj)

    def note_owner(self, owner: Object) -> None:
        """The same for our own writing of an owner (its status)."""
        uid = owner["metadata"]["uid"]
        if uid in self._owners:
            self._owners[uid] = owner

    def _adoptable(self, owner: Object) -> list[Object]:
        selector = owner["spec"].get("selector") or {}
        namespace = owner["metadata"]["namespace"]
        candidates = self._orphans.get(_pair(namespace, selector), {})
        return [
            candidates[key]
            for key in sorted(candidates)
            if selects(selector, labels_of(candidates[key]))
            and not terminating(candidates[key])
            and self._belongs(owner, candidates[key])
        ]

    def _learn_owner(self, event: Event) -> None:
        uid = event.object["metadata"]["uid"]
        if event.type is not EventType.DELETED and self._owners.get(uid) is event.object:
            return  # our own writing
        old = self._owners.pop(uid, None)
        if old is not None:
            self._selecting.get(_own_pair(old), {}).pop(uid, None)
        if event.type is EventType.DELETED:
            self._dirty.pop(uid, None)
            return
        self._owners[uid] = event.object
        self._selecting.setdefault(_own_pair(event.object), {})[uid] = None
        self._dirty[uid] = None

    def _learn_dependent(self, event: Event) -> None:
        if self._is_foreign(event.object) and (event.old is None or self._is_foreign(event.old)):
            return
        known = self._known(event.object)
        if event.type is not EventType.DELETED and known is event.object:
            return  # our own writing
        if event.old is not None:
            self._forget(event.old)
            self.touch(controller_uid(event.old))
        if event.type is EventType.DELETED:
            self._forget(event.object)
            return
        self._enter(event.object)
        uid = controller_uid(event.object)
        if uid:
            self.touch(uid)
        else:
            self._touch_adopters(event.object)

    def _is_foreign(self, dependent: Object) -> bool:
        """True if an owner of another kind controls it (resolveControllerRef looks at the kind, too)."""
        references = dependent["metadata"].get("ownerReferences")
        return bool(references) and any(
            each.get("controller") and each["kind"] != self._kind for each in references
        )

    def _known(self, obj: Object) -> Object | None:
        return self._dependents.get(controller_uid(obj), {}).get(key_of(obj))

    def _touch_adopters(self, orphan: Object) -> None:
        for pair in _pairs(orphan):
            for uid in self._selecting.get(pair, ()):
                if selects(self._owners[uid]["spec"].get("selector") or {}, labels_of(orphan)):
                    self._dirty[uid] = None

    def _enter(self, obj: Object) -> None:
        key, uid = key_of(obj), controller_uid(obj)
        if uid:
            self._dependents.setdefault(uid, {})[key] = obj
            return
        for pair in _pairs(obj):
            self._orphans.setdefault(pair, {})[key] = obj

    def _forget(self, obj: Object) -> None:
        key, uid = key_of(obj), controller_uid(obj)
        places = [self._dependents.get(uid, {})] if uid else []
        places += [self._orphans.get(pair, {}) for pair in _pairs(obj)]
        for place in places:
            place.pop(key, None)
        if uid and not self._dependents.get(uid, True):
            del self._dependents[uid]


def _pairs(obj: Object) -> list[Pair]:
    namespace = obj["metadata"]["namespace"]
    return [(namespace, *item) for item in labels_of(obj).items()] + [(namespace, "", "")]


def _pair(namespace: str, selector: Mapping[str, Any]) -> Pair:
    key, value = min((selector.get("matchLabels") or {"": ""}).items())
    return namespace, key, value


def _own_pair(owner: Object) -> Pair:
    return _pair(owner["metadata"]["namespace"], owner["spec"].get("selector") or {})


def _released(dependent: Object, uid: str) -> Object:
    kept = [r for r in dependent["metadata"].get("ownerReferences", ()) if r["uid"] != uid]
    return _with(dependent, ownerReferences=kept)


def _with(obj: Object, **metadata: Any) -> Object:
    return {**obj, "metadata": {**obj["metadata"], **metadata}}
