"""What an API server does between a request and its store: check, fill in, allocate, write.

Knows the store and the cluster's ranges. Knows no transport (HTTP comes over this) and no consequence of an
object (that is `kube.controllers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from testbed.errors import Conflict, Forbidden, ManifestErrors, Mistake, NotFound
from testbed.kube.api.admission import ADMIT, allocate, check_namespaces, check_unique
from testbed.kube.api.draft import SERVER_METADATA, Draft, recorded, requested
from testbed.kube.api.extension_doubts import doubtful_annotations
from testbed.kube.api.merging import merged, with_last_applied
from testbed.kube.api.normalise import normalised
from testbed.kube.api.service_cidrs import DEFAULT, admit_service_cidr, default_service_cidr
from testbed.kube.api.unmatched import unmatched
from testbed.kube.objects import ClusterConfig, Manifest, Source
from testbed.kube.objects.load import no_collections
from testbed.kube.objects.validate import checked
from testbed.kube.store import Key, Object, Store, end, finish, key_of, terminating

NAMESPACES = ("default", "kube-system")  # there from the start; as in Kubernetes they cannot be deleted


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did to one object. `verb` is kubectl's: created, configured or unchanged."""

    verb: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """How an object is deleted (meta/v1 DeleteOptions): `grace_seconds` overrides a pod's own grace period (0: at
    once), `policy` says what becomes of its dependents, `uid` and `version` must be the object's if given."""

    grace_seconds: int | None = None
    policy: str = "Background"
    uid: str = ""
    version: str = ""
    dry_run: bool = False


DELETION = Deletion()
FINALIZERS: Mapping[str, tuple[str, ...]] = {
    "Background": (),
    "Foreground": ("foregroundDeletion",),
    "Orphan": ("orphan",),
}
"""What each policy leaves to the garbage collector before the object may go (meta/v1 finalizers)."""

Change = Callable[[Object], Object]


