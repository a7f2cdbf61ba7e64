"""From names to addresses: where a case's packet goes in the lab that was made for it. Pure.

Knows Kubernetes objects as JSON and which host has which address; knows neither the lab nor a datapath.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.errors import UsageError
from tests.net.case import Destination, Host, Packet

Object = Mapping[str, Any]
PLACEHOLDER = re.compile(r"\$\((?P<kind>pod|node|client)/(?P<name>[a-z0-9-]+)(:(?P<family>IPv[46]))?\)")


@dataclass(frozen=True, slots=True)
class Target:
    """An address and port; `via` is the router that the sender must use for it, empty for its own choice."""

    address: str
    port: int
    via: str = ""


LOOPBACK = {"IPv4": "127.0.0.1", "IPv6": "::1"}
SECONDARY = {"IPv4": "192.168.0.{}", "IPv6": "fd00:10:192::{:x}"}
SOURCES = {"IPv4": "203.0.113.{number}", "IPv6": "fd00:10:203::{number:x}"}
FIRST_SOURCE, MOST_SOURCES = 30, 100  # host part; clients have their own from 11 (docs/architecture.md)
FIRST_SECONDARY = 200  # host part; nodes have theirs from 1, the router 254 (docs/architecture.md)


@dataclass(frozen=True, slots=True)
class Directory:
    """Who has which address: hosts by name (`pod/web-1`), Services as the API shows them."""

    addresses: Mapping[str, Sequence[str]]
    services: Mapping[str, Object]

    def owners(self) -> dict[str, str]:
        """Address -> host, as the judge wants it. What shares a node's network is that node."""
        hosts = sorted(self.addresses.items(), key=lambda pair: not pair[0].startswith("node/"))
        owners: dict[str, str] = {}
        for host, addresses in hosts:
            owners |= {address: host for address in addresses if address not in owners}
        return owners

    def address(self, host: Host, family: str, number: int = 0) -> str:
        """The host's address of a family, its first unless `number` says another. Raises UsageError."""
        found = [a for a in self.addresses.get(str(host), ()) if family_of(a) == family]
        if len(found) <= number:
            raise UsageError(f"{host} has no {'second ' * number}{family} address")
        return found[number]

    def target(self, packet: Packet) -> Target:
        """Where the packet goes. Raises UsageError if the lab has no such thing."""
        to, family = packet.destination, packet.family
        if to.kind in ("pod", "node"):
            return Target(self.address(Host(to.kind, to.name), family), int(to.port))
        if to.kind == "address":
            return Target(to.name.strip("[]"), int(to.port), self._via(to, family))
        if to.kind == "healthCheck":
            return Target(
                self._node_address(to, family), int(self._service(to)["spec"]["healthCheckNodePort"])
            )
        if packet.protocol == "ICMP" and to.kind != "nodePort":
            return Target(self._service_address(to, family), 0, self._via(to, family))
        port = self._service_port(to, packet.protocol)
        if to.kind == "nodePort":
            return Target(self._node_address(to, family), int(port["nodePort"]))
        return Target(self._service_address(to, family), int(port["port"]), self._via(to, family))

    def _via(self, to: Destination, family: str) -> str:
        return self.address(Host("node", to.via), family) if to.via else ""

    def _node_address(self, to: Destination, family: str) -> str:
        if to.via == "localhost":
            return LOOPBACK[family]
        return self.address(Host("node", to.via), family, number=1 if to.second else 0)

    def _service(self, to: Destination) -> Object:
        if to.name not in self.services:
            raise UsageError(f"{to}: no such Service")
        return self.services[to.name]

    def _service_port(self, to: Destination, protocol: str) -> Mapping[str, Any]:
        ports: list[Object] = [
            p for p in self._service(to)["spec"].get("ports", ()) if p["protocol"] == protocol
        ]
        named = [p for p in ports if to.port in ("", p.get("name"), str(p["port"]))]
        if len(named) != 1:
            raise UsageError(f"{to}: {len(named)} service ports for {protocol}")
        return named[0]

    def _service_address(self, to: Destination, family: str) -> str:
        found = [a for a in service_addresses(self._service(to), to.kind) if family_of(a) == family]
        if not found:
            raise UsageError(f"{to} has no {family} address")
        return found[0]


def service_addresses(service: Object, kind: str) -> list[str]:
    """A Service's addresses of one origin, as its spec and status have them."""
    if kind == "service":
        return [ip for ip in service["spec"].get("clusterIPs", ()) if ip != "None"]
    if kind == "externalIP":
        return list(service["spec"].get("externalIPs", ()))
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", ())
    return [entry["ip"] for entry in ingress if "ip" in entry]


def secondary_addresses(number: int) -> list[str]:
    """The second addresses of the node with this number, counted from 0, in the node network."""
    return [pattern.format(FIRST_SECONDARY + number) for pattern in SECONDARY.values()]


def source_addresses(client: int, count: int, family: str) -> list[str]:
    """More addresses of the client with this number, counted from 0, in the outside network."""
    pattern = SOURCES[family]
    return [pattern.format(number=FIRST_SOURCE + MOST_SOURCES * client + n) for n in range(count)]


def family_of(address: str) -> str:
    """IPv4 or IPv6."""
    return f"IPv{ipaddress.ip_address(address).version}"


def documents(text: str) -> tuple[str, str]:
    """Manifests without placeholders, and those that can only be filled in once addresses are known."""
    parts = [part for part in re.split(r"^---\s*$", text, flags=re.MULTILINE) if part.strip()]
    plain = [part for part in parts if not PLACEHOLDER.search(part)]
    return "\n---\n".join(plain), "\n---\n".join(part for part in parts if part not in plain)


def filled(text: str, directory: Directory) -> str:
    """Manifests with each placeholder replaced by that host's address. Raises UsageError."""
    return PLACEHOLDER.sub(
        lambda match: directory.address(Host(match["kind"], match["name"]), match["family"] or "IPv4"), text
    )
