"""Gives every pod a node (kube-scheduler, with the filters that matter to traffic).

Filters: spec.unschedulable, nodeSelector, required node affinity, allocatable pods. Of the nodes left: the one
with the fewest pods of the same owner, then the fewest pods, then the first by name; the same objects give the
same places.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from testbed.kube.controllers.metadata import controller_uid, with_condition
from testbed.kube.controllers.selectors import has_all, labels_of, term_matches
from testbed.kube.store import Event, EventType, Key, Object, Store, ended, key_of, terminating

UNSCHEDULABLE = "node(s) were unschedulable"
NO_MATCH = "node(s) didn't match Pod's node affinity/selector"

TOO_MANY = "Too many pods"


def obstacle(pod: Object, node: Object) -> str:
    """Why the pod cannot go to the node, in kube-scheduler's words; empty if it can."""
    if node.get("spec", {}).get("unschedulable"):
        return UNSCHEDULABLE
    spec = pod["spec"]
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    fits = has_all(labels_of(node), spec.get("nodeSelector") or {}) and (
        required is None or any(term_matches(node, term) for term in required["nodeSelectorTerms"])
    )
    return "" if fits else NO_MATCH


class Scheduler:
    """Counts pods as they come and go, so that a pod costs one look at each node."""

    name = "scheduler"
    kinds = ("Node", "Pod")

    def __init__(self) -> None:
        self._nodes: dict[str, Object] = {}
        self._placed: dict[Key, tuple[str, str]] = {}  # a pod's node and its owner's uid
        self._pods_on: Counter[str] = Counter()
        self._owned_on: Counter[tuple[str, str]] = Counter()
        self._held: dict[Key, str] = {}  # where a pod has an address, to the end of its termination
        self._holders: defaultdict[str, set[Key]] = defaultdict(set)
        self._waiting: dict[Key, Object] = {}
        self._stuck: dict[Key, Object] = {}  # no node fits; another node, room or another pod spec helps

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn, then place whatever waits, in the order in which it came."""
        for event in events:
            self._learn(event)
        for key, pod in self._waiting.items():
            node = self._best(pod)
            if node is None:
                self._stuck[key] = pod
                self._report(store, pod)
            else:
                self._count(key, node, controller_uid(pod))
                self._hold(key, node)
                _bind(store, pod, node)
        self._waiting.clear()

    def _learn(self, event: Event) -> None:
        gone = event.type is EventType.DELETED
        if event.object["kind"] == "Node":
            name = event.object["metadata"]["name"]
            self._nodes.pop(name, None)
            if not gone:
                self._nodes[name] = event.object
            self._try_again()
        else:
            self._learn_pod(key_of(event.object), event.object, gone)

    def _learn_pod(self, key: Key, pod: Object, gone: bool) -> None:
        self._waiting.pop(key, None)
        stuck = self._stuck.pop(key, None)
        self._uncount(key)
        self._hold(key, "" if gone or ended(pod) else pod["spec"].get("nodeName") or "")
        if gone or ended(pod) or terminating(pod):
            return
        node = pod["spec"].get("nodeName")
        if node:
            self._count(key, node, controller_uid(pod))
        elif stuck is not None and stuck["spec"] == pod["spec"]:
            self._stuck[key] = pod
        else:
            self._waiting[key] = pod

    def _count(self, key: Key, node: str, owner: str) -> None:
        self._placed[key] = node, owner
        self._pods_on[node] += 1
        self._owned_on[node, owner] += 1

    def _uncount(self, key: Key) -> None:
        place = self._placed.pop(key, None)
        if place is not None:
            self._pods_on[place[0]] -= 1
            self._owned_on[place] -= 1

    def _hold(self, key: Key, node: str) -> None:
        """The pod takes room on the node, or with an empty one nowhere: then another may have it."""
        before = self._held.pop(key, "")
        self._holders[before].discard(key)
        if node:
            self._held[key] = node
            self._holders[node].add(key)
        elif before:
            self._try_again()

    def _try_again(self) -> None:
        self._waiting |= self._stuck
        self._stuck.clear()

    def _obstacle(self, pod: Object, node: Object) -> str:
        """The same with room: terminating pods count, as in kube-scheduler's NodeResourcesFit."""
        room = node.get("status", {}).get("allocatable", {}).get("pods")
        full = room is not None and len(self._holders[node["metadata"]["name"]]) >= int(room)
        return obstacle(pod, node) or (TOO_MANY if full else "")

    def _best(self, pod: Object) -> str | None:
        owner = controller_uid(pod)

        def crowd(name: str) -> tuple[int, int, str]:
            return self._owned_on[name, owner] if owner else 0, self._pods_on[name], name

        return min(
            (name for name, node in self._nodes.items() if not self._obstacle(pod, node)),
            key=crowd,
            default=None,
        )

    def _report(self, store: Store, pod: Object) -> None:
        """PodScheduled False with a message like `0/3 nodes are available: 3 node(s) were unschedulable.`"""
        message = "no nodes available to schedule pods"
        if self._nodes:
            reasons = Counter(self._obstacle(pod, node) for node in self._nodes.values())
            listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
            message = f"0/{len(self._nodes)} nodes are available: {listed}."
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        store.update(_with_condition(store, pod, condition))


def _bind(store: Store, pod: Object, node: str) -> None:
    placed = {**pod, "spec": {**pod["spec"], "nodeName": node}}
    store.update(_with_condition(store, placed, {"type": "PodScheduled", "status": "True"}))


def _with_condition(store: Store, pod: Object, condition: Object) -> Object:
    status = pod.get("status", {})
    conditions = with_condition(status.get("conditions", ()), condition, store.timestamp())
    return {**pod, "status": {**status, "conditions": conditions}}
