"""What a pod's neighbours say about a node: affinity to other pods, spreading, and ports of the node itself.

kube-scheduler's plugins InterPodAffinity, PodTopologySpread and NodePorts, in their words. Keeps the placed pods by
node; only a pod that has such wishes makes it look at others. Knows no taint and no node selector.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from testbed.kube.controllers.placement import conflicting, host_ports, matches_node
from testbed.kube.controllers.selectors import labels_of
from testbed.kube.objects import selects
from testbed.kube.store import Key, Object, key_of

NO_PORTS = "node(s) didn't have free ports for the requested pod ports"
NO_FRIENDS = "node(s) didn't match pod affinity rules"
ENEMIES = "node(s) didn't match pod anti-affinity rules"
UNWELCOME = "node(s) didn't satisfy existing pods anti-affinity rules"
UNEVEN = "node(s) didn't match pod topology spread constraints"
NO_DOMAIN = f"{UNEVEN} (missing required label)"

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

Term = Mapping[str, Any]
Nodes = Mapping[str, Object]
Check = Callable[[Object], str]
Score = Callable[[Object], int]


class Neighbours:
    """The pods on each node."""

    def __init__(self) -> None:
        self._node: dict[Key, str] = {}
        self._on: dict[str, dict[Key, Object]] = {}
        self._ports: dict[str, dict[Key, list[tuple[str, str, int]]]] = {}
        self._repelling: dict[Key, Object] = {}  # pods with a required anti-affinity

    def place(self, pod: Object, node: str) -> None:
        """A pod is on a node, or was there and has changed."""
        key = key_of(pod)
        self.remove(key)
        self._node[key] = node
        self._on.setdefault(node, {})[key] = pod
        ports = list(host_ports(pod["spec"]))
        if ports:
            self._ports.setdefault(node, {})[key] = ports
        if _terms(pod, "podAntiAffinity"):
            self._repelling[key] = pod

    def remove(self, key: Key) -> None:
        """A pod is on no node any more."""
        node = self._node.pop(key, None)
        if node is not None:
            del self._on[node][key]
            self._ports.get(node, {}).pop(key, None)
            self._repelling.pop(key, None)

    def checks(self, pod: Object, nodes: Nodes) -> list[Check]:
        """What to ask of each node for this pod: an obstacle in words, or nothing."""
        found: list[Check] = []
        ports = list(host_ports(pod["spec"]))
        if ports:
            found.append(lambda node: NO_PORTS if self._taken(ports, node) else "")
        found += [self._friends(pod, term, nodes) for term in _terms(pod, "podAffinity")]
        found += [self._enemies(pod, term, nodes) for term in _terms(pod, "podAntiAffinity")]
        found += list(self._hosts(pod, nodes))
        for constraint in _constraints(pod, "DoNotSchedule"):
            eligible = [node for node in nodes.values() if matches_node(pod["spec"], node)]
            found.append(self._spread(pod, constraint, eligible))
        return found

    def scores(self, pod: Object, nodes: Nodes) -> list[Score]:
        """How ill each node suits this pod by what it would like: less is better."""
        found: list[Score] = []
        for field, sign in (("podAffinity", -1), ("podAntiAffinity", 1)):
            for wish in ((pod["spec"].get("affinity") or {}).get(field) or {}).get(_PREFERRED) or ():
                found.append(self._liking(pod, wish["podAffinityTerm"], nodes, sign * int(wish["weight"])))
        for constraint in _constraints(pod, "ScheduleAnyway"):
            counts = self._count(pod, constraint, list(nodes.values()))
            found.append(lambda node, c=constraint, n=counts: n[_domain(node, c)])  # type: ignore[misc]
        return found

    def _taken(self, ports: list[tuple[str, str, int]], node: Object) -> bool:
        held = self._ports.get(node["metadata"]["name"], {}).values()
        return any(conflicting(mine, theirs) for row in held for theirs in row for mine in ports)

    def _friends(self, pod: Object, term: Term, nodes: Nodes) -> Check:
        domains = self._domains(pod, term, nodes)
        if not domains and _selected(pod, term, pod):
            # The first of a group that wants to be together may go anywhere that has the label.
            return lambda node: "" if term["topologyKey"] in labels_of(node) else NO_FRIENDS
        return lambda node: "" if _domain(node, term) in domains else NO_FRIENDS

    def _enemies(self, pod: Object, term: Term, nodes: Nodes) -> Check:
        domains = self._domains(pod, term, nodes)
        return lambda node: ENEMIES if _domain(node, term) in domains else ""

    def _hosts(self, pod: Object, nodes: Nodes) -> Iterator[Check]:
        """The anti-affinity of those that are there already."""
        closed: dict[str, set[str]] = {}
        for key, other in self._repelling.items():
            node = nodes.get(self._node[key])
            for term in _terms(other, "podAntiAffinity"):
                if node is not None and _selected(other, term, pod) and _domain(node, term) is not None:
                    closed.setdefault(term["topologyKey"], set()).add(str(_domain(node, term)))
        for label, values in closed.items():
            yield lambda node, k=label, v=values: UNWELCOME if labels_of(node).get(k) in v else ""  # type: ignore[misc]

    def _domains(self, pod: Object, term: Term, nodes: Nodes) -> set[str]:
        """The values of the topology key where there is a pod that the term selects."""
        found = set[str]()
        for name, node in nodes.items():
            value, others = _domain(node, term), self._on.get(name, {}).values()
            if value is not None and any(_selected(pod, term, other) for other in others):
                found.add(value)
        return found

    def _liking(self, pod: Object, term: Term, nodes: Nodes, weight: int) -> Score:
        domains = self._domains(pod, term, nodes)
        return lambda node: weight if _domain(node, term) in domains else 0

    def _spread(self, pod: Object, constraint: Term, eligible: list[Object]) -> Check:
        counts = self._count(pod, constraint, eligible)
        own = selects(constraint.get("labelSelector") or {}, labels_of(pod))
        least = min(counts.values(), default=0)
        if len(counts) < constraint.get("minDomains", 1):
            least = 0

        def check(node: Object) -> str:
            domain = _domain(node, constraint)
            if domain is None:
                return NO_DOMAIN
            return UNEVEN if counts[domain] + own - least > constraint["maxSkew"] else ""

        return check

    def _count(self, pod: Object, constraint: Term, nodes: list[Object]) -> Counter[str | None]:
        """Matching pods of the pod's namespace by domain; a domain without any counts as well."""
        counts: Counter[str | None] = Counter()
        namespace, selector = pod["metadata"]["namespace"], _spread_selector(pod, constraint)
        for node in nodes:
            domain = _domain(node, constraint)
            if domain is not None:
                others = self._on.get(node["metadata"]["name"], {}).items()
                counts[domain] += sum(
                    key[1] == namespace and selects(selector, labels_of(other)) for key, other in others
                )
        return counts


