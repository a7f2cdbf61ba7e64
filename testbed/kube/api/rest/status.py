"""Status objects (meta.k8s.io/v1): what the API says instead of an object, in apimachinery's words.

The wording and the codes are those of k8s.io/apimachinery/pkg/api/errors. Knows no requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from testbed.errors import (
    Conflict,
    Expired,
    ManifestErrors,
    Mistake,
    NotFound,
    StatusError,
    TestbedError,
    UsageError,
    error_to_json,
)
from testbed.kube.objects import Kind

CODES = {
    "BadRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "NotAcceptable": 406,
    "Conflict": 409,
    "AlreadyExists": 409,
    "Expired": 410,
    "RequestEntityTooLarge": 413,
    "UnsupportedMediaType": 415,
    "Invalid": 422,
    "InternalError": 500,
    "Timeout": 504,
}
"""HTTP codes by reason."""

_CAUSES = {
    "Required value": "FieldValueRequired",
    "Invalid value": "FieldValueInvalid",
    "Unsupported value": "FieldValueNotSupported",
    "Duplicate value": "FieldValueDuplicate",
    "Forbidden": "FieldValueForbidden",
    "Too many": "FieldValueTooMany",
    "Too long": "FieldValueTooLong",
}

_ELSEWHERE = {
    "exec": "pods are entered without the API: testbed exec -it pod/NAME -- COMMAND",
    "attach": "containers have no terminal; what they write: testbed logs -f NAME",
    "portforward": "pods are reached from inside the lab instance: testbed exec client1 -- curl ADDRESS",
}
"""Subresources of pods that are not served, and what does the same."""


def group_of(kind: Kind) -> str:
    """A kind's API group; empty for the core group."""
    return kind.api_version.rpartition("/")[0]


def qualified(kind: Kind) -> str:
    """A resource with its group, as messages name it: `pods`, `deployments.apps`."""
    group = group_of(kind)
    return f"{kind.plural}.{group}" if group else kind.plural


def failure(reason: str, message: str, details: Mapping[str, Any] | None = None) -> StatusError:
    """A Status of one of the reasons in `CODES`."""
    body: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
    }
    if details is not None:
        body["details"] = dict(details)
    return StatusError(body | {"code": CODES[reason]})


def success(kind: Kind, name: str, uid: str) -> dict[str, Any]:
    """What a delete says when the object is gone at once."""
    details = _details(kind, name) | {"uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _details(kind: Kind, name: str, of: str = "") -> dict[str, Any]:
    group = {"group": group_of(kind)} if group_of(kind) else {}
    return {"name": name, **group, "kind": of or kind.plural}


def not_found(kind: Kind, name: str) -> StatusError:
    """There is no such object."""
    return failure("NotFound", f'{qualified(kind)} "{name}" not found', _details(kind, name))


def no_resource(path: str) -> StatusError:
    """The path leads nowhere; for what kubectl does through an API server, who does it here.

    Details without anything are what a server sends; without any `kubectl debug` panics.
    """
    remedy = _ELSEWHERE.get(path.rpartition("/")[2]) if "/pods/" in path else None
    told = f" ({remedy})" if remedy else ""
    return failure("NotFound", f"the server could not find the requested resource{told}", {})


def already_exists(kind: Kind, name: str) -> StatusError:
    """A create of what is there."""
    return failure("AlreadyExists", f'{qualified(kind)} "{name}" already exists', _details(kind, name))


def conflict(kind: Kind, name: str, why: str = "") -> StatusError:
    """Somebody else was faster, or a precondition does not hold."""
    reason = (
        why or "the object has been modified; please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {qualified(kind)} "{name}": {reason}'
    return failure("Conflict", message, _details(kind, name))


def forbidden(kind: Kind, name: str, why: str) -> StatusError:
    """What nobody may do."""
    return failure("Forbidden", f'{qualified(kind)} "{name}" is forbidden: {why}', _details(kind, name))


def bad_request(message: str) -> StatusError:
    """The request cannot be understood."""
    return failure("BadRequest", message)


def invalid(kind: Kind, name: str, mistakes: Sequence[Mistake]) -> StatusError:
    """The object is wrong; each mistake is a cause."""
    causes = [
        {"reason": _cause(mistake.message), "message": mistake.message, "field": mistake.path or "<nil>"}
        for mistake in mistakes
    ]
    told = [f"{mistake.path}: {mistake.message}" if mistake.path else mistake.message for mistake in mistakes]
    whole = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    where = f"{kind.name}.{group_of(kind)}" if group_of(kind) else kind.name
    details = _details(kind, name, kind.name) | {"causes": causes}
    return failure("Invalid", f'{where} "{name}" is invalid: {whole}', details)


def _cause(message: str) -> str:
    start = re.match(r"[A-Z][a-z]+( [a-z]+)?", message)
    return _CAUSES.get(start[0] if start else "", "FieldValueInvalid")


def method_not_allowed() -> StatusError:
    """The resource has no such verb."""
    return failure("MethodNotAllowed", "the server does not allow this method on the requested resource")


def unsupported_media_type(given: str, accepted: Sequence[str]) -> StatusError:
    """The body is of a type that is not read here."""
    message = "the body of the request was in an unknown format - accepted media types include"
    told = f"{message}: {', '.join(accepted)} (given: {given or 'none'})"
    return failure("UnsupportedMediaType", told)


def unread_protobuf(what: str) -> StatusError:
    """A body in protobuf that has what is read in JSON only."""
    message = f"{what or 'this object'} is not read in protobuf"
    remedy = "send JSON: kubectl create … --dry-run=client -o yaml | kubectl apply -f -"
    return failure("UnsupportedMediaType", f"{message}; {remedy}")


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """The client wants an answer of a type that is not written here."""
    message = "only the following media types are accepted"
    return failure("NotAcceptable", f"{message}: {', '.join(accepted)}")


def too_large(limit: int) -> StatusError:
    """The body has more bytes than that."""
    return failure("RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def future_version(asked: int, current: int) -> StatusError:
    """A resourceVersion that does not exist yet."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    details = {"causes": [cause], "retryAfterSeconds": 1}
    return failure("Timeout", f"Too large resource version: {asked}, current: {current}", details)


def of_error(error: TestbedError) -> StatusError:
    """The Status of any error of ours; `testbed` in it holds the error itself, for clients that know it."""
    if isinstance(error, StatusError):
        return error
    reasons = (
        (NotFound, "NotFound"),
        (Expired, "Expired"),
        (Conflict, "Conflict"),
        (ManifestErrors, "Invalid"),
    )
    named = next((reason for kind, reason in reasons if isinstance(error, kind)), "")
    reason = named or ("BadRequest" if isinstance(error, UsageError) else "InternalError")
    told = failure(reason, str(error))
    return StatusError({**told.status, "testbed": error_to_json(error)})
