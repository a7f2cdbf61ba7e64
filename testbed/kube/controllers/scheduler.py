"""Gives every pod a node (kube-scheduler, with the filters that matter to traffic).

Filters: cordon, taints, nodeSelector and node affinity (`placement.py`), allocatable pods, host ports, affinity to
other pods and spreading (`neighbours.py`). Of the nodes left: the one that the pod prefers, then the one with the
fewest pods of the same owner, then the fewest pods, then the first by name; the same objects give the same places.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from testbed.kube.controllers.events import record, warn
from testbed.kube.controllers.metadata import controller_uid, with_condition
from testbed.kube.controllers.neighbours import Check, Neighbours, sociable
from testbed.kube.controllers.placement import obstacle, preference
from testbed.kube.store import Event, EventType, Key, Object, Store, ended, key_of, terminating

TOO_MANY = "Too many pods"
SCHEDULER = "default-scheduler"


class Scheduler:
    """Counts pods as they come and go, so that a pod costs one look at each node."""

    name = SCHEDULER
    kinds = ("Node", "Pod")

    def __init__(self) -> None:
        self._nodes: dict[str, Object] = {}
        self._placed: dict[Key, tuple[str, str]] = {}  # a pod's node and its owner's uid
        self._pods_on: Counter[str] = Counter()
        self._owned_on: Counter[tuple[str, str]] = Counter()
        self._held: dict[Key, str] = {}  # where a pod has an address, to the end of its termination
        self._holders: defaultdict[str, set[Key]] = defaultdict(set)
        self._neighbours = Neighbours()
        self._waiting: dict[Key, Object] = {}
        self._stuck: dict[Key, Object] = {}  # no node fits; another node, room or another pod helps

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn, then place whatever waits, in the order in which it came."""
        for event in events:
            self._learn(event)
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            for key, pod in waiting.items():
                self._schedule(store, key, pod)

    def _schedule(self, store: Store, key: Key, pod: Object) -> None:
        checks = self._neighbours.checks(pod, self._nodes)
        node = self._best(pod, checks)
        if node is None:
            self._stuck[key] = pod
            self._report(store, pod, checks)
            return
        self._count(key, node, controller_uid(pod))
        self._neighbours.place(_bind(store, pod, node), node)
        self._hold(key, node)

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
        node = pod["spec"].get("nodeName") or ""
        self._hold(key, "" if gone or ended(pod) else node)
        if gone or ended(pod):
            self._neighbours.remove(key)
        elif node:
            self._neighbours.place(pod, node)
        if gone or ended(pod) or terminating(pod):
            return
        if node:
            self._count(key, node, controller_uid(pod))
        elif pod["spec"].get("schedulerName", SCHEDULER) != SCHEDULER or pod["spec"].get("schedulingGates"):
            return  # somebody else's, or not to be scheduled yet
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
        if node and node != before:  # it may be what a stuck one wants to be near to, or to balance
            self._try_again(sociable)

    def _try_again(self, which: Callable[[Object], bool] = lambda _: True) -> None:
        for key in [each for each, pod in self._stuck.items() if which(pod)]:
            self._waiting[key] = self._stuck.pop(key)

    def _obstacle(self, pod: Object, node: Object, checks: Sequence[Check]) -> str:
        """The first thing in the way; terminating pods take room, as in kube-scheduler's NodeResourcesFit."""
        wrong = obstacle(pod["spec"], node)
        if wrong:
            return wrong
        room = node.get("status", {}).get("allocatable", {}).get("pods")
        if room is not None and len(self._holders[node["metadata"]["name"]]) >= int(room):
            return TOO_MANY
        return next((found for check in checks if (found := check(node))), "")

    def _best(self, pod: Object, checks: Sequence[Check]) -> str | None:
        fitting = [name for name, node in self._nodes.items() if not self._obstacle(pod, node, checks)]
        return min(fitting, key=self._ranking(pod), default=None)

    def _ranking(self, pod: Object) -> Callable[[str], tuple[int | str, ...]]:
        owner, scores = controller_uid(pod), self._neighbours.scores(pod, self._nodes)

        def rank(name: str) -> tuple[int | str, ...]:
            node = self._nodes[name]
            crowd = self._owned_on[name, owner] if owner else 0
            wishes = sum(score(node) for score in scores)
            return *preference(pod["spec"], node), wishes, crowd, self._pods_on[name], name

        return rank

    def _report(self, store: Store, pod: Object, checks: Sequence[Check]) -> None:
        """PodScheduled False with a message like `0/3 nodes are available: 3 node(s) were unschedulable.`"""
        message = "no nodes available to schedule pods"
        if self._nodes:
            reasons = Counter(self._obstacle(pod, node, checks) for node in self._nodes.values())
            listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
            message = f"0/{len(self._nodes)} nodes are available: {listed}."
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        store.update(_with_condition(store, pod, condition))
        warn(store, SCHEDULER, pod, "FailedScheduling", message)


def _bind(store: Store, pod: Object, node: str) -> Object:
    placed = {**pod, "spec": {**pod["spec"], "nodeName": node}}
    bound = store.update(_with_condition(store, placed, {"type": "PodScheduled", "status": "True"}))
    metadata = pod["metadata"]
    message = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {node}"
    record(store, SCHEDULER, pod, "Scheduled", message)
    return bound


def _with_condition(store: Store, pod: Object, condition: Object) -> Object:
    status = pod.get("status", {})
    conditions = with_condition(status.get("conditions", ()), condition, store.timestamp())
    return {**pod, "status": {**status, "conditions": conditions}}
