"""Templates that StatefulSets and DaemonSets had, kept as ControllerRevisions (pkg/controller/history).

A revision is called `<set>-<hash of the template>`, and the pods made from it carry its name or hash in the label
controller-revision-hash. Going back to an old template makes its revision the newest again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from testbed.kube.controllers.metadata import owner_reference, short_hash
from testbed.kube.controllers.ownership import Claims
from testbed.kube.store import Event, Object, Store, end

HASH = "controller-revision-hash"
_HASH_CHARACTERS = 10


class Revisions:
    """The revisions of all sets of one kind."""

    def __init__(self, kind: str) -> None:
        self._claims = Claims(kind)

    def learn(self, event: Event) -> None:
        """Take note of a set or of a ControllerRevision."""
        self._claims.learn(event)

    def current(self, store: Store, owner: Object) -> Object:
        """The revision of the set's template as it is; made, or made the newest, if need be."""
        template = owner["spec"]["template"]
        known = self.of(owner)
        newest = known[-1]["revision"] if known else 0
        same = next((each for each in known if template_of(each) == template), None)
        if same is None:
            return self._create(store, owner, newest + 1)
        if same["revision"] == newest:
            return same
        renewed = store.update({**same, "revision": newest + 1})
        self._claims.note(renewed, same)
        return renewed

    def of(self, owner: Object) -> list[Object]:
        """All revisions of a set, the newest last."""
        return sorted(self._claims.of(owner), key=lambda each: int(each["revision"]))

    def named(self, owner: Object, name: str) -> Object | None:
        """The revision with this name."""
        return next((each for each in self.of(owner) if each["metadata"]["name"] == name), None)

    def truncate(self, store: Store, owner: Object, used: Collection[str]) -> None:
        """Drop the oldest that are not `used` (names or hashes), beyond revisionHistoryLimit."""
        idle = [each for each in self.of(owner) if not {each["metadata"]["name"], hash_of(each)} & set(used)]
        for each in idle[: max(0, len(idle) - int(owner["spec"].get("revisionHistoryLimit", 10)))]:
            end(store, each)

    def _create(self, store: Store, owner: Object, number: int) -> Object:
        metadata, template, tried = owner["metadata"], owner["spec"]["template"], 0
        while True:
            suffix = short_hash([template, tried] if tried else template, _HASH_CHARACTERS)
            name = f"{metadata['name']}-{suffix}"
            if store.get("ControllerRevision", metadata["namespace"], name) is None:
                break
            tried += 1
        new = store.create(_revision(owner, name, suffix, number))
        self._claims.note(new)
        return new


def hash_of(revision: Object) -> str:
    """The hash in its label."""
    return str(revision["metadata"]["labels"][HASH])


def template_of(revision: Object) -> dict[str, Any]:
    """The pod template that it keeps."""
    kept: dict[str, Any] = revision["data"]["spec"]["template"]
    return {key: value for key, value in kept.items() if key != "$patch"}


def _revision(owner: Object, name: str, suffix: str, number: int) -> dict[str, Any]:
    labels = owner["spec"]["template"].get("metadata", {}).get("labels") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "labels": {**labels, HASH: suffix},
            "annotations": dict(owner["metadata"].get("annotations") or {}),  # the cause of the change, too
            "ownerReferences": [owner_reference(owner)],
        },
        # The form in which kubectl rollout reads it: a patch that replaces the template.
        "data": {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}},
        "revision": number,
    }