class Registry:
    """The way into the store for everything that a user writes."""

    def __init__(self, store: Store, cluster: ClusterConfig) -> None:
        self._store, self._cluster = store, cluster
        with store.transaction():
            for name in NAMESPACES:
                if store.get("Namespace", "", name) is None:
                    store.create(_namespace(name))
            if store.get("ServiceCIDR", "", DEFAULT) is None:
                store.create(default_service_cidr(cluster))

    def apply(
        self, manifests: Sequence[Manifest], mistakes: Sequence[Mistake] = (), *, dry_run: bool = False
    ) -> list[Applied]:
        """Bring objects to what the manifests say, all or none, in one transaction of the store.

        What is there already is merged as `kubectl apply` does it (`merging.py`). Raises ManifestErrors with
        every mistake of every manifest, and with `mistakes`, which were found before; then nothing was changed.
        """
        with self._store.transaction(), no_collections():
            drafts = [self._applied(manifest) for manifest in manifests]
            found = [*mistakes, *self._admit(drafts)]
            if found:
                raise ManifestErrors(found)
            written = [self._write(item, dry_run=dry_run) for item in drafts]
            return [_verb(item, new) for item, new in zip(drafts, written, strict=True)]

    def doubts(self, manifests: Sequence[Manifest]) -> list[str]:
        """What is not wrong in manifests, but hardly meant: a sentence each. Call it when they are in."""
        bodies = [manifest.body for manifest in manifests]
        with self._store.transaction():
            return [*unmatched(self._store, bodies), *self.doubts_of(*bodies)]

    def doubts_of(self, *bodies: Object) -> list[str]:
        """The same of objects by themselves."""
        return list(doubtful_annotations(bodies, self._cluster.networking.kube_proxy_mode))

    def create(self, body: Object, *, dry_run: bool = False) -> Object:
        """Add one object and return it as stored. Raises Conflict if it is there, and ManifestErrors."""
        manifest = _manifest(body)
        with self._store.transaction():
            item = requested(self._store, manifest)
            if item.old is not None:
                raise Conflict(f"{item.kind} {item.key[2]} exists already")
            return self._admitted(item, dry_run=dry_run)

    def update(self, key: Key, change: Change, *, dry_run: bool = False) -> Object:
        """Replace an object by what `change` makes of it. NotFound, ManifestErrors; Conflict if `change` returns
        another resourceVersion or uid than the stored one. The last finalizer to go takes the object with it."""
        with self._store.transaction():
            old = self._there(key)
            body = change(old)
            _same(old["metadata"], body["metadata"])
            item = requested(self._store, _manifest(normalised(body, old)))
            _check_finalizers(item)
            new = self._admitted(item, dry_run=dry_run)
            if not dry_run:
                finish(self._store, new)
            return new

    def update_status(self, key: Key, change: Callable[[Object], Object], *, dry_run: bool = False) -> Object:
        """Replace the status alone, with that of what `change` returns. NotFound, Conflict."""
        with self._store.transaction():
            old = self._there(key)
            given = change(old)
            _same(old["metadata"], given["metadata"])
            new = {**old, "status": given.get("status", {})}
            return new if dry_run else self._store.update(new)

    def delete(self, kind: str, namespace: str, name: str, options: Deletion = DELETION) -> Object:
        """Tell an object to end and return it as it was last; it may stay for its grace period or finalizers.

        What depends on it follows by the controllers. Raises NotFound; Conflict if it is another one than
        `options` want; Forbidden for a namespace that the cluster cannot be without, and for a node: its host
        and its agent are there as long as the cluster.
        """
        key = kind, namespace, name
        if kind == "Namespace" and name in NAMESPACES:
            raise Forbidden(f'namespaces "{name}" is forbidden: this namespace may not be deleted')
        with self._store.transaction():
            obj = self._there(key)
            if kind == "Node":
                raise Forbidden(f'nodes "{name}" is forbidden: nodes come from the Cluster document alone')
            _same(obj["metadata"], {"uid": options.uid, "resourceVersion": options.version})
            if not options.dry_run:
                end(self._store, obj, options.grace_seconds, FINALIZERS[options.policy])
            return self._store.get(*key) or obj

    def _there(self, key: Key) -> Object:
        obj = self._store.get(*key)
        if obj is None:
            kind, namespace, name = key
            raise NotFound(f"{kind} {f'{namespace}/{name}' if namespace else name} not found")
        return obj

    def _applied(self, manifest: Manifest) -> Draft:
        """The draft of a manifest that is to be merged with what is there."""
        written = manifest.written or manifest.body
        metadata = {k: v for k, v in written["metadata"].items() if k not in SERVER_METADATA}
        written = {**written, "metadata": metadata}
        old = self._store.get(*key_of(manifest.body))
        if old is None:
            return recorded(self._store, replace(manifest, body=with_last_applied(manifest.body, written)))
        new: Object = merged(old["kind"], written, old)
        if new == old:
            return recorded(self._store, replace(manifest, body=dict(old)))
        body, errors = checked(normalised(new, old))
        item = recorded(self._store, replace(manifest, body=dict(old) if errors else body))
        for error in errors:
            item.mistake(error.path, error.message, error.hint)
        return item

    def _admitted(self, item: Draft, *, dry_run: bool) -> Object:
        found = self._admit([item])
        if found:
            raise ManifestErrors(found)
        return self._write(item, dry_run=dry_run)

    def _admit(self, drafts: Sequence[Draft]) -> list[Mistake]:
        """Fill in and check what comes in together; every mistake."""
        check_unique(drafts)
        check_namespaces(self._store, drafts)
        for item in drafts:
            if item.kind == "ServiceCIDR":
                admit_service_cidr(item, self._cluster)
            if item.kind in ADMIT:
                ADMIT[item.kind](self._store, item)
        allocate(self._store, self._cluster, drafts)
        return [mistake for item in drafts for mistake in item.mistakes]

    def _write(self, item: Draft, *, dry_run: bool) -> Object:
        if dry_run:
            return item.body if item.old != item.body else item.old
        return self._store.create(item.body) if item.old is None else self._store.update(item.body)


def _manifest(body: Object) -> Manifest:
    """An object of a request, with defaults. Raises ManifestErrors."""
    new, errors = checked(body)
    if errors:
        raise ManifestErrors([Mistake("", 0, error.path, error.message, error.hint) for error in errors])
    return Manifest(new, Source("", {"": 0}))


def _verb(item: Draft, new: Object) -> Applied:
    verb = "created" if item.old is None else "unchanged" if new is item.old else "configured"
    return Applied(verb, *item.key)


def _same(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise Conflict if the stored object is not the one that is meant."""
    for name, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        given = wanted.get(name)
        if given and given != stored[name]:
            # The wording of a version that is gone is the API's standard one.
            told = (
                f"Precondition failed: {what} in precondition: {given}, {what} in object meta: {stored[name]}"
            )
            raise Conflict(told if name == "uid" else "")


def _check_finalizers(item: Draft) -> None:
    """Who is on the way out gets no new ones (apimachinery ValidateFinalizersUpdate)."""
    if item.old is not None and terminating(item.old):
        before = item.old["metadata"].get("finalizers", ())
        if any(name not in before for name in item.body["metadata"].get("finalizers", ())):
            message = "Forbidden: no new finalizers can be added if the object is being deleted"
            item.mistake("metadata.finalizers", message)


def _namespace(name: str) -> dict[str, object]:
    labels = {"kubernetes.io/metadata.name": name}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
