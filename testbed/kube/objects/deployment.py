"""Rules for a Deployment that its schema cannot say (pkg/apis/apps/validation `ValidateDeployment`).

Knows the selector and the strategy; the pod template's rules are a pod's (`pod.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import (
    FieldErrors,
    at_least,
    forbidden,
    invalid,
    one_of,
    required,
    unsupported,
)
from testbed.kube.objects.metadata import label_and_annotation_errors
from testbed.kube.objects.names import label_value, labels, named, qualified_name
from testbed.kube.objects.pod import pod_spec_errors
from testbed.kube.objects.source import child

_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")

Part = Mapping[str, Any]


def deployment_errors(body: Part) -> FieldErrors:
    """The mistakes in a defaulted Deployment."""
    spec = body["spec"]
    template = spec["template"]
    yield from _selector(spec.get("selector", {}), template.get("metadata", {}).get("labels", {}))
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        yield from at_least(f"spec.{field}", spec.get(field, 0))
    yield from _strategy(spec["strategy"])
    yield from label_and_annotation_errors("spec.template.metadata", template.get("metadata", {}))
    yield from pod_spec_errors("spec.template.spec", template["spec"])
    restart = template["spec"]["restartPolicy"]
    if restart in ("Never", "OnFailure"):
        yield unsupported("spec.template.spec.restartPolicy", restart, ("Always",))


def selects(selector: Part, values: Mapping[str, str]) -> bool:
    """True if a label selector matches labels (`LabelSelectorAsSelector`); an empty one matches all."""
    if any(values.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(_matches(expression, values) for expression in selector.get("matchExpressions", ()))


def _matches(expression: Part, values: Mapping[str, str]) -> bool:
    there, wanted = expression.get("key") in values, expression.get("values", ())
    value = values.get(expression.get("key", ""))
    return {
        "In": there and value in wanted,
        "NotIn": not there or value not in wanted,
        "Exists": there,
        "DoesNotExist": not there,
    }.get(expression.get("operator", ""), False)


def _selector(selector: Part, template_labels: Mapping[str, str]) -> FieldErrors:
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid(
            "spec.selector", selector, "empty selector is invalid for deployment", _suggested(template_labels)
        )
        return
    yield from labels("spec.selector.matchLabels", selector.get("matchLabels", {}))
    for i, expression in enumerate(selector.get("matchExpressions", ())):
        yield from _expression(child("spec.selector.matchExpressions", i), expression)
    if not selects(selector, template_labels):
        detail = "`selector` does not match template `labels`"
        hint = "give the template every label that spec.selector asks for"
        yield invalid("spec.template.metadata.labels", template_labels, detail, hint)


def _suggested(template_labels: Mapping[str, str]) -> str:
    first = next(iter(template_labels.items()), None)
    return f"matchLabels: {{{first[0]}: {first[1]}}}" if first else "label the template, and match that label"


def _expression(path: str, expression: Part) -> FieldErrors:
    operator, values = expression.get("operator", ""), expression.get("values", [])
    yield from named(f"{path}.key", expression.get("key", ""), qualified_name)
    yield from one_of(f"{path}.operator", operator, _OPERATORS)
    if operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(
            f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        )
    for i, value in enumerate(values):
        yield from named(child(f"{path}.values", i), value, label_value)


def _strategy(strategy: Part) -> FieldErrors:
    yield from one_of("spec.strategy.type", strategy["type"], ("Recreate", "RollingUpdate"))
    rolling = strategy.get("rollingUpdate", {})
    if strategy["type"] == "Recreate" and "rollingUpdate" in strategy:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden("spec.strategy.rollingUpdate", detail)
    for field in ("maxUnavailable", "maxSurge"):
        yield from _count_or_percent(f"spec.strategy.rollingUpdate.{field}", rolling.get(field, 0))
    both = [rolling.get(field) for field in ("maxUnavailable", "maxSurge")]
    if all(value in (0, "0", "0%") for value in both):
        detail = "may not be 0 when `maxSurge` is 0"
        yield invalid("spec.strategy.rollingUpdate.maxUnavailable", both[0], detail)


def _count_or_percent(path: str, value: int | str) -> FieldErrors:
    if isinstance(value, int):
        yield from at_least(path, value)
    elif not re.fullmatch("[0-9]+%", value):
        detail = "a valid percent string must be a numeric string followed by an ending '%'"
        yield invalid(path, value, detail, "e.g. 25%, or a number without quotes")
