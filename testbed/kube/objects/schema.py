"""Every kind's fields and their types: the OpenAPI schemas of Kubernetes v1.36, and ours for the Cluster.

Knows JSON schemas. Knows no rule that a schema cannot say; those are in the module of each kind.
"""

from __future__ import annotations

import contextlib
import datetime
import difflib
import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs

from testbed.errors import FeatureMissing
from testbed.kube.objects.fields import FieldError, invalid, required, unsupported
from testbed.kube.objects.source import child, joined

Location = tuple[str | int, ...]

_FOLDER = "kubernetes-json-schema/v1.36.0-local-strict"
_FILES = {
    "Namespace": "namespace-v1.json",
    "Node": "node-v1.json",
    "Pod": "pod-v1.json",
    "Deployment": "deployment-apps-v1.json",
    "Service": "service-v1.json",
    "EndpointSlice": "endpointslice-discovery-v1.json",
    "Endpoints": "endpoints-v1.json",
    "ReplicaSet": "replicaset-apps-v1.json",
    "StatefulSet": "statefulset-apps-v1.json",
    "DaemonSet": "daemonset-apps-v1.json",
    "ControllerRevision": "controllerrevision-apps-v1.json",
    "ConfigMap": "configmap-v1.json",
    "Secret": "secret-v1.json",
    "ServiceCIDR": "servicecidr-networking-v1.json",
    "Event": "event-v1.json",
}
_NEUTRAL: Mapping[str, Any] = {
    "object": {},
    "array": [],
    "string": "",
    "integer": 0,
    "number": 0,
    "boolean": False,
}
_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII
)  # as Go's time.RFC3339
_INT32 = {"minimum": -(2**31), "maximum": 2**31 - 1}
_INT64 = {"minimum": -(2**63), "maximum": 2**63 - 1}  # to a JSON schema, 1e300 is an integer
_BOUNDS: Mapping[str, Any] = {"int32": _INT32, "int64": _INT64}


@dataclass(frozen=True, slots=True)
class SchemaError:
    """A place where an object does not fit its schema; `what` is `unknown`, `type` or `value`.

    `neutral` is an empty value of the right type for a value of a wrong one, so that the other rules can be
    asked as well; None where nothing needs to be put in place.
    """

    location: Location
    error: FieldError
    neutral: Any = None
    what: str = "value"


def schema_errors(kind: str, body: Any) -> list[SchemaError]:
    """Everything in `body` that the schema of `kind` refuses: unknown, missing and mistyped fields."""
    validator = _validator(kind)
    if validator.is_valid(body):
        return []
    return [found for error in validator.iter_errors(body) for found in _explained(kind, error)]


def schema_of(kind: str) -> Mapping[str, Any]:
    """A kind's schema, with Kubernetes' patch extensions (x-kubernetes-…) but no descriptions. Do not change it."""
    return _schema(kind)


def described_schema_of(kind: str) -> Mapping[str, Any]:
    """A kind's schema as Kubernetes publishes it, its definitions by name under `$defs`, descriptions included."""
    schema: dict[str, Any] = json.loads(_vendored(_FILES[kind]))
    definitions = json.loads(_vendored("_definitions.json"))["$defs"]
    schema["$defs"] = found = {}
    todo = _references(schema)
    while todo:
        name = todo.pop()
        found[name] = definitions[name]
        todo |= _references(found[name]) - found.keys()
    return schema


def _explained(kind: str, error: jsonschema_rs.ValidationError) -> Iterator[SchemaError]:
    place: Location = tuple(error.instance_path)
    reason: Any = error.kind  # its attributes depend on the keyword, which its type cannot say
    what = reason.name
    if what == "additionalProperties":
        known = sorted(_part(kind, place).get("properties", {}))
        for name in reason.unexpected:
            yield SchemaError((*place, name), _unknown(joined(place), name, known), what="unknown")
    elif what == "required":
        there = (*place, reason.property)
        yield SchemaError(there, required(joined(there), hint=_description(kind, there)))
    elif what in ("type", "anyOf"):
        yield _mistyped(kind, place, error.instance)
    elif what == "format":
        untimely = invalid(joined(place), error.instance, 'must be a time such as "2006-01-02T15:04:05Z"')
        yield SchemaError(place, untimely, "", "type")
    elif what == "enum":
        yield SchemaError(place, unsupported(joined(place), error.instance, reason.options))
    else:
        yield SchemaError(
            place, invalid(joined(place), error.instance, _bounds(kind, place) or error.message), 0
        )


def _unknown(path: str, name: str, known: Sequence[str]) -> FieldError:
    near = difflib.get_close_matches(name.lower(), [word.lower() for word in known], 1)
    twin = next((word for word in known if near and word.lower() == near[0]), "")
    hint = (
        f'did you mean "{twin}"?' if twin else f"known here: {', '.join(known)}" if len(known) <= 12 else ""
    )
    return FieldError(child(path, name), f'unknown field "{name}"', hint)


