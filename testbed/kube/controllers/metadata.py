"""Owners, conditions and times: the parts of an object that controllers share. Pure."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from testbed.kube.store import Object

SAFE = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery util/rand: no vowels, so no words


def controller_uid(obj: Object) -> str:
    """The uid of the object that controls this one; empty if none does."""
    for owner in obj["metadata"].get("ownerReferences", ()):
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def owner_reference(owner: Object) -> dict[str, Any]:
    """A reference that makes `owner` the controller of an object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def short_hash(value: object, length: int) -> str:
    """A name's suffix that follows from a JSON value alone."""
    base = len(SAFE)
    number = (
        int.from_bytes(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()) % base**length
    )
    letters = []
    for _ in range(length):
        number, letter = divmod(number, base)
        letters.append(SAFE[letter])
    return "".join(letters)


def condition_true(obj: Object, kind: str) -> bool:
    """True if the object's status has this condition with status True."""
    conditions = obj.get("status", {}).get("conditions", ())
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def pod_ready(pod: Object) -> bool:
    """podutil.IsPodReady."""
    return condition_true(pod, "Ready")


def condition_of(obj: Object, kind: str) -> Object | None:
    """The condition of this type, if the object's status has it."""
    conditions = obj.get("status", {}).get("conditions", ())
    return next((c for c in conditions if c["type"] == kind), None)


def seconds_of(timestamp: str) -> float:
    """A time as objects have it (RFC 3339), in seconds since 1970; what is no time is long ago (0).

    Statuses and events are users' to write, too.
    """
    try:
        return datetime.datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return 0.0


def available_at(pod: Object, min_ready_seconds: int) -> float | None:
    """When a pod counts as available (IsPodAvailable), in seconds since 1970; None while it is not Ready."""
    ready = condition_of(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return None
    since = ready.get("lastTransitionTime") if min_ready_seconds else None
    return seconds_of(since) + min_ready_seconds if since else 0.0


def generation(obj: Object) -> int:
    """metadata.generation: the version of the spec."""
    return int(obj["metadata"].get("generation", 1))


def with_condition(conditions: Sequence[Object], new: Object, now: str) -> list[Object]:
    """The conditions with one set. Its lastTransitionTime is `now` only if its status changed."""
    old = next((c for c in conditions if c["type"] == new["type"]), None)
    changed = old is None or old["status"] != new["status"]
    since = now if changed or old is None else old["lastTransitionTime"]
    whole = {**new, "lastTransitionTime": since}
    if old is None:
        return [*conditions, whole]
    return [whole if c is old else c for c in conditions]
