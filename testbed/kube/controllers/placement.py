"""Whether a pod fits a node, in kube-scheduler's words (its filter plugins that matter to traffic). Pure.

Knows one pod and one node. Who else is on the node is `scheduler.py`'s and `neighbours.py`'s knowledge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from testbed.kube.controllers.selectors import has_all, labels_of, term_matches
from testbed.kube.store import Object

UNSCHEDULABLE = "node(s) were unschedulable"
TAINTED = "node(s) had untolerated taint(s)"
NO_MATCH = "node(s) didn't match Pod's node affinity/selector"
UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

Spec = Mapping[str, Any]


def obstacle(spec: Spec, node: Object) -> str:
    """Why a pod cannot go to a node; empty if it can."""
    if node.get("spec", {}).get("unschedulable") and not _tolerates(spec, _CORDON):
        return UNSCHEDULABLE
    if untolerated(spec, node, ("NoSchedule", "NoExecute")):
        return TAINTED
    return "" if matches_node(spec, node) else NO_MATCH


_CORDON = {"key": UNSCHEDULABLE_TAINT, "effect": "NoSchedule"}


def matches_node(spec: Spec, node: Object) -> bool:
    """nodeSelector and required node affinity (plugin NodeAffinity)."""
    if not spec.get("affinity") and not spec.get("nodeSelector"):
        return True
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED)
    return has_all(labels_of(node), spec.get("nodeSelector") or {}) and (
        required is None or any(term_matches(node, term) for term in required["nodeSelectorTerms"])
    )


def untolerated(spec: Spec, node: Object, effects: Collection[str]) -> list[Spec]:
    """The node's taints with one of these effects that the pod does not tolerate (plugin TaintToleration)."""
    taints = node.get("spec", {}).get("taints")
    if not taints:
        return []
    return [taint for taint in taints if taint["effect"] in effects and not _tolerates(spec, taint)]


def _tolerates(spec: Spec, taint: Spec) -> bool:
    return any(tolerates(each, taint) for each in spec.get("tolerations") or ())


def tolerates(toleration: Spec, taint: Spec) -> bool:
    """core/v1 `ToleratesTaint`: an empty effect or key stands for all of them."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def preference(spec: Spec, node: Object) -> tuple[int, int]:
    """How ill a node suits by taints (PreferNoSchedule) and by preferred node affinity: less is better."""
    if not spec.get("affinity") and not node.get("spec", {}).get("taints"):
        return 0, 0
    terms = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_PREFERRED) or ()
    liked = sum(int(term["weight"]) for term in terms if term_matches(node, term["preference"]))
    return len(untolerated(spec, node, ("PreferNoSchedule",))), -liked


def host_ports(spec: Spec) -> Iterator[tuple[str, str, int]]:
    """The ports that a pod takes on its node: host address, protocol, port."""
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *sidecars]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield port.get("hostIP") or "0.0.0.0", port.get("protocol", "TCP"), port["hostPort"]


def conflicting(mine: tuple[str, str, int], theirs: tuple[str, str, int]) -> bool:
    """True if two host ports cannot be on one node: 0.0.0.0 stands for every address (HostPortInfo)."""
    return mine[1:] == theirs[1:] and (mine[0] == theirs[0] or "0.0.0.0" in (mine[0], theirs[0]))
