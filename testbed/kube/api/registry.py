"""What an API server does between a request and its store: check, fill in, allocate, write.

Knows the store and the cluster's ranges. Knows no transport (HTTP comes over this) and no consequence of an
object (that is `kube.controllers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from testbed.errors import ManifestErrors, Mistake, NotFound, UsageError
from testbed.kube.api.admission import ADMIT, allocate, check_namespaces, check_unique
from testbed.kube.api.draft import Draft, draft
from testbed.kube.objects import ClusterConfig, Manifest
from testbed.kube.store import Store, end

NAMESPACES = ("default", "kube-system")  # there from the start; as in Kubernetes they cannot be deleted


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did to one object. `verb` is kubectl's: created, configured or unchanged."""

    verb: str
    kind: str
    namespace: str
    name: str


class Registry:
    """The way into the store for everything that a user writes."""

    def __init__(self, store: Store, cluster: ClusterConfig) -> None:
        self._store, self._cluster = store, cluster
        with store.transaction():
            for name in NAMESPACES:
                if store.get("Namespace", "", name) is None:
                    store.create(_namespace(name))

    def apply(self, manifests: Sequence[Manifest], mistakes: Sequence[Mistake] = ()) -> list[Applied]:
        """Bring objects to what the manifests say, all or none, in one transaction of the store.

        A field that the server fills in and the manifest leaves out keeps its value. Raises ManifestErrors
        with every mistake of every manifest, and with `mistakes`, which were found before; then nothing was
        changed.
        """
        with self._store.transaction():
            drafts = [draft(self._store, manifest) for manifest in manifests]
            check_unique(drafts)
            check_namespaces(self._store, drafts)
            for item in drafts:
                if item.kind in ADMIT:
                    ADMIT[item.kind](self._store, item)
            allocate(self._store, self._cluster, [item for item in drafts if item.kind == "Service"])
            found = [*mistakes, *(mistake for item in drafts for mistake in item.mistakes)]
            if found:
                raise ManifestErrors(found)
            return [self._write(item) for item in drafts]

    def delete(self, kind: str, namespace: str, name: str, grace_seconds: int | None = None) -> str:
        """Tell an object to end; `grace_seconds` overrides a pod's own grace period (0: at once). Returns its uid.

        What depends on it follows by the controllers. Raises NotFound; UsageError for a namespace that the
        cluster cannot be without, and for a node: its host and its agent are there as long as the cluster.
        """
        if kind == "Namespace" and name in NAMESPACES:
            raise UsageError(f'namespaces "{name}" is forbidden: this namespace may not be deleted')
        with self._store.transaction():
            obj = self._store.get(kind, namespace, name)
            if obj is None:
                where = f"{namespace}/{name}" if namespace else name
                raise NotFound(f"{kind} {where} not found")
            if kind == "Node":
                raise UsageError(f'nodes "{name}" is forbidden: nodes come from the Cluster document alone')
            end(self._store, obj, grace_seconds)
            return str(obj["metadata"]["uid"])

    def _write(self, item: Draft) -> Applied:
        if item.old is None:
            self._store.create(item.body)
            return Applied("created", *item.key)
        new = self._store.update(item.body)
        return Applied("unchanged" if new is item.old else "configured", *item.key)


def _namespace(name: str) -> dict[str, object]:
    labels = {"kubernetes.io/metadata.name": name}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
