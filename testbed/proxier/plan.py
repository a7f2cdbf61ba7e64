"""The plan: what one node must do with each service address, in no datapath's words.

Knows addresses, ports and policies. Knows neither Kubernetes objects nor any mechanism: a plan can be
printed, diffed and stored with a result, and equal plans are equal bytes.

    NodePlan ── services: {ServiceKey: ServicePlan}    by service port: one change costs one entry
                   ServicePlan ── frontends: (Frontend, …)
                                    Frontend ── routes: (Route, …)      first route whose source matches
                                                  Route ── endpoints: (Endpoint, …)

Routes exist because one address can mean two things: with externalTrafficPolicy Local, pods and the node's
own processes reach every endpoint, outsiders only the local ones.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

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

    PODS = "pods"  # an address inside the pod range of the cluster
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


@dataclass(frozen=True, slots=True, order=True)
class ServiceKey:
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


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One pod address and port behind a Service."""

    address: IPAddress
    port: int
    local: bool  # on the node that this plan is for
    weight: int = 1

    def __str__(self) -> str:
        return _address_and_port(self.address, self.port)


@functools.lru_cache(maxsize=1 << 16)  # asked for again and again: sorted by, commented with, hashed
def _address_and_port(address: IPAddress, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class Route:
    """What to do with packets from `source`: to one of `endpoints`, with or without masquerade."""

    source: Source
    scope: Scope
    endpoints: tuple[Endpoint, ...]  # sorted by their text, as kube-proxy sorts them
    when_empty: WhenEmpty
    masquerade: bool


@dataclass(frozen=True, slots=True)
class Frontend:
    """One address (or every node-port address of the node, where `address` is None) and port."""

    origin: Origin
    address: IPAddress | None
    port: int
    sources: tuple[IPNetwork, ...] = ()  # allowed sources (loadBalancerSourceRanges); empty allows all
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """Everything that the node does for one service port."""

    key: ServiceKey
    frontends: tuple[Frontend, ...]
    affinity_seconds: int | None = None  # ClientIP affinity's timeout, None without affinity
    health_check_node_port: int | None = None  # LoadBalancer with externalTrafficPolicy Local
    local_ready: tuple[IPAddress, ...] = ()  # of this node's ready endpoints; with a health-check port only
    serving: tuple[Endpoint, ...] = ()  # whose flows may go on, whatever the policies say; UDP only

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint that some route can reach, once, in the order of their text."""
        found = {e for frontend in self.frontends for route in frontend.routes for e in route.endpoints}
        return tuple(sorted(found, key=str))


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the plan says about the node itself rather than about a Service."""

    node: str
    addresses: tuple[IPAddress, ...]
    pod_ranges: tuple[IPNetwork, ...]  # the cluster's pod range of each family; empty: no local detector
    node_port_ranges: tuple[IPNetwork, ...] = ()  # nodePortAddresses; empty: every local address
    localhost_node_ports: bool = True
    masquerade_all: bool = False


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The whole wanted state of one node."""

    facts: NodeFacts
    services: Mapping[ServiceKey, ServicePlan] = field(default_factory=dict)

    def ordered(self, family: Family) -> Iterator[ServicePlan]:
        """The service ports of one family in the order of their keys."""
        return (self.services[key] for key in sorted(self.services) if key.family == family)


@dataclass(frozen=True, slots=True)
class PlanDelta:
    """What changed between two plans of a node: only the service ports concerned."""

    changed: Mapping[ServiceKey, ServicePlan]
    removed: frozenset[ServiceKey]

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)
