"""One requirement of a selector by expressions: key, operator, values. Knows neither nodes nor pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldErrors, forbidden, one_of, required
from testbed.kube.objects.names import named, qualified_name

LABEL_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")


def requirement_errors(path: str, requirement: Mapping[str, Any], operators: tuple[str, ...]) -> FieldErrors:
    """What `ValidateLabelSelectorRequirement` and `ValidateNodeSelectorRequirement` have in common."""
    operator, values = requirement.get("operator", ""), requirement.get("values", [])
    yield from named(f"{path}.key", requirement.get("key", ""), qualified_name)
    yield from one_of(f"{path}.operator", operator, operators)
    if operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(
            f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        )
