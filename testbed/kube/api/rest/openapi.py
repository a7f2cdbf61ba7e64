"""The API's description: OpenAPI v3 with Kubernetes' own schemas, v2 with no more than its name.

kubectl asks v3 for `explain` and whether a write may be checked by the server; up to 1.26 it asked v2, in
protobuf, and does without where a kind is not in there. Knows schemas; knows no objects.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

from testbed.kube.api.rest.answers import accepted
from testbed.kube.api.rest.discovery import kinds_of, versions
from testbed.kube.api.rest.message import JSON, Request, Response, dumps
from testbed.kube.objects import KINDS, Kind
from testbed.kube.objects.schema import described_schema_of
from testbed.kube.objects.version import KUBERNETES

_ASKED = "application/com.github.proto-openapi.spec.v2{}v1.0+protobuf"
PROTOBUF = _ASKED.format(".")  # the "@" that clients up to 1.26 ask with is no part of a media type
_INFO = {"title": "Kubernetes", "version": f"v{'.'.join(KUBERNETES)}"}
_REFERENCE = "#/components/schemas/"
_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


def openapi(request: Request) -> Response | None:
    """The answer to a path below /openapi; None if there is none."""
    path = request.path.strip("/")
    if path == "openapi/v2":
        types = [media for media, _ in accepted(request.headers.get("accept", ""))]
        asked = {PROTOBUF, _ASKED.format("@")} & set(types)
        return Response(200, _v2_protobuf(), PROTOBUF) if asked else _json(_v2())
    if path == "openapi/v3":
        return _json(dumps({"paths": {name: {"serverRelativeURL": url} for name, url in _urls().items()}}))
    version = path.removeprefix("openapi/v3/")
    return _json(_document(version)) if version in _urls() else None


def _json(data: bytes) -> Response:
    return Response(200, data + b"\n", JSON)


@functools.cache
def _urls() -> dict[str, str]:
    """Where each group version is described; the hash changes with the product, so that clients may cache."""
    paths = [("apis/" if "/" in version else "api/") + version for version in versions()]
    made = hashlib.sha256(repr((KUBERNETES, *KINDS.values())).encode()).hexdigest().upper()
    return {path: f"/openapi/v3/{path}?hash={made}" for path in paths}


def _v2() -> bytes:
    return dumps({"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}})


def _v2_protobuf() -> bytes:
    """A Document of github.com/google/gnostic: swagger = 1, info = 2 (title = 1, version = 2), paths = 8."""
    info = _text(1, _INFO["title"].encode()) + _text(2, _INFO["version"].encode())
    return _text(1, b"2.0") + _text(2, info) + _text(8, b"")


def _text(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value  # all of them are shorter than 128 bytes


@functools.cache
def _document(path: str) -> bytes:
    version = path.partition("/")[2]
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for kind in kinds_of(version):
        whole = dict(described_schema_of(kind.name))
        definitions = whole.pop("$defs")
        schemas |= {name: _adapted(schema) for name, schema in definitions.items()}
        schemas[_name(kind)] = _adapted(whole)
        paths[f"/{path}/{_place(kind)}"] = _operations(kind)
    head = {"openapi": "3.0.0", "info": _INFO}
    return dumps({**head, "paths": paths, "components": {"schemas": schemas}})


def _place(kind: Kind) -> str:
    return (
        f"namespaces/{{namespace}}/{kind.plural}/{{name}}" if kind.namespaced else f"{kind.plural}/{{name}}"
    )


def _name(kind: Kind) -> str:
    """A schema's name in Kubernetes: io.k8s.api.GROUP.VERSION.KIND."""
    group, _, version = kind.api_version.rpartition("/")
    return f"io.k8s.api.{group.partition('.')[0] or 'core'}.{version}.{kind.name}"


def _operations(kind: Kind) -> dict[str, Any]:
    group, _, version = kind.api_version.rpartition("/")
    of = {"group": group, "version": version, "kind": kind.name}
    text = {"type": "string"}
    parameters = [{"name": name, "in": "query", "schema": text} for name in _PARAMETERS]
    answers = {
        "200": {"description": "OK", "content": {JSON: {"schema": {"$ref": _REFERENCE + _name(kind)}}}}
    }
    return {
        verb: {
            "operationId": f"{verb}{kind.name}",
            "parameters": parameters if verb in ("put", "patch") else [],
            "responses": answers,
            "x-kubernetes-group-version-kind": of,
        }
        for verb in ("get", "put", "patch", "delete")
    }


def _adapted(schema: Any) -> Any:
    """A vendored schema as OpenAPI v3 has it: one type, references into this document, open objects."""
    if isinstance(schema, list):
        return [_adapted(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    new = {
        key: _adapted(part)
        for key, part in schema.items()
        if key not in ("$schema", "$id") and not (key == "additionalProperties" and part is False)
    }
    if isinstance(new.get("$ref"), str):
        return {"allOf": [{"$ref": _REFERENCE + new.pop("$ref").rsplit("/", 1)[1]}], **new}
    if isinstance(new.get("type"), list):
        new["type"] = new["type"][0]
    return new
