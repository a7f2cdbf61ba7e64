"""Connection tracking of a node: UDP flows that a changed Service must not keep.

A UDP flow stays with the endpoint that it began with for as long as packets come, whatever the rules say now. So
after each round those that lead nowhere any more are deleted, by the rules of kube-proxy's
pkg/proxy/conntrack/cleanup.go (v1.36): a flow to a service address or node port goes if no serving endpoint of
that service port answers it; a service port without serving endpoints keeps its flows; other protocols are
left alone, since their connections end by themselves.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from testbed.errors import KernelStateError
from testbed.machine.conntrack import Flow, Place
from testbed.proxier.plan import Family, IPAddress, NodePlan, PlanDelta, ServicePlan
from testbed.proxier.plan import Protocol as Transport

log = logging.getLogger(__name__)

AF = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}


class Flows(Protocol):
    """A node's connection tracking (`machine.conntrack.Conntrack` is one)."""

    def udp(self, family: int, port: int | None = None) -> Iterator[Flow]:
        """The UDP flows of a family, or those to one port."""
        ...

    def delete(self, family: int, flows: Sequence[Flow]) -> int:
        """Forget flows; returns how many there were."""
        ...


@dataclass(slots=True)
class Serving:
    """By service address, and by node port, the endpoints that may answer; only where there are any."""

    addresses: dict[Place, frozenset[Place]] = field(default_factory=dict)
    node_ports: dict[int, frozenset[Place]] = field(default_factory=dict)

    def add(self, service: ServicePlan) -> None:
        """Take in one UDP service port."""
        serving = frozenset((e.address.packed, e.port) for e in service.serving)
        for frontend in service.frontends if serving else ():
            if frontend.address is None:
                self.node_ports[frontend.port] = serving
            else:
                self.addresses[frontend.address.packed, frontend.port] = serving

    def stale(self, flow: Flow) -> bool:
        """True if the flow was sent to one of these places, and an endpoint would answer that is none any more.

        Node ports count at every address, as in kube-proxy: a node may answer at addresses that it does not name.
        """
        expected = self.addresses.get(flow.destination) or self.node_ports.get(flow.destination[1])
        return expected is not None and flow.replier not in expected

    def ports(self) -> set[int]:
        """The ports that flows can have been sent to."""
        return {port for _, port in self.addresses} | self.node_ports.keys()


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What one look at one family's flows did."""

    family: Family
    seconds: float
    deleted: int


class Cleanup:
    """Keeps one node's UDP flows in keeping with its plan. `connect` opens the node's connection tracking."""

    def __init__(self, node: str, connect: Callable[[], Flows]) -> None:
        self._node, self._connect = node, connect
        self._flows: Flows | None = None

    def clean(self, plan: NodePlan, delta: PlanDelta | None) -> list[Cleaned]:
        """Delete what is stale: of those service ports of the delta that may have left some, of all without one.

        A kernel that refuses is told in the log: the next full pass tries again.
        """
        concerned = plan.services.values() if delta is None else _leaving(delta)
        try:
            return [self._clean(family, serving) for family, serving in _serving(concerned).items()]
        except KernelStateError as error:
            log.error("conntrack of %s: %s", self._node, error)
            return []

    def _clean(self, family: Family, serving: Serving) -> Cleaned:
        start = time.perf_counter()
        if self._flows is None:
            self._flows = self._connect()
        # The kernel looks at every bucket of its table (some 10 ms) to pick out one port, or to list them all.
        ports = serving.ports()
        flows = self._flows.udp(AF[family], ports.pop() if len(ports) == 1 else None)
        stale = [flow for flow in flows if serving.stale(flow)]
        deleted = self._flows.delete(AF[family], stale) if stale else 0
        return Cleaned(family, time.perf_counter() - start, deleted)


def _leaving(delta: PlanDelta) -> Iterator[ServicePlan]:
    """The service ports whose change may have left flows behind: not those that only got more endpoints."""
    for key, service in delta.changed.items():
        before = delta.before.get(key)
        grown = before is not None and before.serving and {*before.serving} <= {*service.serving}
        if before is None or not grown or _places(before) != _places(service):
            yield service


def _places(service: ServicePlan) -> set[tuple[IPAddress | None, int]]:
    return {(frontend.address, frontend.port) for frontend in service.frontends}


def _serving(services: Iterable[ServicePlan]) -> dict[Family, Serving]:
    """Each family's UDP service ports that have serving endpoints."""
    found: dict[Family, Serving] = {}
    for service in services:
        if service.key.protocol is Transport.UDP and service.serving:
            found.setdefault(service.key.family, Serving()).add(service)
    return found
