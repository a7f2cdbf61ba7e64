"""Bodies of requests: bytes to JSON values, hostile ones to a Status.

Knows media types and the limits of a document. Knows nothing of what it says.
"""

from __future__ import annotations

import json
from typing import Any

from testbed.errors import StatusError
from testbed.kube.api.rest import status
from testbed.kube.api.rest.message import Request
from testbed.kube.objects.documents import MAX_DEPTH, documents

MAX_BYTES = 3 << 20  # what a real API server takes (MaxRequestBodyBytes), twice etcd's limit
JSON_TYPES = ("application/json", "")
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml")
PROTOBUF = "application/vnd.kubernetes.protobuf"


def decoded(request: Request) -> Any:
    """The JSON value of a body in JSON, YAML, or Kubernetes' protobuf. Raises StatusError."""
    if request.content_type in JSON_TYPES:
        return from_json(request.body)
    if request.content_type in YAML_TYPES:
        return from_yaml(request.body)
    if request.content_type == PROTOBUF:
        from testbed.kube.api.rest import protobuf  # noqa: PLC0415  (few clusters ever see it: 20 ms of start-up)

        return shallow(protobuf.decoded(request.body))
    raise status.unsupported_media_type(request.content_type, [JSON_TYPES[0], YAML_TYPES[0], PROTOBUF])


def mapping(request: Request) -> dict[str, Any]:
    """The JSON object of a body. Raises StatusError."""
    value = decoded(request)
    if not isinstance(value, dict):
        raise status.bad_request(
            f"couldn't get version/kind; json parse error: a {_name(value)} is no object"
        )
    return value


def from_json(data: bytes) -> Any:
    """JSON as RFC 8259 has it: no NaN, no number beyond a double, no lone surrogates, not too deep."""
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text, parse_constant=_no_number, parse_float=_real, parse_int=_whole)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise status.bad_request(f"the object provided is unrecognized: {error}") from error
    return shallow(value)


def from_yaml(data: bytes) -> Any:
    """One YAML document, as Kubernetes reads it."""
    try:
        found = list(documents(data.decode("utf-8-sig"), ""))
    except ValueError as error:
        raise status.bad_request(f"the object provided is unrecognized: {error}") from error
    if len(found) != 1 or found[0].mistakes:
        why = found[0].mistakes[0].message if found and found[0].mistakes else "one document is wanted"
        raise status.bad_request(f"the object provided is unrecognized: {why}")
    return shallow(found[0].body)


def shallow(value: Any) -> Any:
    """The value itself, if nothing in it is nested too deep for code that follows it step by step."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            part
            for item in level
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return value
    raise _too_deep()


def _too_deep() -> StatusError:
    return status.bad_request(f"the object provided is nested more than {MAX_DEPTH} levels deep")


def _no_number(text: str) -> float:
    raise status.bad_request(f"the object provided is unrecognized: invalid number {text}")


def _real(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return _no_number(text[:40])
    # JSON has one kind of number: 80.0 is 80, and an integer field takes it, as out of YAML.
    return int(number) if number.is_integer() and -(2**63) <= number < 2**63 else number


def _whole(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        _no_number(text[:40])
    return int(text)


def _name(value: Any) -> str:
    return {list: "list", str: "string", bool: "boolean", type(None): "null"}.get(type(value), "number")
