"""From one service port and its endpoints to what the node must do: frontends and their routes. Pure.

This is the one place where traffic policies become routes. Rules: kube-proxy's packet-flow tables
(TestInternalExternalMasquerade, TestExternalTrafficPolicyLocal, TestLoadBalancer).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from testbed.proxier.addresses import network_of
from testbed.proxier.plan import (
    Endpoint,
    Frontend,
    IPAddress,
    IPNetwork,
    NodeFacts,
    Origin,
    Protocol,
    Route,
    Scope,
    ServicePlan,
    Source,
    WhenEmpty,
)
from testbed.proxier.policy import Place, Usable, usable
from testbed.proxier.services import ServicePort
from testbed.proxier.slices import Candidate


def service_plan(
    port: ServicePort, candidates: Sequence[Candidate], facts: NodeFacts, place: Place
) -> ServicePlan:
    """What the node does for one service port; `candidates` are in the order of their text."""
    router = _Router(usable(port, candidates, place), facts.tells_pods(port.key.family), facts.masquerade_all)
    return ServicePlan(
        port.key,
        tuple(_frontends(port, router, facts)),
        affinity_seconds=port.affinity_seconds,
        health_check_node_port=port.health_check_node_port,
        local_ready=_local_ready(candidates) if port.health_check_node_port else (),
        serving=_serving(candidates) if port.key.protocol is Protocol.UDP else (),
        known_endpoints=len(candidates),
        options=port.options,
    )


def _local_ready(candidates: Sequence[Candidate]) -> tuple[IPAddress, ...]:
    """What a load balancer's health check counts: pods, not ports; terminating ones are not ready."""
    return tuple(dict.fromkeys(c.endpoint.address for c in candidates if c.endpoint.local and c.ready))


def _serving(candidates: Sequence[Candidate]) -> tuple[Endpoint, ...]:
    """Where a UDP flow may stay (pkg/proxy/conntrack/cleanup.go): terminating endpoints that still serve, too."""
    return tuple(c.endpoint for c in candidates if c.serving)


def _frontends(port: ServicePort, router: _Router, facts: NodeFacts) -> Iterator[Frontend]:
    internal = router.internal(port.internal_local)
    yield Frontend(Origin.CLUSTER_IP, port.cluster_ip, port.port, routes=internal)
    if not port.externally_accessible:
        return
    external = router.external(port.external_local)
    for address in port.external_ips:
        yield Frontend(Origin.EXTERNAL_IP, address, port.port, routes=external)
    sources = _allowed_sources(port, facts)
    for address in port.load_balancer_ips:
        yield Frontend(Origin.LOAD_BALANCER, address, port.port, sources, external)
    if port.node_port:  # source ranges never guard node ports
        yield Frontend(Origin.NODE_PORT, None, port.node_port, routes=external)


def _allowed_sources(port: ServicePort, facts: NodeFacts) -> tuple[IPNetwork, ...]:
    """The ranges, and where they hold the node itself, the load balancer's addresses too.

    A balancer may make its address local to the node; a request from the node then comes back with that
    address as its source.
    """
    if not port.source_ranges:
        return ()
    node_ip = next((a for a in facts.addresses if a.version == port.key.family), None)
    if node_ip is None or not any(node_ip in network for network in port.source_ranges):
        return port.source_ranges
    return port.source_ranges + tuple(network_of(address) for address in port.load_balancer_ips)


class _Router(NamedTuple):
    """Makes the routes of one service port."""

    usable: Usable
    tells_pods: bool
    masquerade_all: bool

    def internal(self, local: bool) -> tuple[Route, ...]:
        """To the cluster IP: traffic from outside the pod range is masqueraded, whatever the policy."""
        scope = Scope.LOCAL if local else Scope.CLUSTER
        if self.masquerade_all:
            return (self._route(Source.ANY, scope, masquerade=True),)
        if not self.tells_pods:
            return (self._route(Source.ANY, scope, masquerade=False),)
        return (
            self._route(Source.PODS, scope, masquerade=False),
            self._route(Source.ANY, scope, masquerade=True),
        )

    def external(self, local: bool) -> tuple[Route, ...]:
        """To every other address. Policy Local keeps the source address, so only this node's endpoints can
        answer outsiders; pods and the node's own processes are sent to all endpoints, as if their packets
        had gone out to a load balancer and come back.
        """
        if not local:
            return (self._route(Source.ANY, Scope.CLUSTER, masquerade=True),)
        pods = (self._route(Source.PODS, Scope.CLUSTER, masquerade=False),) if self.tells_pods else ()
        return (
            *pods,
            self._route(Source.NODE, Scope.CLUSTER, masquerade=True),
            self._route(Source.ANY, Scope.LOCAL, masquerade=False),
        )

    def _route(self, source: Source, scope: Scope, *, masquerade: bool) -> Route:
        endpoints: tuple[Endpoint, ...] = self.usable.local if scope is Scope.LOCAL else self.usable.cluster
        when_empty = WhenEmpty.DROP if self.usable.anywhere else WhenEmpty.REJECT
        return Route(source, scope, endpoints, when_empty, masquerade)
