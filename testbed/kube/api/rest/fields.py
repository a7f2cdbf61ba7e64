"""Bodies against the schema of their kind: what does not fit is refused, unknown fields as the client wishes.

The wording is that of apimachinery's decoders (fieldValidation, KEP-2885). Knows no store.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from testbed.kube.api.rest import status
from testbed.kube.api.rest.message import Request
from testbed.kube.api.rest.routes import Route
from testbed.kube.objects import Kind
from testbed.kube.objects.defaults import without_nulls
from testbed.kube.objects.fields import shown
from testbed.kube.objects.schema import Location, SchemaError, schema_errors
from testbed.kube.objects.source import joined
from testbed.kube.store import Object

MODES = ("Strict", "Warn", "Ignore")
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery util/rand: nothing that spells a word
_LONGEST_BASE = 58


def mode_of(request: Request) -> str:
    """How unknown fields are met. Raises StatusError."""
    mode = request.query.get("fieldValidation") or "Warn"
    if mode not in MODES:
        raise status.bad_request(f'fieldValidation: Unsupported value: "{mode}": supported values: {MODES}')
    return mode


def vetted(kind: Kind, body: Object, mode: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A copy of the body without nulls and unknown fields, and the warnings. Raises StatusError."""
    plain: dict[str, Any] = without_nulls(body)
    errors = schema_errors(kind.name, plain)
    mistyped = [error for error in errors if error.what == "type"]
    unknown = [error for error in errors if error.what == "unknown"]
    start = (
        f'{kind.name} in version "{kind.api_version.rpartition("/")[2]}" cannot be handled as a {kind.name}'
    )
    if mistyped:
        raise status.bad_request(f"{start}: json: cannot unmarshal: {'; '.join(map(_told, mistyped))}")
    names = [f'unknown field "{joined(error.location)}"' for error in unknown]
    if names and mode == "Strict":
        raise status.bad_request(f"{start}: strict decoding error: {', '.join(names)}")
    for error in unknown:
        _remove(plain, error.location)
    return plain, tuple(names) if mode == "Warn" else ()


def _told(error: SchemaError) -> str:
    return f"{error.error.path or 'the object'}: {error.error.message}"


def _remove(body: Any, location: Location) -> None:
    for step in location[:-1]:
        body = body[step]
    del body[location[-1]]


def placed(route: Route, body: Object, name: str = "") -> dict[str, Any]:
    """The body with the kind, namespace and name that its path says. Raises StatusError if it says otherwise."""
    kind = route.kind
    _check(body.get("kind"), kind.name, "the kind in the data ({}) does not match the expected kind ({})")
    version = "the API version in the data ({}) does not match the expected API version ({})"
    _check(body.get("apiVersion"), kind.api_version, version)
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict):
        raise status.bad_request("metadata must be an object")
    metadata = dict(metadata)
    if kind.namespaced:
        message = "the namespace of the provided object does not match the namespace sent on the request"
        _check(metadata.get("namespace"), route.namespace or "", message)
        metadata["namespace"] = route.namespace
    if name:
        _check(
            metadata.get("name"), name, "the name of the object ({}) does not match the name on the URL ({})"
        )
        metadata["name"] = name
    return {**body, "apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}


def _check(given: Any, expected: str, message: str) -> None:
    if given and given != expected:
        raise status.bad_request(message.format(shown(given)[1:-1], expected))


def named(body: dict[str, Any]) -> dict[str, Any]:
    """With a name out of generateName, if it has none (apiserver names.SimpleNameGenerator)."""
    metadata = body["metadata"]
    base = metadata.get("generateName")
    if metadata.get("name") or not isinstance(base, str) or not base:
        return body
    end = "".join(secrets.choice(_LETTERS) for _ in range(5))
    return {**body, "metadata": {**metadata, "name": base[:_LONGEST_BASE] + end}}


def options(value: Any, known: Sequence[str]) -> dict[str, Any]:
    """The options object of a delete; what is not in it is absent. Raises StatusError."""
    if not isinstance(value, dict):
        raise status.bad_request("the body of a delete is a DeleteOptions object")
    return {key: value[key] for key in known if value.get(key) is not None}
