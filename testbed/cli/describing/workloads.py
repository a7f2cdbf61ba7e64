"""The pages of Deployments, ReplicaSets, StatefulSets and DaemonSets (k8s.io/kubectl/pkg/describe)."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.cli.describing.containers import template
from testbed.cli.describing.page import Page
from testbed.cli.describing.parts import NONE, Object, conditions, controller, events, head, marks
from testbed.kube.api.tables.text import labels_text, selector_text
from testbed.kube.client import Client, Query

REVISION = "deployment.kubernetes.io/revision"
HASH_LABEL = "pod-template-hash"
PHASES = (("Running", "Running"), ("Pending", "Waiting"), ("Succeeded", "Succeeded"), ("Failed", "Failed"))


def deployment(page: Page, obj: Object, client: Client) -> None:
    """How far the rollout is, and its ReplicaSets."""
    spec, status = obj["spec"], obj.get("status", {})
    head(page, obj)
    page.field("CreationTimestamp", page.time(obj["metadata"].get("creationTimestamp")))
    marks(page, obj)
    page.field("Selector", selector_text(spec["selector"]))
    counts = {name: status.get(f"{name}Replicas", 0) for name in ("updated", "available", "unavailable")}
    page.field(
        "Replicas",
        f"{spec.get('replicas', 1)} desired | {counts['updated']} updated | {status.get('replicas', 0)} total | "
        f"{counts['available']} available | {counts['unavailable']} unavailable",
    )
    strategy = spec.get("strategy") or {}
    page.field("StrategyType", strategy.get("type", "RollingUpdate"))
    page.field("MinReadySeconds", spec.get("minReadySeconds", 0))
    rolling = strategy.get("rollingUpdate")
    if rolling:
        most = f"{rolling.get('maxUnavailable', '25%')} max unavailable, {rolling.get('maxSurge', '25%')} max surge"
        page.field("RollingUpdateStrategy", most)
    template(page, spec["template"])
    conditions(page, obj)
    _replica_sets(page, obj, client)
    events(page, obj, client)


def _replica_sets(page: Page, obj: Object, client: Client) -> None:
    query = Query(labels=selector_text(obj["spec"]["selector"]))
    found = client.list("ReplicaSet", obj["metadata"]["namespace"], query).items
    own = [each for each in found if _owned(each, obj)]
    revision = (obj["metadata"].get("annotations") or {}).get(REVISION)
    new = [each for each in own if (each["metadata"].get("annotations") or {}).get(REVISION) == revision]
    old = [each for each in own if each not in new]
    if own:
        page.field("OldReplicaSets", _named(old))
        page.field("NewReplicaSet", _named(new))


def _owned(obj: Object, by: Object) -> bool:
    owners = obj["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner["uid"] == by["metadata"]["uid"] for owner in owners)


def _named(replica_sets: Sequence[Object]) -> str:
    words = []
    for each in replica_sets:
        there, wanted = each.get("status", {}).get("replicas", 0), each["spec"].get("replicas", 1)
        words.append(f"{each['metadata']['name']} ({there}/{wanted} replicas created)")
    return ", ".join(words) or NONE


def _pods_status(page: Page, obj: Object, client: Client) -> None:
    """How many of the pods that belong to it are in which phase (`getPodStatusForController`)."""
    query = Query(labels=selector_text(obj["spec"].get("selector")))
    pods = client.list("Pod", obj["metadata"]["namespace"], query).items
    phases = [pod.get("status", {}).get("phase") for pod in pods if _owned(pod, obj)]
    page.field("Pods Status", " / ".join(f"{phases.count(phase)} {word}" for phase, word in PHASES))


def replica_set(page: Page, obj: Object, client: Client) -> None:
    """How many pods there are of how many."""
    head(page, obj)
    page.field("Selector", selector_text(obj["spec"].get("selector")) or NONE)
    marks(page, obj)
    if controller(obj):
        page.field("Controlled By", controller(obj))
    current, desired = obj.get("status", {}).get("replicas", 0), obj["spec"].get("replicas", 1)
    page.field("Replicas", f"{current} current / {desired} desired")
    _pods_status(page, obj, client)
    template(page, obj["spec"]["template"])
    conditions(page, obj)
    events(page, obj, client)


def stateful_set(page: Page, obj: Object, client: Client) -> None:
    """How many pods there are of how many, and how they are changed."""
    spec = obj["spec"]
    head(page, obj)
    page.field("CreationTimestamp", page.time(obj["metadata"].get("creationTimestamp")))
    page.field("Selector", selector_text(spec["selector"]))
    marks(page, obj)
    total = obj.get("status", {}).get("replicas", 0)
    page.field("Replicas", f"{spec.get('replicas', 1)} desired | {total} total")
    strategy = spec.get("updateStrategy") or {}
    page.field("Update Strategy", strategy.get("type", "RollingUpdate"))
    rolling = strategy.get("rollingUpdate") or {}
    if "partition" in rolling:
        page.field("Partition", rolling["partition"], 1)
        if "maxUnavailable" in rolling:
            page.field("MaxUnavailable", rolling["maxUnavailable"], 1)
    _pods_status(page, obj, client)
    template(page, spec["template"])
    claims = (claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or ())
    page.field("Volume Claims", ", ".join(claims) or NONE)
    events(page, obj, client)


_NODES = (
    ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
    ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
    ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
    ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
    ("Number of Nodes Misscheduled", "numberMisscheduled"),
)


def daemon_set(page: Page, obj: Object, client: Client) -> None:
    """On how many nodes its pod runs."""
    spec, status = obj["spec"], obj.get("status", {})
    head(page, obj)
    page.field("Selector", selector_text(spec["selector"]))
    page.field("Node-Selector", labels_text(spec["template"]["spec"].get("nodeSelector")))
    marks(page, obj)
    for title, key in _NODES:
        page.line(f"{title}: {status.get(key, 0)}")
    _pods_status(page, obj, client)
    template(page, spec["template"])
    events(page, obj, client)
