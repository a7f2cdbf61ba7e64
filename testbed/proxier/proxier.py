"""From Services and EndpointSlices to the plan of one node, whole or change by change.

Keeps the objects by service name (they are the store's own, never changed in place) and of what it made of them
only the plans, so one changed endpoint costs one service's work at any size of the cluster. Pure: no clock, no
process, no datapath's words. `node_plan` is the full pass; tests hold both to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from immutables import Map

from testbed.proxier.addresses import parse_network
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
from testbed.proxier.services import Object, service_ports
from testbed.proxier.slices import ServiceName, candidates, service_of

Change = tuple[str, Object | None, Object | None]
"""Kind, the object before (None: it is new), the object after (None: it is gone)."""

ZONE_LABEL = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class Settings:
    """kube-proxy's settings that change the plan (fields of KubeProxyConfiguration, its defaults).

    How pods are told (detectLocalMode): by `detect_local` "ClusterCIDR" or "NodeCIDR" from the ranges that the
    facts bring along, by "BridgeInterface" or "InterfaceNamePrefix" from the device named in `interface`; "None"
    is kube-proxy without any of these, and so is a family that no range is given for.
    """

    masquerade_all: bool = False  # iptables.masqueradeAll
    localhost_node_ports: bool = True  # iptables.localhostNodePorts
    node_port_ranges: tuple[IPNetwork, ...] = ()  # nodePortAddresses; empty: every local address
    detect_local: str = "ClusterCIDR"
    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)
    interface: str = ""  # detectLocal.bridgeInterface or detectLocal.interfaceNamePrefix

    def applied_to(self, facts: NodeFacts) -> NodeFacts:
        """The facts with these settings in them."""
        by_range = self.detect_local in ("ClusterCIDR", "NodeCIDR")
        return replace(
            facts,
            pod_ranges=facts.pod_ranges if by_range else (),
            pod_device=self.interface if self.detect_local == "BridgeInterface" else "",
            pod_device_prefix=self.interface if self.detect_local == "InterfaceNamePrefix" else "",
            node_port_ranges=self.node_port_ranges,
            localhost_node_ports=self.localhost_node_ports,
            masquerade_all=self.masquerade_all,
        )


class Proxier:
    """The plan of one node, kept up to date. Not for use by several threads at once."""

    def __init__(self, facts: NodeFacts, labels: Mapping[str, str], settings: Settings | None = None) -> None:
        self._settings = settings or Settings()
        self._place = Place(facts.node, labels.get(ZONE_LABEL, ""))
        self._services: dict[ServiceName, Object] = {}
        self._slices: dict[ServiceName, tuple[Object, ...]] = {}  # by name
        self._keys: dict[ServiceName, tuple[ServiceKey, ...]] = {}
        self._ranges: dict[str, tuple[IPNetwork, ...]] = {}  # by ServiceCIDR
        self.plan = NodePlan(self._settings.applied_to(facts))
        """The whole plan as of the last update. It is not changed by later updates."""

    def update(self, changes: Iterable[Change]) -> PlanDelta:
        """Take in what changed since the last call, and say which service ports that concerns.

        Understands the kinds Service, EndpointSlice, Node (this node's zone) and ServiceCIDR, which changes the
        plan's facts, not its services; others are passed over. Several changes of one object are merged; what ends
        up as it was is not in the delta.
        """
        old = self.plan.services
        changed: dict[ServiceKey, ServicePlan] = {}
        removed: set[ServiceKey] = set()
        for name in self._absorb(changes):
            planned = list(self._planned(name))
            keys = tuple(each.key for each in planned)
            removed.update(key for key in self._keys.pop(name, ()) if key not in keys)
            changed.update((each.key, each) for each in planned if old.get(each.key) != each)
            if keys:
                self._keys[name] = keys
        before = {key: old[key] for key in (*changed, *removed) if key in old}
        return self._settle(PlanDelta(changed, frozenset(removed), before))

    def _settle(self, delta: PlanDelta) -> PlanDelta:
        if delta:
            with Map(self.plan.services).mutate() as services:
                services.update(delta.changed)
                for key in delta.removed:
                    del services[key]
                self.plan = NodePlan(self.plan.facts, services.finish())
        return delta

    def _planned(self, name: ServiceName) -> Iterator[ServicePlan]:
        service = self._services.get(name)
        if service is None:
            return
        slices, facts = self._slices.get(name, ()), self.plan.facts
        for port in service_ports(service, self._settings.families):
            key = port.key
            found = candidates(slices, (key.port, key.protocol, key.family), facts.node)
            yield service_plan(port, found, facts, self._place)

    def _absorb(self, changes: Iterable[Change]) -> dict[ServiceName, None]:
        """Bring the objects up to date; returns the names of the services concerned, each once."""
        take = {
            "Service": self._take_service,
            "EndpointSlice": self._take_slice,
            "Node": self._take_node,
            "ServiceCIDR": self._take_ranges,
        }
        touched: dict[ServiceName, None] = {}
        for kind, old, new in changes:
            if kind in take:
                touched.update(dict.fromkeys(take[kind](old, new)))
        return touched

    def _take_service(self, old: Object | None, new: Object | None) -> Iterator[ServiceName]:
        for obj in (old, new):
            if obj is not None:
                name = (obj["metadata"].get("namespace", "default"), obj["metadata"]["name"])
                if obj is new:
                    self._services[name] = obj
                else:
                    self._services.pop(name, None)
                yield name

    def _take_slice(self, old: Object | None, new: Object | None) -> Iterator[ServiceName]:
        """A slice may have moved from one Service to another."""
        for obj in (old, new):
            of = service_of(obj) if obj is not None else None
            if obj is None or of is None:
                continue
            now = [s for s in self._slices.pop(of, ()) if _name(s) != _name(obj)]
            if obj is new:
                now.append(obj)
                now.sort(key=_name)
            if now:
                self._slices[of] = tuple(now)
            yield of

    def _take_node(self, _: Object | None, new: Object | None) -> Iterator[ServiceName]:
        """A new zone may change every choice by hints; a node that goes keeps its last zone."""
        if new is None or _name(new) != self._place.node:
            return
        place = Place(self._place.node, (new["metadata"].get("labels") or {}).get(ZONE_LABEL, ""))
        if place != self._place:
            self._place = place
            yield from tuple(self._services)

    def _take_ranges(self, old: Object | None, new: Object | None) -> tuple[ServiceName, ...]:
        """As kube-proxy since v1.33, follows the objects, not a setting; a range that is being given up counts."""
        for obj in (old, new):
            if obj is not None:
                self._ranges.pop(_name(obj), None)
        if new is not None:
            found = map(parse_network, new["spec"].get("cidrs") or ())
            self._ranges[_name(new)] = tuple(network for network in found if network is not None)
        ranges = {network for some in self._ranges.values() for network in some}
        facts = replace(self.plan.facts, service_ranges=tuple(sorted(ranges, key=_in_order)))
        self.plan = NodePlan(facts, self.plan.services)
        return ()


def _in_order(network: IPNetwork) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name


def node_plan(
    facts: NodeFacts,
    settings: Settings,
    services: Iterable[Object],
    slices: Iterable[Object],
    labels: Mapping[str, str] | None = None,
    *,
    service_cidrs: Iterable[Object] = (),
) -> NodePlan:
    """The plan of a node from nothing: the full pass, for the start and for repair.

    `labels` are the node's own, of which only the zone is read.
    """
    proxier = Proxier(facts, labels or {}, settings)
    kinds = {"Service": services, "EndpointSlice": slices, "ServiceCIDR": service_cidrs}
    proxier.update([(kind, None, obj) for kind, objects in kinds.items() for obj in objects])
    return proxier.plan
