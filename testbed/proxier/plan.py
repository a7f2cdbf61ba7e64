"""The plan: what one node must do with each service address, in no datapath's words.

Knows addresses, ports and policies. Knows neither Kubernetes objects nor any mechanism: a plan can be
printed, diffed and stored with a result, and equal plans are equal bytes.

    NodePlan ── services: {ServiceKey: ServicePlan}    by service port: one change costs one entry
                   ServicePlan ── frontends: (Frontend, …)
                                    Frontend ── routes: (Route, …)      first route whose source matches
                                                  Route ── endpoints: (Endpoint, …)

Routes exist because one address can mean two things: with externalTrafficPolicy Local, pods and the node's
own processes reach every endpoint, outsiders only the local ones.

The parts of which there are many are tuples with names: they are made, compared, hashed and sorted without a
line of Python, and take half the memory of a frozen dataclass's instances. A plan's services are a persistent
map: the next plan shares all but what changed with the one before, so both can be kept and nothing is copied.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from immutables import Map

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class Family(enum.IntEnum):
    """An address family; kube-proxy runs one proxier for each."""

    IPV4 = 4
    IPV6 = 6


class Protocol(enum.StrEnum):
    """Transport protocols that a Service port may name (core/v1 `Protocol`)."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class Origin(enum.StrEnum):
    """Why an address is a service address."""

    CLUSTER_IP = "ClusterIP"
    EXTERNAL_IP = "ExternalIP"
    LOAD_BALANCER = "LoadBalancer"
    NODE_PORT = "NodePort"


class Source(enum.StrEnum):
    """Where a packet comes from, as seen by the node that handles it."""

    PODS = "pods"  # a pod, as far as the node can tell one (NodeFacts)
    NODE = "node"  # a process in the node's own namespace
    ANY = "any"  # everything that no earlier route took


class Scope(enum.StrEnum):
    """Which endpoints a traffic policy lets in: all of the cluster, or those on this node."""

    CLUSTER = "Cluster"
    LOCAL = "Local"


class WhenEmpty(enum.StrEnum):
    """What happens to a packet on a route without endpoints.

    REJECT answers (ICMP port unreachable): the Service has no endpoint anywhere. DROP stays silent: there are
    endpoints, but policy Local keeps this node from using them.
    """

    REJECT = "reject"
    DROP = "drop"


class ServiceKey(NamedTuple):
    """One service port in one address family: `namespace/name:port` and protocol."""

    namespace: str
    name: str
    port: str  # the port's name, empty for an unnamed one
    protocol: Protocol
    family: Family

    def __str__(self) -> str:
        """kube-proxy's ServicePortName: `ns/name:port`, without the colon for an unnamed port."""
        base = f"{self.namespace}/{self.name}"
        return f"{base}:{self.port}" if self.port else base


class Endpoint(NamedTuple):
    """One pod address and port behind a Service."""

    address: IPAddress
    port: int
    local: bool  # on the node that this plan is for
    weight: int = 1  # share of new connections, for mechanisms that know shares; 0: none

    def __str__(self) -> str:
        return socket_address(str(self.address), self.port)


def socket_address(address: str, port: int) -> str:
    """An address and a port as they are written together."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Route(NamedTuple):
    """What to do with packets from `source`: to one of `endpoints`, with or without masquerade."""

    source: Source
    scope: Scope
    endpoints: tuple[Endpoint, ...]  # sorted by their text, as kube-proxy sorts them
    when_empty: WhenEmpty
    masquerade: bool


class Frontend(NamedTuple):
    """One address (or every node-port address of the node, where `address` is None) and port."""

    origin: Origin
    address: IPAddress | None
    port: int
    sources: tuple[IPNetwork, ...] = ()  # allowed sources (loadBalancerSourceRanges); empty allows all
    routes: tuple[Route, ...] = ()


class ServicePlan(NamedTuple):
    """Everything that the node does for one service port."""

    key: ServiceKey
    frontends: tuple[Frontend, ...]
    affinity_seconds: int | None = None  # ClientIP affinity's timeout, None without affinity
    health_check_node_port: int | None = None  # LoadBalancer with externalTrafficPolicy Local
    local_ready: tuple[IPAddress, ...] = ()  # of this node's ready endpoints; with a health-check port only
    serving: tuple[Endpoint, ...] = ()  # whose flows may go on, whatever the policies say; UDP only
    known_endpoints: int = 0  # how many its slices name, usable or not
    options: tuple[tuple[str, str], ...] = ()  # (word, value) for datapaths that know the word; sorted

    def policies(self) -> dict[Scope, tuple[Endpoint, ...]]:
        """The endpoints of each traffic policy that some route follows, without empty ones."""
        return {
            route.scope: route.endpoints
            for frontend in self.frontends
            for route in frontend.routes
            if route.endpoints
        }

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint that some route can reach, once, in the order of their text."""
        ways = {id(route.endpoints): route.endpoints for f in self.frontends for route in f.routes}
        if len(ways) == 1:  # nearly always: one tuple, which is sorted already
            return next(iter(ways.values()))
        return tuple(sorted({endpoint for way in ways.values() for endpoint in way}, key=str))


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the plan says about the node itself rather than about a Service.

    A packet is a pod's if its source is in `pod_ranges`, or if it comes in by `pod_device`, or by a device whose
    name begins with `pod_device_prefix`. At most one of the three is set; none: the node cannot tell pods, and
    does nothing that depends on it (kube-proxy's local detectors and its no-op one).
    """

    node: str
    addresses: tuple[IPAddress, ...]
    pod_ranges: tuple[IPNetwork, ...]  # at most one of each family
    node_port_ranges: tuple[IPNetwork, ...] = ()  # nodePortAddresses; empty: every local address
    localhost_node_ports: bool = True
    masquerade_all: bool = False
    pod_device: str = ""
    pod_device_prefix: str = ""
    service_ranges: tuple[IPNetwork, ...] = ()  # where cluster IPs come from (ServiceCIDRs), all families

    def pod_range(self, family: Family) -> IPNetwork | None:
        """The pods' addresses of a family, if the node tells pods by them."""
        return next((network for network in self.pod_ranges if network.version == family), None)

    def tells_pods(self, family: Family) -> bool:
        """True if the node can tell a pod's packet of that family from others."""
        return bool(self.pod_device or self.pod_device_prefix) or self.pod_range(family) is not None


def _no_services() -> Map[ServiceKey, ServicePlan]:
    return Map()


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The whole wanted state of one node. Any mapping may be handed in as `services`; it is kept as a `Map`."""

    facts: NodeFacts
    services: Mapping[ServiceKey, ServicePlan] = field(default_factory=_no_services)

    def __post_init__(self) -> None:
        if not isinstance(self.services, Map):
            object.__setattr__(self, "services", Map(self.services))

    def ordered(self, family: Family) -> Iterator[ServicePlan]:
        """The service ports of one family in the order of their keys."""
        return (self.services[key] for key in sorted(key for key in self.services if key.family == family))

    def known_endpoints(self, family: Family) -> int:
        """How many endpoints there are behind the service ports of one family, usable or not."""
        return sum(each.known_endpoints for key, each in self.services.items() if key.family == family)


@dataclass(frozen=True, slots=True)
class PlanDelta:
    """What changed between two plans of a node: only the service ports concerned.

    `before` is what they were in the plan before, for those that were there: who works by deltas needs no plan.
    """

    changed: Mapping[ServiceKey, ServicePlan]
    removed: frozenset[ServiceKey]
    before: Mapping[ServiceKey, ServicePlan] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)
