"""Three-way merge, as `kubectl apply` does it: what was applied last, what is applied now, what is there.

A field that left the manifest is removed, one that the manifest names is set, any other stays as it is. Both
tools may be mixed: the same annotation keeps what was applied last. Knows no store and no HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from testbed.kube.api.shapes import Shape
from testbed.kube.store import Object

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
DEFAULTS = {"protocol": "TCP"}  # of keys of lists; the OpenAPI 2 schemas, which are ours, leave defaults out
MAX_BYTES = 200 * 1024  # all annotations together may have 256 KiB

Fields = dict[str, Any]

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def with_last_applied(body: Object, written: Object) -> Fields:
    """An object that carries in its annotation what was written. What is too large for one is not carried."""
    metadata = dict(body["metadata"])
    text = _recorded(written, metadata.get("namespace", ""))
    if 4 * len(text) <= MAX_BYTES or len(text.encode(errors="replace")) <= MAX_BYTES:
        metadata["annotations"] = {**(metadata.get("annotations") or {}), LAST_APPLIED: text}
    return {**body, "metadata": metadata}


def last_applied(obj: Object) -> Object:
    """What was applied last; empty if the object was made in another way."""
    try:
        found = json.loads((obj["metadata"].get("annotations") or {}).get(LAST_APPLIED, "{}"))
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def merged(kind: str, written: Object, current: Object) -> Fields:
    """The object as an apply of `written` leaves it; the result shares parts with `current`."""
    wanted = with_last_applied(written, written)
    if current["metadata"].get("namespace"):
        wanted["metadata"].setdefault("namespace", current["metadata"]["namespace"])
        wanted = with_last_applied(wanted, {**written, "metadata": wanted["metadata"]})
    return _map(Shape.of(kind), last_applied(current), wanted, current)


def _recorded(written: Object, namespace: str) -> str:
    """As kubectl writes it: sorted, compact, with the namespace, without itself, and with an end of line."""
    metadata = dict(written["metadata"])
    if namespace:
        metadata["namespace"] = namespace
    annotations = metadata.get("annotations") or {}
    metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    plain = {**written, "metadata": metadata}
    return _encode(plain) + "\n"


def _map(shape: Shape, original: Any, modified: Object, current: Any) -> Fields:
    original = original if isinstance(original, Mapping) else {}
    current = current if isinstance(current, Mapping) else {}
    keep = "retainKeys" not in shape.strategies
    result = {
        key: value for key, value in current.items() if key in modified or (keep and key not in original)
    }
    for key, value in modified.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _value(shape.field(key), original.get(key), value, current.get(key))
    return result


def _value(shape: Shape, original: Any, modified: Any, current: Any) -> Any:
    if isinstance(modified, Mapping):
        return _map(shape, original, modified, current)
    if isinstance(modified, list) and "merge" in shape.strategies and isinstance(current, list):
        return _list(shape, original if isinstance(original, list) else [], modified, current)
    return modified


def _list(
    shape: Shape, original: Sequence[Any], modified: Sequence[Any], current: Sequence[Any]
) -> list[Any]:
    keyed = [_by_key(shape, items) for items in (original, modified, current)]
    if None in keyed:
        return list(modified)  # items that cannot be told apart
    before, wanted, there = (found or {} for found in keyed)
    new = {key: _value(shape.item(), before.get(key), value, there.get(key)) for key, value in wanted.items()}
    stays = {key: value for key, value in there.items() if key not in before and key not in wanted}
    return ordered(new, stays, list(there))


def ordered(
    new: Mapping[Hashable, Any], stays: Mapping[Hashable, Any], before: Sequence[Hashable]
) -> list[Any]:
    """Items in their own order, with those that nobody named where they were relative to them."""
    place = {key: index for index, key in enumerate(before)}
    result: list[Any] = []
    rest = list(stays)
    for key, value in new.items():
        while rest and place[rest[0]] < place.get(key, -1):
            result.append(stays[rest.pop(0)])
        result.append(value)
    return result + [stays[key] for key in rest]


def _by_key(shape: Shape, items: Sequence[Any]) -> dict[Hashable, Any] | None:
    """Items by what tells them apart; None if it does not."""
    keyed = {_key(shape, item): item for item in items}
    return keyed if len(keyed) == len(items) and None not in keyed else None


def _key(shape: Shape, item: Any) -> Hashable:
    if not isinstance(item, Mapping):
        return item if isinstance(item, str | int) else None
    values = [item.get(key, shape.item().field(key).default or DEFAULTS.get(key)) for key in shape.map_keys]
    if not values or any(isinstance(value, Mapping | list) for value in values) or values[0] is None:
        return None
    return tuple(values)
