"""Which pods a target stands for: a pod's own name, or what selects pods (`deploy/web`, `svc/web`).

Follows kubectl's polymorphic helpers: of several pods, the one that is best to talk to comes first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from testbed.cli import common
from testbed.errors import NotFound, UsageError
from testbed.kube.api.tables.text import selector_text
from testbed.kube.client import Client, Query
from testbed.kube.objects import Kind, kind_named

Object = Mapping[str, Any]


def is_ready(pod: Object) -> bool:
    """True if the pod's Ready condition is True."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def pods_of(client: Client, namespace: str, target: str) -> list[Object]:
    """The pods of `NAME`, `pod/NAME` or `KIND/NAME`, the best first. Raises NotFound, UsageError, StatusError."""
    word, name = common.split_target(target)
    kind = kind_named(word or "pod")
    obj = client.get(kind, namespace, name)
    if kind.name == "Pod":
        return [obj]
    pods = selected_pods(client, namespace, pod_selector(kind, obj))
    if not pods:
        raise NotFound(f"no pods found for {kind.singular} {name!r}")
    return pods


def selected_pods(client: Client, namespace: str, labels: str) -> list[Object]:
    """The pods that a selector finds, the best first."""
    found: Sequence[Object] = client.list("Pod", namespace, Query(labels=labels)).items
    return sorted(found, key=_rank)


def pod_selector(kind: Kind, obj: Object) -> str:
    """How a Service or a workload selects its pods. Raises UsageError for what selects none."""
    selector = obj.get("spec", {}).get("selector")
    if not selector:
        raise UsageError(
            f"cannot find the pods of {kind.singular} {obj['metadata']['name']!r}: it has no selector"
        )
    return selector_text({"matchLabels": selector} if kind.name == "Service" else selector)


def _rank(pod: Object) -> tuple[Any, ...]:
    """`podutils.ActivePods`, the best first: has a node, runs, is ready, restarted least, is oldest."""
    status, metadata = pod.get("status", {}), pod["metadata"]
    restarts = max((c.get("restartCount", 0) for c in status.get("containerStatuses") or ()), default=0)
    return (
        "deletionTimestamp" in metadata,
        not pod["spec"].get("nodeName"),
        status.get("phase") != "Running",
        not is_ready(pod),
        restarts,
        metadata.get("creationTimestamp", ""),
        metadata["name"],
    )


def containers_of(pod: Object) -> list[str]:
    """The names of a pod's containers, those that begin it last."""
    spec = pod["spec"]
    return [c["name"] for key in ("containers", "initContainers") for c in spec.get(key) or ()]
