"""Node ports of Services, and the health-check node port (Kubernetes' portallocator).

As for addresses, holders are read from the store's Services for each apply. A number is held per protocol;
a number given out unasked is free in every protocol.
"""

from __future__ import annotations

from typing import Any

from testbed.kube.api.draft import Draft
from testbed.kube.objects.addresses import NODE_PORTS
from testbed.kube.store import Object, Pool

FIRST, LAST = NODE_PORTS[0], NODE_PORTS[-1]
STATIC = min(max(16, len(NODE_PORTS) // 32), 128)  # KEP-3668
HEALTH_CHECK = "spec.healthCheckNodePort"


def takes_node_ports(spec: Object) -> bool:
    """True for the types whose ports may have a node port."""
    return spec.get("type") in ("NodePort", "LoadBalancer")


def wants_node_ports(spec: Object) -> bool:
    """True if every port shall have one."""
    unwanted = spec.get("type") == "LoadBalancer" and not spec.get("allocateLoadBalancerNodePorts", True)
    return takes_node_ports(spec) and not unwanted


def wants_health_check(spec: Object) -> bool:
    """True if nodes tell a load balancer on a port of its own whether they have endpoints."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def carry_over_ports(item: Draft) -> None:
    """Numbers that the server filled in, where the manifest is silent (patchAllocatedValues).

    A port is the same port if protocol and number are. A Service that has no use for a number loses it.
    """
    spec, old = item.spec, item.old_spec
    spec["ports"] = [dict(port) for port in spec.get("ports") or ()]
    if takes_node_ports(spec) and takes_node_ports(old):
        used = {port.get("nodePort") for port in spec["ports"]}
        before = {_same(port): port["nodePort"] for port in old.get("ports", ()) if port.get("nodePort")}
        for port in spec["ports"]:
            number = before.get(_same(port))
            if not port.get("nodePort") and number and number not in used:
                port["nodePort"] = number
    if not wants_health_check(spec):
        spec.pop("healthCheckNodePort", None)
    elif wants_health_check(old):
        _carry_over_health_check(item)


def _carry_over_health_check(item: Draft) -> None:
    before = item.old_spec["healthCheckNodePort"]
    if not item.spec.get("healthCheckNodePort"):
        item.spec["healthCheckNodePort"] = before
    if item.spec["healthCheckNodePort"] != before:
        item.mistake(HEALTH_CHECK, "field is immutable", f"leave it at {before}, or delete the Service first")


def _same(port: Object) -> tuple[str, int]:
    return port.get("protocol", "TCP"), port["port"]


def _held(spec: Object) -> list[tuple[str, str, int]]:
    """Every number that a Service holds: field, protocol, number."""
    found = [
        (f"spec.ports[{index}].nodePort", port.get("protocol", "TCP"), port["nodePort"])
        for index, port in enumerate(spec.get("ports") or ())
        if port.get("nodePort")
    ]
    if spec.get("healthCheckNodePort"):
        found.append((HEALTH_CHECK, "TCP", spec["healthCheckNodePort"]))
    return found


class NodePorts:
    """The node-port range during one apply."""

    def __init__(self) -> None:
        self._pool = Pool(FIRST, LAST, STATIC)
        self._held: set[tuple[str, int]] = set()

    def hold(self, spec: Object) -> None:
        """A Service that this apply does not touch."""
        for _, protocol, number in _held(spec):
            self._hold(protocol, number)

    def keep(self, item: Draft) -> None:
        """What the Service holds already."""
        self._claim(item, kept=True)

    def claim(self, item: Draft) -> None:
        """What the manifest asks for."""
        self._claim(item, kept=False)

    def fill(self, item: Draft) -> None:
        """A number for each port that wants one; the same port in another protocol shares it."""
        spec = item.spec
        if wants_node_ports(spec):
            known = {port["port"]: port["nodePort"] for port in spec["ports"] if port.get("nodePort")}
            for index, port in enumerate(spec["ports"]):
                if not port.get("nodePort"):
                    port["nodePort"] = self._number_for(item, index, known)
        if wants_health_check(spec) and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = self._take(item, HEALTH_CHECK, "TCP")

    def _number_for(self, item: Draft, index: int, known: dict[int, int]) -> int:
        port: dict[str, Any] = item.spec["ports"][index]
        protocol, number = port.get("protocol", "TCP"), known.get(port["port"])
        if number is None or (protocol, number) in self._held:
            number = self._take(item, f"spec.ports[{index}].nodePort", protocol)
        self._hold(protocol, number)
        known.setdefault(port["port"], number)
        return number

    def _take(self, item: Draft, path: str, protocol: str) -> int:
        number = self._pool.take()
        if number is None:
            item.mistake(path, "failed to allocate a nodePort: range is full")
            return 0
        self._held.add((protocol, number))
        return number

    def _hold(self, protocol: str, number: int) -> None:
        self._held.add((protocol, number))
        self._pool.claim(number)

    def _claim(self, item: Draft, kept: bool) -> None:
        before = {(protocol, number) for _, protocol, number in _held(item.old_spec)}
        for path, protocol, number in _held(item.spec):
            if ((protocol, number) in before) is not kept:
                continue
            if number not in self._pool:
                valid = f"The range of valid ports is {FIRST}-{LAST}"
                item.mistake(path, f"{number}: provided port is not in the valid range. {valid}")
            elif (protocol, number) in self._held:
                hint = "leave it out to get a free one"
                item.mistake(path, f"{number}: provided port is already allocated", hint)
            else:
                self._hold(protocol, number)
