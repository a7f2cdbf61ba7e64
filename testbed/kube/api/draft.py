"""One object on its way in: the manifest, what is stored under its name, and what is about to be written.

Knows which metadata belongs to the server. Knows no kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed.errors import Mistake
from testbed.kube.objects import KINDS, Manifest
from testbed.kube.store import Key, Object, Store, key_of

# Set by the server alone (LIFE_METADATA), or said by a manifest that was recorded by `kubectl get -o yaml` about
# the life of an object in another cluster: the owners' uids in ownerReferences are of that cluster, too.
LIFE_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "resourceVersion",
    "selfLink",
    "uid",
)
SERVER_METADATA = (*LIFE_METADATA, "finalizers", "managedFields", "ownerReferences")


@dataclass
class Draft:
    """`body`, its metadata and its spec are copies: an admission step changes them in place, no deeper."""

    manifest: Manifest
    old: Object | None
    body: dict[str, Any]
    mistakes: list[Mistake] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return str(self.body["kind"])

    @property
    def key(self) -> Key:
        return key_of(self.body)

    @property
    def spec(self) -> dict[str, Any]:
        """The spec of `body`, to be filled in."""
        spec: dict[str, Any] = self.body["spec"]
        return spec

    @property
    def old_spec(self) -> Object:
        """The stored object's spec; empty if there is none."""
        return self.old.get("spec", {}) if self.old else {}

    def mistake(self, path: str, message: str, hint: str = "") -> None:
        """Note a mistake at a field of the manifest; the apply that this draft is part of will fail."""
        self.mistakes.append(self.manifest.source.mistake(path, message, hint))


def recorded(store: Store, manifest: Manifest) -> Draft:
    """The draft of a manifest out of a file: server's metadata as stored, all else as the manifest has it."""
    return _draft(store, manifest, SERVER_METADATA)


def requested(store: Store, manifest: Manifest) -> Draft:
    """The draft of an object that came as a request: also finalizers and owners are its own; its status is not."""
    item = _draft(store, manifest, LIFE_METADATA)
    if KINDS[item.kind].status:
        item.body.pop("status", None)
        if item.old and "status" in item.old:
            item.body["status"] = item.old["status"]
    return item


def _draft(store: Store, manifest: Manifest, server: Sequence[str]) -> Draft:
    body = dict(manifest.body)
    old = store.get(*key_of(body))
    stored = old["metadata"] if old else {}
    given = {k: v for k, v in body["metadata"].items() if k not in server}
    body["metadata"] = given | {k: stored[k] for k in server if k in stored}
    if "spec" in body:
        body["spec"] = dict(body["spec"])
    return Draft(manifest, old, body)


def keep_status(item: Draft, initial: Object) -> None:
    """The stored status goes on; a new object starts with `initial`. The manifest's own is ignored."""
    item.body["status"] = item.old.get("status", initial) if item.old else initial
