"""Rules for what yields pods: the selector and the pod template that Deployments and sets have in common.

Knows selectors and templates (pkg/apis/apps/validation, apimachinery `ValidateLabelSelector`) and the fields that
ReplicaSet, StatefulSet and DaemonSet have besides; a Deployment's strategy is `deployment.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from testbed.kube.objects.fields import (
    FieldErrors,
    at_least,
    invalid,
    one_of,
    required,
    unsupported,
)
from testbed.kube.objects.metadata import label_and_annotation_errors
from testbed.kube.objects.names import label_value, labels, named
from testbed.kube.objects.pod import pod_spec_errors
from testbed.kube.objects.requirements import LABEL_OPERATORS, requirement_errors
from testbed.kube.objects.source import child

MOST_REPLICAS = 10_000  # 40 times what a node runs

_UPDATES = ("OnDelete", "RollingUpdate")

Part = Mapping[str, Any]


def replica_set_errors(body: Part) -> FieldErrors:
    """The mistakes in a defaulted ReplicaSet (`ValidateReplicaSet`)."""
    yield from template_errors(body["spec"], "replicaset")
    yield from _numbers(body["spec"], "replicas", "minReadySeconds")
    yield from replicas_errors(body["spec"])


def stateful_set_errors(body: Part) -> FieldErrors:
    """The mistakes in a defaulted StatefulSet (`ValidateStatefulSetSpec`)."""
    spec = body["spec"]
    yield from template_errors(spec, "statefulset")
    yield from _numbers(spec, "replicas", "minReadySeconds", "revisionHistoryLimit")
    yield from replicas_errors(spec)
    yield from one_of("spec.podManagementPolicy", spec["podManagementPolicy"], ("OrderedReady", "Parallel"))
    yield from _update_strategy(spec["updateStrategy"])
    rolling = spec["updateStrategy"].get("rollingUpdate", {})
    yield from at_least("spec.updateStrategy.rollingUpdate.partition", rolling.get("partition", 0))
    yield from at_least("spec.ordinals.start", spec.get("ordinals", {}).get("start", 0))


def daemon_set_errors(body: Part) -> FieldErrors:
    """The mistakes in a defaulted DaemonSet (`ValidateDaemonSetSpec`)."""
    spec = body["spec"]
    yield from template_errors(spec, "daemonset")
    yield from _numbers(spec, "minReadySeconds", "revisionHistoryLimit")
    yield from _update_strategy(spec["updateStrategy"])
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        yield from _daemon_rolling(spec["updateStrategy"]["rollingUpdate"])


def controller_revision_errors(body: Part) -> FieldErrors:
    """The mistakes in a ControllerRevision (`ValidateControllerRevision`)."""
    if body.get("data") is None:
        yield required("data", "data is mandatory")
    yield from at_least("revision", body.get("revision", 0))


def _daemon_rolling(rolling: Part) -> FieldErrors:
    """`ValidateRollingUpdateDaemonSet`: one of the two moves, never both."""
    path = "spec.updateStrategy.rollingUpdate"
    for field in ("maxUnavailable", "maxSurge"):
        yield from count_or_percent(f"{path}.{field}", rolling[field])
    still = [rolling[field] in (0, "0%") for field in ("maxUnavailable", "maxSurge")]
    if all(still):
        detail = "may not be 0 when `maxSurge` is 0"
        yield invalid(f"{path}.maxUnavailable", rolling["maxUnavailable"], detail)
    elif not any(still):
        yield invalid(
            f"{path}.maxSurge", rolling["maxSurge"], "may not be set when `maxUnavailable` is non-zero"
        )


def _update_strategy(strategy: Part) -> FieldErrors:
    yield from one_of("spec.updateStrategy.type", strategy["type"], _UPDATES)
    if strategy["type"] == "OnDelete" and "rollingUpdate" in strategy:
        detail = "only allowed for updateStrategy 'RollingUpdate'"
        yield invalid("spec.updateStrategy.rollingUpdate", strategy["rollingUpdate"], detail)


def replicas_errors(spec: Part) -> FieldErrors:
    """Kubernetes takes 2^31-1, and leaves it to quotas to stop the pods; here these would fill all memory."""
    count = spec.get("replicas", 0)
    if count > MOST_REPLICAS:
        hint = "all pods of a lab instance share one machine"
        yield invalid("spec.replicas", count, f"must be less than or equal to {MOST_REPLICAS}", hint)


def _numbers(spec: Part, *fields: str) -> FieldErrors:
    for field in fields:
        yield from at_least(f"spec.{field}", spec.get(field, 0))


def template_errors(spec: Part, kind: str) -> FieldErrors:
    """The mistakes in `selector` and `template` of a workload, called `kind` in messages."""
    template = spec["template"]
    yield from _selector(spec.get("selector", {}), template.get("metadata", {}).get("labels", {}), kind)
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


def _selector(selector: Part, template_labels: Mapping[str, str], kind: str) -> FieldErrors:
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        detail = f"empty selector is invalid for {kind}"
        yield invalid("spec.selector", selector, detail, _suggested(template_labels))
        return
    yield from label_selector_errors("spec.selector", selector)
    if not selects(selector, template_labels):
        detail = "`selector` does not match template `labels`"
        hint = "give the template every label that spec.selector asks for"
        yield invalid("spec.template.metadata.labels", template_labels, detail, hint)


def _suggested(template_labels: Mapping[str, str]) -> str:
    first = next(iter(template_labels.items()), None)
    return f"matchLabels: {{{first[0]}: {first[1]}}}" if first else "label the template, and match that label"


def label_selector_errors(path: str, selector: Part) -> FieldErrors:
    """The mistakes in a label selector that stands at `path` (`ValidateLabelSelector`)."""
    yield from labels(f"{path}.matchLabels", selector.get("matchLabels", {}))
    for i, expression in enumerate(selector.get("matchExpressions", ())):
        yield from _expression(child(f"{path}.matchExpressions", i), expression)


def _expression(path: str, expression: Part) -> FieldErrors:
    yield from requirement_errors(path, expression, LABEL_OPERATORS)
    for i, value in enumerate(expression.get("values", [])):
        yield from named(child(f"{path}.values", i), value, label_value)


def count_or_percent(path: str, value: int | str) -> FieldErrors:
    """A number of pods, or a share of them (`ValidatePositiveIntOrPercent`)."""
    if isinstance(value, int):
        yield from at_least(path, value)
    elif not re.fullmatch("[0-9]+%", value):
        detail = "a valid percent string must be a numeric string followed by an ending '%'"
        yield invalid(path, value, detail, "e.g. 25%, or a number without quotes")