def sociable(pod: Object) -> bool:
    """True if more pods on the nodes may open a place to this one."""
    return bool(_terms(pod, "podAffinity") or _constraints(pod, "DoNotSchedule"))


def _terms(pod: Object, field: str) -> list[Term]:
    affinity = (pod["spec"].get("affinity") or {}).get(field) or {}
    return list(affinity.get(_REQUIRED) or ())


def _constraints(pod: Object, when: str) -> list[Term]:
    given = pod["spec"].get("topologySpreadConstraints") or ()
    return [each for each in given if each["whenUnsatisfiable"] == when]


def _domain(node: Object, term: Term) -> str | None:
    return labels_of(node).get(term["topologyKey"])


def _selected(pod: Object, term: Term, other: Object) -> bool:
    """True if a term of `pod` selects `other`: of its own namespace unless the term names some."""
    namespaces = term.get("namespaces") or ()
    everywhere = term.get("namespaceSelector") == {}
    home = other["metadata"]["namespace"]
    near = home in namespaces or everywhere or (not namespaces and home == pod["metadata"]["namespace"])
    return near and "labelSelector" in term and selects(term["labelSelector"], labels_of(other))


def _spread_selector(pod: Object, constraint: Term) -> Term:
    """With matchLabelKeys, only pods that have those labels as this pod has them."""
    selector = constraint.get("labelSelector") or {}
    same = {k: labels_of(pod)[k] for k in constraint.get("matchLabelKeys") or () if k in labels_of(pod)}
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **same}}
