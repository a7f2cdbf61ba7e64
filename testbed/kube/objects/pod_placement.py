"""Rules for where a pod wants to be: tolerations, affinity, spreading (pkg/apis/core/validation).

Knows these parts of a pod's spec. Which node they lead to is the scheduler's matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldErrors, at_least, invalid, one_of, required
from testbed.kube.objects.names import label_value, named, qualified_name
from testbed.kube.objects.requirements import LABEL_OPERATORS, requirement_errors
from testbed.kube.objects.source import child

_OPERATORS = ("DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn")
_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

Part = Mapping[str, Any]


def placement_errors(path: str, spec: Part) -> FieldErrors:
    """The mistakes in what the spec at `path` says about places."""
    for i, toleration in enumerate(spec.get("tolerations", ())):
        yield from _toleration(child(f"{path}.tolerations", i), toleration)
    affinity = spec.get("affinity", {})
    yield from _node_affinity(f"{path}.affinity.nodeAffinity", affinity.get("nodeAffinity", {}))
    for field in ("podAffinity", "podAntiAffinity"):
        yield from _pod_affinity(f"{path}.affinity.{field}", affinity.get(field, {}))
    for i, constraint in enumerate(spec.get("topologySpreadConstraints", ())):
        yield from _spread(child(f"{path}.topologySpreadConstraints", i), constraint)


def _toleration(path: str, toleration: Part) -> FieldErrors:
    operator = toleration.get("operator", "Equal") or "Equal"
    yield from one_of(f"{path}.operator", operator, ("Equal", "Exists"))
    if toleration.get("key"):
        yield from named(f"{path}.key", toleration["key"], qualified_name)
    elif operator != "Exists":
        yield invalid(f"{path}.operator", operator, "operator must be Exists when `key` is empty")
    if operator == "Exists" and toleration.get("value"):
        yield invalid(f"{path}.operator", operator, "value must be empty when `operator` is 'Exists'")
    if toleration.get("effect"):
        yield from one_of(f"{path}.effect", toleration["effect"], _EFFECTS)
    if "tolerationSeconds" in toleration and toleration.get("effect") not in ("NoExecute", None, ""):
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid(f"{path}.effect", toleration["effect"], detail)


def _node_affinity(path: str, affinity: Part) -> FieldErrors:
    if _REQUIRED in affinity:
        terms = affinity[_REQUIRED].get("nodeSelectorTerms", [])
        if not terms:
            detail = "must have at least one node selector term"
            yield required(f"{path}.{_REQUIRED}.nodeSelectorTerms", detail)
        for i, term in enumerate(terms):
            yield from _node_term(child(f"{path}.{_REQUIRED}.nodeSelectorTerms", i), term)
    for i, wish in enumerate(affinity.get(_PREFERRED, ())):
        place = child(f"{path}.{_PREFERRED}", i)
        yield from _weight(place, wish)
        yield from _node_term(f"{place}.preference", wish.get("preference", {}))


def _node_term(path: str, term: Part) -> FieldErrors:
    for field in ("matchExpressions", "matchFields"):
        for i, requirement in enumerate(term.get(field, ())):
            yield from _requirement(child(f"{path}.{field}", i), requirement, _OPERATORS)


def _requirement(path: str, requirement: Part, operators: tuple[str, ...]) -> FieldErrors:
    """`ValidateNodeSelectorRequirement`; without Gt and Lt `ValidateLabelSelectorRequirement`."""
    operator, values = requirement.get("operator", ""), requirement.get("values", [])
    yield from requirement_errors(path, requirement, operators)
    if operator in ("Gt", "Lt") and not (len(values) == 1 and values[0].lstrip("-").isdecimal()):
        detail = "must be specified single value when `operator` is 'Lt' or 'Gt'"
        yield required(f"{path}.values", detail, "one whole number")


def _weight(path: str, wish: Part) -> FieldErrors:
    if not 1 <= wish.get("weight", 0) <= 100:
        yield invalid(f"{path}.weight", wish.get("weight", 0), "must be in the range 1-100")


def _pod_affinity(path: str, affinity: Part) -> FieldErrors:
    for i, term in enumerate(affinity.get(_REQUIRED, ())):
        yield from _pod_term(child(f"{path}.{_REQUIRED}", i), term)
    for i, wish in enumerate(affinity.get(_PREFERRED, ())):
        place = child(f"{path}.{_PREFERRED}", i)
        yield from _weight(place, wish)
        yield from _pod_term(f"{place}.podAffinityTerm", wish.get("podAffinityTerm", {}))


def _pod_term(path: str, term: Part) -> FieldErrors:
    yield from _topology_key(path, term)
    yield from _selector(f"{path}.labelSelector", term.get("labelSelector", {}))


def _topology_key(path: str, part: Part) -> FieldErrors:
    if part.get("topologyKey"):
        yield from named(f"{path}.topologyKey", part["topologyKey"], qualified_name)
    else:
        yield required(f"{path}.topologyKey", "can not be empty", "e.g. kubernetes.io/hostname")


def _selector(path: str, selector: Part) -> FieldErrors:
    for key, value in selector.get("matchLabels", {}).items():
        yield from named(child(f"{path}.matchLabels", key), value, label_value)
    for i, requirement in enumerate(selector.get("matchExpressions", ())):
        yield from _requirement(child(f"{path}.matchExpressions", i), requirement, LABEL_OPERATORS)


def _spread(path: str, constraint: Part) -> FieldErrors:
    yield from at_least(f"{path}.maxSkew", constraint.get("maxSkew", 0), 1)
    yield from _topology_key(path, constraint)
    words = ("DoNotSchedule", "ScheduleAnyway")
    yield from one_of(f"{path}.whenUnsatisfiable", constraint.get("whenUnsatisfiable", ""), words)
    if "minDomains" in constraint:
        yield from at_least(f"{path}.minDomains", constraint["minDomains"], 1)
    yield from _selector(f"{path}.labelSelector", constraint.get("labelSelector", {}))
