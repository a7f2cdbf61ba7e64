"""How an object ends: at once, or after a grace period (the registry's BeforeDelete in Kubernetes).

Knows which kinds end gracefully, and that nothing goes while it has finalizers. Does not know who finishes the
work: the kubelet for pods, the collector controller for namespaces; both look for metadata.deletionTimestamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from testbed.kube.store.store import Object, Store, key_of

DEFAULT_GRACE_SECONDS = 30  # core/v1 terminationGracePeriodSeconds


def terminating(obj: Object) -> bool:
    """True if the object has been told to end and is still there."""
    return "deletionTimestamp" in obj["metadata"]


def ended(pod: Object) -> bool:
    """True if none of the pod's containers will ever run again (phase Succeeded or Failed)."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def end(store: Store, obj: Object, grace_seconds: int | None = None, finalizers: Sequence[str] = ()) -> None:
    """Delete an object the way its kind is deleted. Raises NotFound.

    A pod that has a node and has not ended gets `grace_seconds` (its own terminationGracePeriodSeconds if
    None); asking again can only shorten that. A namespace waits until it is empty. All else goes at once, but
    not while there are finalizers, to which `finalizers` are added: then it is only marked.
    """
    key = key_of(obj)
    if obj["kind"] == "Namespace":
        store.mutate(*key, lambda now: _namespace_ending(store, now))
        return
    grace = _pod_grace(obj, grace_seconds) if obj["kind"] == "Pod" else 0
    with store.transaction():
        now = store.get(*key)
        if grace or finalizers or (now and now["metadata"].get("finalizers")):
            store.mutate(*key, lambda now: _ending(store, now, grace, finalizers))
        else:
            store.delete(*key)


def finish(store: Store, obj: Object) -> bool:
    """Remove an object that has been told to end and that nothing holds any more; True if it is gone."""
    metadata = obj["metadata"]
    held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds", 0) != 0
    if not terminating(obj) or held or obj["kind"] == "Namespace":
        return False
    store.delete(*key_of(obj))
    return True


def _pod_grace(pod: Object, asked: int | None) -> int:
    if not pod["spec"].get("nodeName") or ended(pod):
        return 0
    own = pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
    return int(own) if asked is None else asked


def _ending(store: Store, obj: Object, grace: int, finalizers: Sequence[str]) -> Object:
    metadata: dict[str, Any] = dict(obj["metadata"])
    if finalizers:
        metadata["finalizers"] = list(dict.fromkeys([*metadata.get("finalizers", ()), *finalizers]))
    if metadata.get("deletionGracePeriodSeconds", grace + 1) > grace:
        metadata |= {"deletionTimestamp": store.timestamp(grace), "deletionGracePeriodSeconds": grace}
    return {**obj, "metadata": metadata}


def _namespace_ending(store: Store, namespace: Object) -> Object:
    if terminating(namespace):
        return namespace
    metadata = {**namespace["metadata"], "deletionTimestamp": store.timestamp()}
    return {**namespace, "metadata": metadata, "status": {"phase": "Terminating"}}
