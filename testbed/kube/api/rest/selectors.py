"""Label and field selectors of a list or a watch, out of a query (apimachinery pkg/labels, pkg/fields).

Knows their grammar. Knows no store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from testbed.kube.api.rest import status
from testbed.kube.objects import Kind
from testbed.kube.objects.names import label_value, qualified_name
from testbed.kube.store import Object

Matches = Callable[[Object], bool]

_TERM = re.compile(
    r"\s*(?:(?P<absent>!)\s*(?P<no>[^\s=!<>(),]+)"
    r"|(?P<key>[^\s=!<>(),]+)\s*(?:"
    r"(?P<operator>==|=|!=|<|>)\s*(?P<value>[^\s=!<>(),]*)"
    r"|\s(?P<set>in|notin)\s*\((?P<values>[^()]*)\)"
    r")?)\s*(?:,(?=.)|$)",
    re.DOTALL,
)

_EVENT_FIELDS = (
    *(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")),
    "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
)  # fmt: skip
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName"),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "ReplicaSet": ("status.replicas",),
    "Secret": ("type",),
    "Service": ("spec.clusterIP", "spec.type"),
    "Event": _EVENT_FIELDS,
}  # fmt: skip
"""Beside metadata.name and metadata.namespace: the fields of each kind's ToSelectableFields in Kubernetes."""


def everything(_: Object) -> bool:
    """What an absent selector matches."""
    return True


def label_selector(text: str) -> Matches:
    """`a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Raises StatusError."""
    terms: list[Callable[[Mapping[str, str]], bool]] = []
    position = 0
    while position < len(text):
        found = _TERM.match(text, position)
        if found is None or not found[0].strip():
            raise status.bad_request(
                f'unable to parse requirement: found {text[position:]!r} in label selector "{text}"'
            )
        terms.append(_requirement(found))
        position = found.end()
    return lambda obj: all(term(obj["metadata"].get("labels") or {}) for term in terms)


def _requirement(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    key = found["no"] or found["key"]
    values = [value.strip() for value in (found["values"] or found["value"] or "").split(",")]
    for wrong in (qualified_name(key), *map(label_value, values)):
        if wrong:
            raise status.bad_request(f"unable to parse requirement: {key}: {wrong}")
    operator = found["operator"] or found["set"]
    if found["absent"]:
        return lambda labels: key not in labels
    if operator in ("=", "==", "in"):
        return lambda labels: labels.get(key) in values
    if operator in ("!=", "notin"):
        return lambda labels: labels.get(key) not in values
    if operator in ("<", ">"):
        return _comparison(key, operator, values[0])
    return lambda labels: key in labels


def _comparison(key: str, operator: str, bound: str) -> Callable[[Mapping[str, str]], bool]:
    if not _whole(bound):
        raise status.bad_request(
            f"unable to parse requirement: for '{operator}' the value must be an integer"
        )

    def holds(labels: Mapping[str, str]) -> bool:
        value = labels.get(key, "")
        return _whole(value) and (int(value) > int(bound) if operator == ">" else int(value) < int(bound))

    return holds


def _whole(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}", text) is not None


def field_selector(kind: Kind, text: str) -> Matches:
    """`metadata.name=web,status.phase!=Running`; a field that a kind has not got is refused. Raises StatusError."""
    terms: list[tuple[str, bool, str]] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"\s*([^=!\s]+)\s*(==|=|!=)(.*)", part, re.DOTALL)
        if found is None:
            raise status.bad_request(f"invalid field selector: {part!r}: use =, == or !=")
        path, operator, value = found.groups()
        known = (
            "metadata.name",
            *(["metadata.namespace"] if kind.namespaced else []),
            *_FIELDS.get(kind.name, ()),
        )
        if path not in known:
            raise status.bad_request(f"field label not supported: {path}")
        terms.append((path, operator != "!=", value.strip()))
    return lambda obj: all((_field(obj, path) == value) is wanted for path, wanted, value in terms)


def _field(obj: Object, path: str) -> str:
    """A field as text; of one that is not there, what Go's zero value prints as."""
    value: Any = obj
    for step in ("source", "component") if path == "source" else path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if value is None and path in ("spec.unschedulable", "spec.hostNetwork"):
        value = False
    if value is None and path == "status.replicas":
        value = 0
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def both(first: Matches, second: Matches) -> Matches:
    """What matches two selectors."""
    return lambda obj: first(obj) and second(obj)
