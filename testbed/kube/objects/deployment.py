"""Rules for a Deployment that its schema cannot say (pkg/apis/apps/validation `ValidateDeployment`).

Knows the strategy and the numbers; selector and template are those of every workload (`workload.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import FieldErrors, at_least, forbidden, invalid, one_of
from testbed.kube.objects.workload import count_or_percent, replicas_errors, template_errors

Part = Mapping[str, Any]


def deployment_errors(body: Part) -> FieldErrors:
    """The mistakes in a defaulted Deployment."""
    spec = body["spec"]
    yield from template_errors(spec, "deployment")
    for field in ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        yield from at_least(f"spec.{field}", spec.get(field, 0))
    yield from replicas_errors(spec)
    if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
        detail = "must be greater than minReadySeconds"
        yield invalid("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"], detail)
    yield from _strategy(spec["strategy"])


def _strategy(strategy: Part) -> FieldErrors:
    yield from one_of("spec.strategy.type", strategy["type"], ("Recreate", "RollingUpdate"))
    rolling = strategy.get("rollingUpdate", {})
    if strategy["type"] == "Recreate" and "rollingUpdate" in strategy:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        yield forbidden("spec.strategy.rollingUpdate", detail)
    for field in ("maxUnavailable", "maxSurge"):
        yield from count_or_percent(f"spec.strategy.rollingUpdate.{field}", rolling.get(field, 0))
    both = [rolling.get(field) for field in ("maxUnavailable", "maxSurge")]
    if all(value in (0, "0", "0%") for value in both):
        detail = "may not be 0 when `maxSurge` is 0"
        yield invalid("spec.strategy.rollingUpdate.maxUnavailable", both[0], detail)
