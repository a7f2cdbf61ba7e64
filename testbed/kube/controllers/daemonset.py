"""DaemonSets to one pod on each node that they fit (pkg/controller/daemon).

A pod is bound to its node by a node affinity, which the scheduler obeys. Which pods are replaced next says
`daemonupdate.py`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from testbed.kube.controllers.daemonupdate import Daemon, Update, outdated, update_of
from testbed.kube.controllers.events import record
from testbed.kube.controllers.metadata import available_at, generation, pod_ready, short_hash
from testbed.kube.controllers.ownership import Claims
from testbed.kube.controllers.placement import matches_node, untolerated
from testbed.kube.controllers.podtemplate import pod_from
from testbed.kube.controllers.revisions import HASH, Revisions, hash_of
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.controllers.timers import Timers
from testbed.kube.store import Event, EventType, Object, Store, end, ended, terminating

_TOLERATED = (  # AddOrUpdateDaemonPodTolerations
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)


class DaemonSetController:
    """Keeps one pod of each set on each node."""

    name = "daemonset-controller"
    kinds = ("ControllerRevision", "DaemonSet", "Node", "Pod")

    def __init__(self) -> None:
        self._claims = Claims("DaemonSet")
        self._revisions = Revisions("DaemonSet")
        self._nodes: dict[str, Object] = {}
        self._sets: dict[str, None] = {}
        self._made: Counter[tuple[str, str]] = Counter()  # pods made, by set's uid and node
        self._timers: Timers[str] = Timers()

    def due(self) -> float | None:
        """When the next pod has been ready for minReadySeconds."""
        return self._timers.due()

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """One look at each set that is concerned; a node that changed concerns all of them."""
        for event in events:
            self._learn(event)
        for uid in self._timers.take(store.now().timestamp()):
            self._claims.touch(uid)
        for daemon_set in self._claims.concerned():
            self._sync(store, daemon_set)

    def _learn(self, event: Event) -> None:
        kind, gone = event.object["kind"], event.type is EventType.DELETED
        if kind == "Node":
            name = event.object["metadata"]["name"]
            self._nodes.pop(name, None)
            if not gone:
                self._nodes[name] = event.object
            for uid in self._sets:
                self._claims.touch(uid)
            return
        if kind == "DaemonSet":
            self._sets.pop(event.object["metadata"]["uid"], None)
            if not gone:
                self._sets[event.object["metadata"]["uid"]] = None
        if kind != "ControllerRevision":
            self._claims.learn(event)
        if kind != "Pod":
            self._revisions.learn(event)

    def _sync(self, store: Store, daemon_set: Object) -> None:
        revision = self._revisions.current(store, daemon_set)
        pods = self._by_node(store, daemon_set)
        fits = {name: _runs(daemon_set, node) for name, node in self._nodes.items()}
        if not terminating(daemon_set):
            for pod in self._unwanted(store, daemon_set, pods, fits, hash_of(revision)):
                end(store, pod)
                message = f"Deleted pod: {pod['metadata']['name']}"
                record(store, self.name, daemon_set, "SuccessfulDelete", message)
            for node in self._missing(daemon_set, pods, fits, hash_of(revision)):
                self._create(store, daemon_set, node, hash_of(revision))
        self._write_status(store, daemon_set, fits, hash_of(revision))
        used = {labels_of(pod).get(HASH, "") for row in pods.values() for pod in row}
        self._revisions.truncate(store, daemon_set, {*used, hash_of(revision)})

    def _by_node(self, store: Store, daemon_set: Object) -> dict[str, list[Object]]:
        found: defaultdict[str, list[Object]] = defaultdict(list)
        for pod in self._claims.claim(store, daemon_set):
            node = pod["spec"].get("nodeName") or _meant_for(pod)
            if node:
                found[node].append(pod)
        return found

    def _unwanted(
        self,
        store: Store,
        daemon_set: Object,
        pods: Mapping[str, Sequence[Object]],
        fits: Mapping[str, tuple[bool, bool]],
        template_hash: str,
    ) -> list[Object]:
        """Pods to end: on nodes where none may run on, ended ones, second ones, and those to be replaced."""
        found: dict[str, Object] = {}
        for node, row in pods.items():
            runs_on = fits.get(node, (False, False))[1]
            living = [pod for pod in row if not ended(pod) and not terminating(pod)]
            current = [pod for pod in living if labels_of(pod).get(HASH) == template_hash]
            spare = living if not runs_on else sorted(current, key=_first)[1:]
            for pod in [*spare, *(pod for pod in row if ended(pod) and not terminating(pod))]:
                found[pod["metadata"]["uid"]] = pod
        daemons = self._daemons(store, daemon_set, pods, fits, template_hash)
        for pod in outdated(_update(daemon_set, len(daemons)), daemons):
            found[pod["metadata"]["uid"]] = pod
        return list(found.values())

    def _daemons(
        self,
        store: Store,
        daemon_set: Object,
        pods: Mapping[str, Sequence[Object]],
        fits: Mapping[str, tuple[bool, bool]],
        template_hash: str,
    ) -> list[Daemon]:
        """What there is on each node that shall have a pod."""
        now, least = store.now().timestamp(), daemon_set["spec"].get("minReadySeconds", 0)

        def there(pod: Object | None) -> bool:
            at = available_at(pod, least) if pod is not None else None
            return at is not None and at <= now and pod is not None and not terminating(pod)

        found = []
        for node in sorted(name for name, (wanted, _) in fits.items() if wanted):
            row = [pod for pod in pods.get(node, ()) if not ended(pod) and not terminating(pod)]
            new = next((pod for pod in row if labels_of(pod).get(HASH) == template_hash), None)
            old = next((pod for pod in row if pod is not new), None)
            found.append(Daemon(old, there(old), new is not None, there(new)))
        return found

    def _missing(
        self,
        daemon_set: Object,
        pods: Mapping[str, Sequence[Object]],
        fits: Mapping[str, tuple[bool, bool]],
        template_hash: str,
    ) -> list[str]:
        """Nodes that want a pod: those without any, and with maxSurge some that have an old one only."""
        found, surging, surge = [], [], _update(daemon_set, sum(wanted for wanted, _ in fits.values())).surge
        for node in sorted(name for name, (wanted, _) in fits.items() if wanted):
            row = [pod for pod in pods.get(node, ()) if not ended(pod)]
            hashes = [labels_of(pod).get(HASH) for pod in row if not terminating(pod)]
            if not row:
                found.append(node)
            elif template_hash not in hashes and hashes:
                surging.append(node)
            elif len(hashes) == 2:
                surge -= 1
        return found + surging[: max(0, surge)]

    def _create(self, store: Store, daemon_set: Object, node: str, template_hash: str) -> None:
        metadata = daemon_set["metadata"]
        name = ""
        while not name or store.get("Pod", metadata["namespace"], name) is not None:
            self._made[metadata["uid"], node] += 1
            seed = [metadata["namespace"], metadata["name"], node, self._made[metadata["uid"], node]]
            name = f"{metadata['name'][:247]}-{short_hash(seed, 5)}"
        pod = pod_from(daemon_set, daemon_set["spec"]["template"], name, {HASH: template_hash})
        _pin(pod["spec"], node)
        self._claims.note(store.create(pod))
        record(store, self.name, daemon_set, "SuccessfulCreate", f"Created pod: {name}")

    def _write_status(
        self, store: Store, daemon_set: Object, fits: Mapping[str, tuple[bool, bool]], template_hash: str
    ) -> None:
        now, least = store.now().timestamp(), daemon_set["spec"].get("minReadySeconds", 0)
        wanted = {name for name, (runs, _) in fits.items() if runs}
        rows = self._by_node(store, daemon_set)
        first = {node: min(row, key=_first) for node, row in rows.items() if node in wanted and row}
        times = [at for at in (available_at(pod, least) for pod in first.values()) if at is not None]
        self._timers.set(daemon_set["metadata"]["uid"], min((at for at in times if at > now), default=None))
        counts = {
            "observedGeneration": generation(daemon_set),
            "desiredNumberScheduled": len(wanted),
            "currentNumberScheduled": len(first),
            "numberMisscheduled": sum(node not in wanted for node in rows),
            "updatedNumberScheduled": sum(labels_of(p).get(HASH) == template_hash for p in first.values()),
            "numberReady": sum(pod_ready(pod) for pod in first.values()),
            "numberAvailable": sum(at <= now for at in times),
        }
        counts["numberUnavailable"] = len(wanted) - counts["numberAvailable"]
        status = {**daemon_set.get("status", {}), **counts}
        self._claims.note_owner(store.update({**daemon_set, "status": status}))


def _first(pod: Object) -> tuple[bool, bool, str]:
    """Of two pods on a node the ready one, then the older one, counts."""
    return terminating(pod), not pod_ready(pod), pod["metadata"]["creationTimestamp"]


def _update(daemon_set: Object, nodes: int) -> Update:
    return update_of(daemon_set["spec"].get("updateStrategy") or {}, nodes)


def _runs(daemon_set: Object, node: Object) -> tuple[bool, bool]:
    """Whether a pod shall run on the node, and whether one that is there may stay (`NodeShouldRunDaemonPod`)."""
    spec = _with_tolerations(daemon_set["spec"]["template"]["spec"])
    name = spec.get("nodeName")
    if (name and name != node["metadata"]["name"]) or not matches_node(spec, node):
        return False, False
    taints = untolerated(spec, node, ("NoSchedule", "NoExecute"))
    return not taints, not any(taint["effect"] == "NoExecute" for taint in taints)


def _with_tolerations(spec: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [*_TOLERATED, *([("network-unavailable", "NoSchedule")] if spec.get("hostNetwork") else [])]
    ours = [
        {"key": f"node.kubernetes.io/{kind}", "operator": "Exists", "effect": effect}
        for kind, effect in kinds
    ]
    given = spec.get("tolerations") or []
    return {**spec, "tolerations": [*given, *(each for each in ours if each not in given)]}


def _pin(spec: dict[str, Any], node: str) -> None:
    """Tolerations, and a node affinity in place of any terms (`ReplaceDaemonSetPodNodeNameNodeAffinity`)."""
    spec |= _with_tolerations(spec)
    affinity = spec.get("affinity") or {}
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [here]}}
    spec["affinity"] = {**affinity, "nodeAffinity": {**(affinity.get("nodeAffinity") or {}), **required}}


def _meant_for(pod: Object) -> str:
    """The node that a pod is pinned to, before it is scheduled."""
    required = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    terms = (required.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    fields = [f for term in terms or () for f in term.get("matchFields") or () if f["key"] == "metadata.name"]
    return str(fields[0]["values"][0]) if fields and fields[0].get("values") else ""