def _mistyped(kind: str, place: Location, value: Any) -> SchemaError:
    part = _part(kind, place)
    types = [part["type"]] if "type" in part else [option["type"] for option in part.get("anyOf", ())]
    wanted = " or ".join(types)
    error = invalid(joined(place), value, f"must be of type {wanted}", _retyped(types, value))
    return SchemaError(place, error, _NEUTRAL[types[0]], "type")


def _retyped(types: Sequence[str], value: Any) -> str:
    """How a value of a wrong type would be written right."""
    if "string" in types and isinstance(value, bool):
        return "YAML reads yes, no, on, off, y and n as true or false; put it in quotes"
    if "string" in types and isinstance(value, (int, float)):
        return "put it in quotes"
    if "integer" in types and isinstance(value, str) and value.isdecimal():
        return f"write {value} without quotes"
    if "array" in types and value is not None:
        return 'start each item with "- "'
    if value is None:
        return "leave it out, or give it a value"
    return 'write "name: value" lines, without a leading "- "' if isinstance(value, list) else ""


def _bounds(kind: str, place: Location) -> str:
    part = _part(kind, place)
    return f"must be between {part['minimum']} and {part['maximum']}, inclusive" if "maximum" in part else ""


def _description(kind: str, place: Location) -> str:
    """What our own schema says about a field (Kubernetes' descriptions are pages long and are left out)."""
    return str(_part(kind, place).get("description", ""))


def _part(kind: str, place: Location) -> Mapping[str, Any]:
    """The part of the schema that speaks about a place in the object."""
    schema = _schema(kind)
    part = _followed(schema, schema)
    for step in place:
        if isinstance(step, int):
            part = part.get("items", {})
        else:
            part = part.get("properties", {}).get(step) or part.get("additionalProperties") or {}
        part = _followed(schema, part if isinstance(part, Mapping) else {})
    return part


def _followed(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in part:
        part = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
    return part


def is_time(text: str) -> bool:
    """True for a time as the API writes it (meta/v1 Time, RFC 3339), which Python can read, too."""
    if _TIME.fullmatch(text):
        with contextlib.suppress(ValueError):
            return bool(datetime.datetime.fromisoformat(text))
    return False


@functools.cache
def _validator(kind: str) -> Any:
    formats = {"date-time": is_time}
    return jsonschema_rs.Draft202012Validator(_schema(kind), formats=formats, validate_formats=True)


@functools.cache
def _schema(kind: str) -> dict[str, Any]:
    """The schema of one kind, with only the definitions that it reaches: compiling all takes seconds."""
    if kind == "Cluster":
        own: dict[str, Any] = json.loads(Path(__file__).with_name("cluster.schema.json").read_text("utf-8"))
        return own
    schema: dict[str, Any] = _adapted(json.loads(_vendored(_FILES[kind])))
    schema.pop("$id")
    schema["$defs"] = found = {}
    todo = _references(schema)
    while todo:
        name = todo.pop()
        found[name] = _adapted(_definitions()[name])
        todo |= _references(found[name]) - found.keys()
    return schema


@functools.cache
def _definitions() -> dict[str, Any]:
    definitions: dict[str, Any] = json.loads(_vendored("_definitions.json"))["$defs"]
    return definitions


def _vendored(file: str) -> str:
    # Only the package's place is wanted; importing it would take longer than all the rest of loading.
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise FeatureMissing("kubernetes_validate", "the kinds' schemas are not installed", "make deps")
    return Path(spec.origin).parent.joinpath(_FOLDER, file).read_text("utf-8")


def _references(schema: Any) -> set[str]:
    """The names of the definitions that a schema mentions directly."""
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    if not isinstance(schema, dict):
        return set()
    here = {schema["$ref"].rsplit("/", 1)[1]} if isinstance(schema.get("$ref"), str) else set()
    return here.union(*map(_references, schema.values()))


def _adapted(schema: Any) -> Any:
    """A vendored schema as we need it.

    Without descriptions and with references inside; `null` is no value (a null field is an absent one, and
    `defaults.py` takes it away); int-or-string is an `anyOf`; integers have their bounds.
    """
    if isinstance(schema, list):
        return [_adapted(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    new = {
        key: _adapted(part) for key, part in schema.items() if key != "description" or isinstance(part, dict)
    }
    if isinstance(new.get("$ref"), str):
        new["$ref"] = "#/$defs/" + new["$ref"].rsplit("/", 1)[1]
    if isinstance(new.get("type"), list):
        new["type"] = new["type"][0]
    if "oneOf" in new:  # of an integer and a string; the integer is an int32 (intstr.IntOrString)
        new["anyOf"] = [
            {**part, **_INT32} if part == {"type": "integer"} else part for part in new.pop("oneOf")
        ]
    return {**new, **_BOUNDS.get(str(new.get("format")), {})}
