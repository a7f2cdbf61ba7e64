"""A pod out of a template (controller_utils.go `GetPodFromTemplate`). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from testbed.kube.controllers.metadata import owner_reference
from testbed.kube.objects import defaulted
from testbed.kube.store import Object


def pod_from(
    owner: Object, template: Mapping[str, Any], name: str, labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """A new pod of `owner`, with `labels` beside those of the template, and all defaults."""
    given = template.get("metadata") or {}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": {**(given.get("labels") or {}), **(labels or {})},
        "ownerReferences": [owner_reference(owner)],
    }
    for field in ("annotations", "finalizers"):
        if given.get(field):
            metadata[field] = given[field]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    return defaulted({**pod, "status": {"phase": "Pending"}})
