"""Which labels a selector wants (apimachinery labels.Selector, core/v1 NodeSelector). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from testbed.kube.store import Object

Labels = Mapping[str, str]


def labels_of(obj: Object) -> Labels:
    """An object's labels."""
    labels: Labels = obj["metadata"].get("labels") or {}
    return labels


def has_all(labels: Labels, wanted: Labels) -> bool:
    """True if every wanted label is there with that value (a Service's selector, a pod's nodeSelector)."""
    return all(labels.get(key) == value for key, value in wanted.items())


def meets(labels: Labels, requirement: Mapping[str, Any]) -> bool:
    """True if one match expression holds: In, NotIn, Exists, DoesNotExist, for nodes also Gt and Lt.

    NotIn holds for a missing label, as in Kubernetes.
    """
    value = labels.get(requirement["key"])
    values: Sequence[str] = requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(value, values[0], operator)
    return False


def _compares(value: str | None, bound: str, operator: str) -> bool:
    """Labels that are no whole number match neither way."""
    if value is None or not value.lstrip("-").isdecimal():
        return False
    return int(value) > int(bound) if operator == "Gt" else int(value) < int(bound)


def term_matches(node: Object, term: Mapping[str, Any]) -> bool:
    """True if a node selector term holds: all its expressions and fields; an empty term matches no node."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    name = {"metadata.name": node["metadata"]["name"]}
    return bool(expressions or fields) and (
        all(meets(labels_of(node), expression) for expression in expressions)
        and all(meets(name, field) for field in fields)
    )
