"""Services whose selector matches no pod: not wrong, as pods may come later, but mostly a slip of the pen.

Knows what yields pods. Knows nothing of what becomes of a Service without endpoints.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from testbed.kube.store import Object, Store

WORKLOADS = ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet")
MOST_TOLD = 10  # warnings one by one; a file of thousands of Services without pods is meant so

Labels = frozenset[tuple[str, str]]


class _Pods:
    """The labels that pods have or will have, by namespace and by label."""

    def __init__(self, objects: Iterable[Object]) -> None:
        self._having: dict[str, dict[tuple[str, str], set[Labels]]] = {}
        for obj in objects:
            labels = _pod_labels(obj)
            having = self._having.setdefault(obj["metadata"].get("namespace", ""), {})
            for label in labels:
                having.setdefault(label, set()).add(labels)

    def match(self, namespace: str, selector: Labels) -> bool:
        """True if a pod of the namespace has all these labels. The rarest label leaves the fewest to look at."""
        having = self._having.get(namespace, {})
        return any(
            selector <= labels for labels in min((having.get(label, set()) for label in selector), key=len)
        )

    def hint(self, namespace: str, selector: Labels) -> str:
        """What may have been meant, as the end of a sentence; empty if nothing comes near."""
        elsewhere = [name for name in sorted(self._having) if self.match(name, selector)]
        if elsewhere:
            return f"; pods that have it are in namespace {', '.join(elsewhere)}"
        known = self._having.get(namespace, {})
        meant = {label: label if label in known else _near(label, known) for label in selector}
        found = frozenset(label for label in meant.values() if label)
        if len(found) < len(selector) or not self.match(namespace, found):
            return ""
        return f"; did you mean {_text(found)}?"


def unmatched(store: Store, bodies: Sequence[Object]) -> Iterator[str]:
    """A sentence for each Service among `bodies` whose selector matches no pod of the store or of `bodies`.

    Pods are also those that a workload's template will make, however many replicas it wants now.
    """
    services = [body for body in bodies if body["kind"] == "Service" and _selector(body)]
    for kinds in (WORKLOADS, ("Pod",)):  # first what is few
        if services:
            pods = _Pods(_yielding(store, bodies, kinds))
            services = [
                each for each in services if not pods.match(each["metadata"]["namespace"], _selector(each))
            ]
    if services:
        pods = _Pods(_yielding(store, bodies, (*WORKLOADS, "Pod")))
        yield from (_sentence(pods, each) for each in services[:MOST_TOLD])
    if len(services) > MOST_TOLD:
        yield f"selectors of {len(services) - MOST_TOLD} more Services match no pod"


def _yielding(store: Store, bodies: Sequence[Object], kinds: Sequence[str]) -> Iterator[Object]:
    yield from (body for body in bodies if body["kind"] in kinds)
    for kind in kinds:
        yield from store.list(kind)


def _sentence(pods: _Pods, service: Object) -> str:
    metadata, selector = service["metadata"], _selector(service)
    hint = pods.hint(metadata["namespace"], selector)
    return (
        f"Service {metadata['namespace']}/{metadata['name']}: selector {_text(selector)} matches no pod{hint}"
    )


def _selector(service: Object) -> Labels:
    """What the Service asks pods for; empty where it asks for none (ExternalName has no endpoints)."""
    spec: Mapping[str, Any] = service["spec"]
    return (
        frozenset() if spec.get("type") == "ExternalName" else frozenset((spec.get("selector") or {}).items())
    )


def _pod_labels(obj: Object) -> Labels:
    made = obj if obj["kind"] == "Pod" else obj["spec"]["template"]
    return frozenset((made.get("metadata", {}).get("labels") or {}).items())


def _near(label: tuple[str, str], known: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """The label of a pod that comes nearest: the same key with a similar value, or a similar key."""
    key, value = label
    values = {v for k, v in known if k == key}
    near = difflib.get_close_matches(value, values, 1)
    if near:
        return key, near[0]
    keys = difflib.get_close_matches(key, {k for k, v in known if v == value}, 1)
    return (keys[0], value) if keys else None


def _text(selector: Labels) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector))
