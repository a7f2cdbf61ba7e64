"""Ends pods on nodes with a NoExecute taint that they do not tolerate, or not for ever.

What Kubernetes' pkg/controller/tainteviction does.
Knows nodes, their taints and the pods on them. A pod that a set owns is made anew elsewhere by its set.
"""

from __future__ import annotations

from collections.abc import Sequence

from testbed.kube.controllers.events import record
from testbed.kube.controllers.placement import tolerates, untolerated
from testbed.kube.controllers.timers import Timers
from testbed.kube.store import Event, EventType, Key, Object, Store, end, ended, key_of, terminating


class TaintEviction:
    """Keeps the pods of each node, and when each of them must go."""

    name = "taint-eviction-controller"
    kinds = ("Node", "Pod")

    def __init__(self) -> None:
        self._nodes: dict[str, Object] = {}
        self._on: dict[str, dict[Key, Object]] = {}
        self._since: dict[tuple[str, str, str], float] = {}  # when a taint was first seen: node, key, value
        self._timers: Timers[Key] = Timers()

    def due(self) -> float | None:
        """When the next toleration runs out."""
        return self._timers.due()

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn, then end the pods whose time has come."""
        now = store.now().timestamp()
        for event in events:
            if event.object["kind"] == "Node":
                self._learn_node(event, now)
            else:
                self._learn_pod(event)
        for key in self._timers.take(now):
            pod = store.get(*key)
            if pod is not None and not terminating(pod):
                record(
                    store,
                    self.name,
                    pod,
                    "TaintManagerEviction",
                    f"Marking for deletion Pod {key[1]}/{key[2]}",
                )
                end(store, pod)

    def _learn_node(self, event: Event, now: float) -> None:
        name = event.object["metadata"]["name"]
        self._nodes.pop(name, None)
        if event.type is not EventType.DELETED:
            self._nodes[name] = event.object
        taints = {(name, t["key"], t.get("value", "")) for t in self._taints(name)}
        for mark in [each for each in self._since if each[0] == name and each not in taints]:
            del self._since[mark]
        for mark in taints:
            self._since.setdefault(mark, now)
        for pod in self._on.get(name, {}).values():
            self._judge(pod, name)

    def _learn_pod(self, event: Event) -> None:
        pod, key = event.object, key_of(event.object)
        node = pod["spec"].get("nodeName")
        if not node:
            return
        if event.type is EventType.DELETED or terminating(pod) or ended(pod):
            self._on.get(node, {}).pop(key, None)
            self._timers.set(key, None)
            return
        self._on.setdefault(node, {})[key] = pod
        if self._taints(node):
            self._judge(pod, node)

    def _taints(self, node: str) -> list[Object]:
        taints = self._nodes.get(node, {}).get("spec", {}).get("taints") or ()
        return [taint for taint in taints if taint["effect"] == "NoExecute"]

    def _judge(self, pod: Object, node: str) -> None:
        """When the pod must go: at once, after the shortest tolerationSeconds, or never."""
        taints, spec = self._taints(node), pod["spec"]
        if not taints:
            self._timers.set(key_of(pod), None)
        elif untolerated(spec, self._nodes[node], ("NoExecute",)):
            self._timers.set(key_of(pod), 0.0)
        else:
            ends = [end for taint in taints if (end := self._end(spec, node, taint)) is not None]
            self._timers.set(key_of(pod), min(ends, default=None))

    def _end(self, spec: Object, node: str, taint: Object) -> float | None:
        seconds = [t.get("tolerationSeconds") for t in spec.get("tolerations") or () if tolerates(t, taint)]
        limits = [each for each in seconds if each is not None]
        since = self._since[node, taint["key"], taint.get("value", "")]
        return since + max(0, min(limits)) if limits else None
