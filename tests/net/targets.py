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
from tests.net.case_file import Destination, Host, Packet

Object = Mapping[str, Any]
PLACEHOLDER = re.compile(r"\$\((?P<kind>pod|node|client)/(?P<name>[a-z0-9-]+)(:(?P<family>IPv[46]))?\)")


@dataclass(frozen=True, slots=True)
class Target:
    """An address and port; `via` is the router that the sender must use for it, empty for its own choice."""

    address: str
    port: int
    via: str = ""


@dataclass(frozen=True, slots=True)
class Directory:
    """Who has which address: hosts by namespace name, Services as the API shows them."""

    addresses: Mapping[str, Sequence[str]]
    services: Mapping[str, Object]

    def owners(self) -> dict[str, str]:
        """Address -> host, as the judge wants it."""
        return {
            address: self._host(netns) for netns, addresses in self.addresses.items() for address in addresses
        }

    @staticmethod
    def _host(netns: str) -> str:
        if netns.startswith("default_"):
            return f"pod/{netns.removeprefix('default_')}"
        return f"{'client' if netns.startswith('client') else 'node'}/{netns}"

    def address(self, host: Host, family: str) -> str:
        """The host's address of a family. Raises UsageError if it has none."""
        found = [a for a in self.addresses.get(host.netns, ()) if family_of(a) == family]
        if not found:
            raise UsageError(f"{host} has no {family} address")
        return found[0]

    def target(self, packet: Packet) -> Target:
        """Where the packet goes. Raises UsageError if the lab has no such thing."""
        to, family = packet.destination, packet.family
        via = self.address(Host("node", to.via), family) if to.via and to.kind != "nodePort" else ""
        if to.kind in ("pod", "node"):
            return Target(self.address(Host(to.kind, to.name), family), int(to.port))
        port = self._service_port(to, packet.protocol)
        if to.kind == "nodePort":
            return Target(self.address(Host("node", to.via), family), int(port["nodePort"]))
        return Target(self._service_address(to, family), int(port["port"]), via)

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
