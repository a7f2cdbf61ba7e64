"""From Services and EndpointSlices to the plan of one node, whole or change by change.

Keeps its state by service name, so one changed endpoint costs one service's work at any size of the cluster.
Pure: no clock, no process, no datapath's words. `node_plan` is the full pass; tests hold both to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from testbed.proxier.build import service_plan
from testbed.proxier.plan import (
    Family,
    IPNetwork,
    NodeFacts,
    NodePlan,
    PlanDelta,
    ServiceKey,
    ServicePlan,
)
from testbed.proxier.policy import Place
from testbed.proxier.services import Object, ServicePort, service_ports
from testbed.proxier.slices import ServiceName, Slice, merge, read_slice, service_of

Change = tuple[str, Object | None, Object | None]
"""Kind, the object before (None: it is new), the object after (None: it is gone)."""

ZONE_LABEL = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Settings:
    """kube-proxy's settings that change the plan (fields of KubeProxyConfiguration, its defaults)."""

    masquerade_all: bool = False  # iptables.masqueradeAll
    localhost_node_ports: bool = True  # iptables.localhostNodePorts
    node_port_ranges: tuple[IPNetwork, ...] = ()  # nodePortAddresses; empty: every local address
    detect_local: str = "ClusterCIDR"  # detectLocalMode: "ClusterCIDR", or "None" for no detector
    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)

    def applied_to(self, facts: NodeFacts) -> NodeFacts:
        """The facts with these settings in them; without a local detector there is no pod range."""
        return replace(
            facts,
            pod_ranges=() if self.detect_local == "None" else facts.pod_ranges,
            node_port_ranges=self.node_port_ranges,
            localhost_node_ports=self.localhost_node_ports,
            masquerade_all=self.masquerade_all,
        )


class Proxier:
    """The plan of one node, kept up to date. Not for use by several threads at once."""

    def __init__(self, facts: NodeFacts, labels: Mapping[str, str], settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._facts = self._settings.applied_to(facts)
        self._place = Place(facts.node, labels.get(ZONE_LABEL, ""))
        self._ports: dict[ServiceName, tuple[ServicePort, ...]] = {}
        self._slices: dict[ServiceName, dict[str, Slice]] = {}
        self._keys: dict[ServiceName, tuple[ServiceKey, ...]] = {}
        self._plans: dict[ServiceKey, ServicePlan] = {}
        self._plan: NodePlan | None = None

    @property
    def plan(self) -> NodePlan:
        """The whole plan as of the last update. It is not changed by later updates."""
        if self._plan is None:
            self._plan = NodePlan(self._facts, dict(self._plans))
        return self._plan

    def update(self, changes: Iterable[Change]) -> PlanDelta:
        """Take in what changed since the last call, and say which service ports that concerns.

        Understands the kinds Service, EndpointSlice and Node (this node's zone); others are passed over.
        Several changes of one object are merged; what ends up as it was is not in the delta.
        """
        changed: dict[ServiceKey, ServicePlan] = {}
        removed: set[ServiceKey] = set()
        for name in self._absorb(changes):
            planned = self._planned(name)
            removed.update(key for key in self._keys.pop(name, ()) if key not in planned)
            changed.update((k, p) for k, p in planned.items() if self._plans.get(k) != p)
            if planned:
                self._keys[name] = tuple(planned)
        return self._settle(PlanDelta(changed, frozenset(removed)))

    def _settle(self, delta: PlanDelta) -> PlanDelta:
        if delta:
            self._plan = None
            self._plans.update(delta.changed)
            for key in delta.removed:
                del self._plans[key]
        return delta

    def _planned(self, name: ServiceName) -> dict[ServiceKey, ServicePlan]:
        slices = self._slices.get(name, {})
        ordered = [slices[each] for each in sorted(slices)]
        return {
            port.key: service_plan(
                port,
                merge(ordered, (port.key.port, port.key.protocol, port.key.family)),
                self._facts,
                self._place,
            )
            for port in self._ports.get(name, ())
        }

    def _absorb(self, changes: Iterable[Change]) -> dict[ServiceName, None]:
        """Bring the objects up to date; returns the names of the services concerned, each once."""
        take = {"Service": self._take_service, "EndpointSlice": self._take_slice, "Node": self._take_node}
        touched: dict[ServiceName, None] = {}
        for kind, old, new in changes:
            if kind in take:
                touched.update(dict.fromkeys(take[kind](old, new)))
        return touched

    def _take_service(self, old: Object | None, new: Object | None) -> Iterator[ServiceName]:
        for obj, gone in ((old, True), (new, False)):
            if obj is None:
                continue
            name = (obj["metadata"].get("namespace", "default"), obj["metadata"]["name"])
            ports = () if gone else service_ports(obj, self._settings.families)
            self._ports.pop(name, None)
            if ports:
                self._ports[name] = ports
            yield name

    def _take_slice(self, old: Object | None, new: Object | None) -> Iterator[ServiceName]:
        for obj, gone in ((old, True), (new, False)):
            name = service_of(obj) if obj is not None else None
            if obj is None or name is None:
                continue
            known = self._slices.setdefault(name, {})
            if gone:
                known.pop(obj["metadata"]["name"], None)
            else:
                known[obj["metadata"]["name"]] = read_slice(obj, self._facts.node)
            if not known:
                del self._slices[name]
            yield name

    def _take_node(self, _: Object | None, new: Object | None) -> Iterator[ServiceName]:
        """A new zone may change every choice by hints; a node that goes keeps its last zone."""
        if new is None or new["metadata"]["name"] != self._facts.node:
            return
        place = Place(self._facts.node, (new["metadata"].get("labels") or {}).get(ZONE_LABEL, ""))
        if place != self._place:
            self._place = place
            yield from tuple(self._ports)


def node_plan(
    facts: NodeFacts,
    settings: Settings,
    services: Iterable[Object],
    slices: Iterable[Object],
    labels: Mapping[str, str] | None = None,
) -> NodePlan:
    """The plan of a node from nothing: the full pass, for the start and for repair.

    `labels` are the node's own, of which only the zone is read.
    """
    proxier = Proxier(facts, labels or {}, settings)
    proxier.update([("Service", None, s) for s in services] + [("EndpointSlice", None, s) for s in slices])
    return proxier.plan
