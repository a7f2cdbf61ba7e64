"""healthCheckNodePort: an HTTP server for each LoadBalancer Service with externalTrafficPolicy Local.

Load balancers ask it whether this node has endpoints of the Service, since only then may they send to it. Status,
body and headers are kube-proxy's (pkg/proxy/healthcheck/service_health.go, v1.36). Knows the plan; what a socket
is, is `http.py`'s.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from testbed.cluster.kubeproxy.http import Answer, Handler
from testbed.errors import KernelStateError
from testbed.proxier.plan import Family, IPAddress, NodeFacts, NodePlan, PlanDelta, ServiceKey, ServicePlan

log = logging.getLogger(__name__)

ANY: dict[Family, IPAddress] = {Family.IPV4: IPv4Address(0), Family.IPV6: IPv6Address(0)}
BODY = """{
\t"service": {
\t\t"namespace": %s,
\t\t"name": %s
\t},
\t"localEndpoints": %d,
\t"serviceProxyHealthy": %s
}"""

Name = tuple[
    Family, str, str
]  # family, namespace, name: each family has a server of its own, as in kube-proxy


class Closable(Protocol):
    """A listening socket (`http.Listener` is one)."""

    def close(self) -> None:
        """Free its port."""
        ...


Listen = Callable[[IPAddress, int, Handler], Closable]
"""Serve at an address and port of the node. Raises KernelStateError if the port is taken."""


@dataclass(slots=True)
class _Server:
    """One Service's server in one family."""

    name: Name
    port: int
    addresses: list[IPAddress]
    local: int = 0
    sockets: list[Closable] = field(default_factory=list)

    def close(self) -> None:
        while self.sockets:
            self.sockets.pop().close()


class HealthChecks:
    """The health-check servers of one node, kept up to date with its plan.

    `healthy` says whether the node's kube-proxy is up to date: a load balancer must not trust one that is not.
    Called by the agent's thread; the servers' thread reads the counts.
    """

    def __init__(self, listen: Listen, healthy: Callable[[], bool]) -> None:
        self._listen, self._healthy = listen, healthy
        self._ports: dict[Name, dict[ServiceKey, ServicePlan]] = {}
        self._servers: dict[Name, _Server] = {}

    def update(self, plan: NodePlan, delta: PlanDelta | None) -> None:
        """Open, close and count what has changed; without a delta, look at everything."""
        if delta is None:
            known = [key for ports in self._ports.values() for key in ports]
            gone, changed = [key for key in known if key not in plan.services], plan.services.values()
        else:
            gone, changed = list(delta.removed), delta.changed.values()
        names = {*self._forget(gone), *self._learn(changed)}
        retried = {name for name, server in self._servers.items() if not server.sockets}
        for name in names | retried:
            self._settle(name, plan.facts)

    def close(self) -> None:
        """Free all ports."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()

    def _forget(self, keys: Iterable[ServiceKey]) -> Iterator[Name]:
        for key in keys:
            name = (key.family, key.namespace, key.name)
            if self._ports.get(name, {}).pop(key, None) is not None:
                yield name

    def _learn(self, services: Iterable[ServicePlan]) -> Iterator[Name]:
        for service in services:
            if service.health_check_node_port is None:
                yield from self._forget([service.key])
            else:
                name = (service.key.family, service.key.namespace, service.key.name)
                self._ports.setdefault(name, {})[service.key] = service
                yield name

    def _settle(self, name: Name, facts: NodeFacts) -> None:
        """Bring one server to what its Service's ports say now; ports of one pod are one endpoint."""
        ports = self._ports.get(name) or {}
        if not ports:
            self._ports.pop(name, None)
        wanted = next((p.health_check_node_port for p in ports.values() if p.health_check_node_port), 0)
        local = len({address for port in ports.values() for address in port.local_ready})
        server = self._servers.get(name)
        where = addresses(name[0], facts)
        if server is not None and (server.port, server.addresses) != (wanted, where):
            self._servers.pop(name).close()
            server = None
        if wanted and server is None:
            server = self._servers[name] = _Server(name, wanted, where)
        if server is not None:
            server.local = local
            if not server.sockets:
                self._open(server)

    def _open(self, server: _Server) -> None:
        """Listen; a port that is taken is told in the log and tried again with the next round."""
        try:
            for address in server.addresses:
                server.sockets.append(self._listen(address, server.port, lambda _: self._answer(server)))
        except KernelStateError as error:
            server.close()
            log.error("health check of %s/%s: %s", server.name[1], server.name[2], error)

    def _answer(self, server: _Server) -> Answer:
        return answer(server.name, server.local, healthy=self._healthy())


def answer(name: Name, local: int, *, healthy: bool) -> Answer:
    """What a load balancer is told: 200 if there are local endpoints and the proxy is healthy, else 503."""
    _, namespace, service = name
    body = BODY % (json.dumps(namespace), json.dumps(service), local, json.dumps(healthy))
    headers = {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": str(local),
    }
    return Answer(body.encode(), 200 if local and healthy else 503, headers)


def addresses(family: Family, facts: NodeFacts) -> list[IPAddress]:
    """Where the servers listen: the node's addresses that nodePortAddresses admit; any, if nothing is said."""
    ranges = [network for network in facts.node_port_ranges if network.version == family]
    if not facts.node_port_ranges or any(network.prefixlen == 0 for network in ranges):
        return [ANY[family]]
    return [a for a in facts.addresses if a.version == family and any(a in network for network in ranges)]
