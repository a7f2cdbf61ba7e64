"""Strategic merge patches (apimachinery pkg/util/strategicpatch), by the merge keys of Kubernetes' own schemas.

Knows the directives `$patch`, `$retainKeys`, `$deleteFromPrimitiveList` and `$setElementOrder`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from testbed.errors import UsageError
from testbed.kube.api.merging import ordered
from testbed.kube.api.shapes import Shape

PATCH, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"


def strategic_merge(kind: str, current: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """The object with the patch in it. Raises UsageError for a directive that makes no sense."""
    return _map(Shape.of(kind), current, patch)


def _map(shape: Shape, current: Any, patch: Mapping[str, Any]) -> dict[str, Any]:
    directive = patch.get(PATCH, "merge")
    if directive not in ("merge", "replace", "delete"):
        raise UsageError(f'Unknown patch type "{directive}" found in map')
    if directive == "delete":
        return {}
    result = dict(current) if isinstance(current, Mapping) and directive == "merge" else {}
    if RETAIN in patch:
        kept = _strings(patch, RETAIN)
        result = {key: value for key, value in result.items() if key in kept}
    for key, value in patch.items():
        if key.startswith(DELETE):
            _delete(result, key.removeprefix(DELETE), _strings(patch, key))
        elif not key.startswith("$"):
            order = patch.get(ORDER + key)
            _put(result, key, _value(shape.field(key), result.get(key), value, order))
    for key in patch:
        field = key.removeprefix(ORDER)
        if field != key and field not in patch and isinstance(result.get(field), list):
            result[field] = _value(shape.field(field), result[field], [], patch[key])
    return result


def _put(result: dict[str, Any], key: str, value: Any) -> None:
    if value is None:
        result.pop(key, None)
    else:
        result[key] = value


def _value(shape: Shape, current: Any, patch: Any, order: Any) -> Any:
    if isinstance(patch, Mapping):
        return _map(shape, {} if "replace" in shape.strategies else current, patch)
    if isinstance(patch, list) and "merge" in shape.strategies:
        return _list(shape, current if isinstance(current, list) else [], patch, order)
    return patch


def _list(shape: Shape, current: Sequence[Any], patch: Sequence[Any], order: Any) -> list[Any]:
    if not any(isinstance(item, Mapping) for item in (*current, *patch)):
        if not all(isinstance(item, str | int | float) for item in (*current, *patch)):
            raise UsageError("a list of lists, or with nulls in it, cannot be merged")
        merged = dict.fromkeys([*current, *patch])
        return _sorted(list(merged), {item: item for item in merged}, order, "")
    key = shape.merge_key
    if any(isinstance(item, Mapping) and item.get(PATCH) == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, Mapping) and PATCH in item)]
    result = {_key(item, key): item for item in current}
    for item in patch:
        name = _key(item, key)
        if item.get(PATCH) == "delete":
            result.pop(name, None)
        else:
            result[name] = _map(shape.item(), result.get(name), item)
    return _sorted([_key(item, key) for item in current], result, order, key)


def _key(item: Any, key: str) -> Any:
    """What tells an item apart. Raises UsageError."""
    if not isinstance(item, Mapping) or not isinstance(item.get(key), str | int):
        raise UsageError(f"map: {str(item)[:80]} does not contain declared merge key: {key}")
    return item[key]


def _sorted(before: Sequence[Any], items: Mapping[Any, Any], order: Any, key: str) -> list[Any]:
    if not isinstance(order, list):
        return list(items.values())
    wanted = [_key(item, key) if key else item for item in order]
    if not all(isinstance(name, str | int | float) for name in wanted):
        raise UsageError(f"{ORDER}… must list plain values")
    new = {name: items[name] for name in wanted if name in items}
    stays = {name: value for name, value in items.items() if name not in new}
    return ordered(new, stays, [*before, *(name for name in stays if name not in before)])


def _delete(result: dict[str, Any], field: str, gone: Sequence[str]) -> None:
    if isinstance(result.get(field), list):
        result[field] = [item for item in result[field] if item not in gone]


def _strings(patch: Mapping[str, Any], key: str) -> list[Any]:
    value = patch[key]
    if not isinstance(value, list):
        raise UsageError(f"{key} must be a list")
    return value
