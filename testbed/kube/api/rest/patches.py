"""PATCH bodies: which kind of patch one is, and what it makes of an object.

Knows JSON patch (RFC 6902, by the library), JSON merge patch (RFC 7386) and the strategic one. Knows no store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from testbed.errors import UsageError
from testbed.kube.api.rest import status
from testbed.kube.api.rest.body import MAX_BYTES, from_json, shallow
from testbed.kube.api.rest.message import Request, dumps
from testbed.kube.api.strategic import strategic_merge
from testbed.kube.objects import Kind
from testbed.kube.store import Object

MAX_OPERATIONS = 10_000  # a real API server's limit

Patch = Callable[[Object], Any]


def patch_of(kind: Kind, request: Request) -> Patch:
    """What turns the stored object into the wanted one. Raises StatusError, at once or when it is called."""
    makers: Mapping[str, Callable[[Kind, Any], Patch]] = {
        "application/json-patch+json": _json_patch,
        "application/merge-patch+json": _merge_patch,
        "application/strategic-merge-patch+json": _strategic,
    }
    if request.content_type not in makers:
        raise status.unsupported_media_type(request.content_type, list(makers))
    return makers[request.content_type](kind, from_json(request.body))


def _json_patch(_: Kind, operations: Any) -> Patch:
    if not isinstance(operations, list):
        raise status.bad_request("error decoding patch: a JSON patch is a list of operations")
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise status.failure("RequestEntityTooLarge", message)
    return lambda obj: _operated(obj, operations)


def _operated(obj: Object, operations: Sequence[Any]) -> Any:
    """The object after the operations. What copies add up to is bounded: each can double the object."""
    from jsonpath import JSONPatch, pointer  # here, since few requests need it
    from jsonpath.exceptions import JSONPatchError, JSONPointerError

    value = from_json(dumps(obj))  # a copy of its own: operations change it in place
    left = MAX_BYTES
    try:
        for operation in operations:
            patch = JSONPatch([operation])
            if operation["op"] == "copy":
                left -= len(dumps(pointer.resolve(operation["from"], value)))
                if left < 0:
                    raise status.too_large(MAX_BYTES)
            value = patch.apply(value)
    except (JSONPatchError, JSONPointerError) as error:
        message = f"the server rejected our request due to an error in our request: {error}"
        raise status.failure("Invalid", message) from error
    return shallow(value)


def _merge_patch(_: Kind, patch: Any) -> Patch:
    if not isinstance(patch, dict):
        raise status.bad_request("error decoding patch: a JSON merge patch of an object is an object")
    return lambda obj: merge(obj, patch)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def _strategic(kind: Kind, patch: Any) -> Patch:
    if not isinstance(patch, dict):
        raise status.bad_request("error decoding patch: a strategic merge patch is an object")

    def change(obj: Object) -> Any:
        try:
            return strategic_merge(kind.name, obj, patch)
        except UsageError as error:
            raise status.bad_request(str(error)) from error

    return change
