"""Devices, addresses, routes and neighbours over netlink (pyroute2): no program is started for any of them.

A `Port` is one end of a veth pair and everything that is to be set on it. Knows namespaces and devices; knows
nothing of nodes or pods.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from types import TracebackType
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from testbed.errors import KernelStateError
from testbed.machine.netns import Netns

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

IFA_F_NODAD = 0x02  # no duplicate address detection: it would keep an IPv6 address unusable for a second
RTNH_F_ONLINK = 4
NUD_PERMANENT = 0x80
ADDR_GEN_NONE = 1  # no automatic link-local address
LOOPBACK = 1  # index of `lo` in every network namespace


@dataclass(frozen=True, slots=True)
class Route:
    """A route by the port that holds it; without a gateway the destination is on the link."""

    to: Network
    via: Address | None = None
    source: Address | None = None
    onlink: bool = False  # the gateway is reachable although no address of ours says so


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a veth pair. `netns` None is the namespace of the calling thread (the sandbox's own)."""

    netns: Netns | None
    name: str
    mac: str
    addresses: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[tuple[Address, str], ...] = ()  # fixed for good: (address, MAC)
    bridge: str = ""  # become a port of this bridge, which is in the same namespace
    link_local: bool = False  # make an automatic IPv6 link-local address


@dataclass(frozen=True, slots=True)
class Wire:
    """A veth pair: two ports."""

    a: Port
    b: Port


@dataclass(slots=True)
class Rtnetlink:
    """Netlink sockets, one per namespace, kept open while this is used (`with Rtnetlink() as links:`)."""

    _sockets: dict[str, Any] = field(default_factory=dict)
    _files: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> Rtnetlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in list(self._sockets):
            self.forget(name)

    def forget(self, name: str) -> None:
        """Close what is open for a namespace: an open socket would keep it alive."""
        with suppress(KeyError):
            self._sockets.pop(name).close()
        with suppress(KeyError):
            os.close(self._files.pop(name))

    def bridge(self, name: str) -> None:
        """A Linux bridge in the calling thread's namespace: up, no spanning tree, no multicast snooping."""
        self._socket(None).link("add", ifname=name, kind="bridge", br_stp_state=0, br_mcast_snooping=0)
        self._socket(None).link("set", index=self.index(None, name), state="up")

    def index(self, netns: Netns | None, name: str) -> int:
        """The index of a device. Raises KernelStateError if it is not there."""
        found = self._socket(netns).link_lookup(ifname=name)
        if not found:
            raise KernelStateError(f"no device {name} in {netns.name if netns else 'the sandbox'}")
        return int(found[0])

    def lay(self, wire: Wire) -> None:
        """Make a veth pair with its ends where they belong, and set everything on them. Raises KernelStateError."""
        try:
            self._pair(wire)
            for port in (wire.a, wire.b):
                self._dress(port)
        except NetlinkError as error:
            raise KernelStateError(f"laying {_label(wire.a)} - {_label(wire.b)}: {error}") from error

    def add_routes(self, netns: Netns, device: str, routes: Iterable[Route]) -> None:
        """Add or replace routes by a device."""
        index = self.index(netns, device)
        for route in routes:
            self._route(self._socket(netns), index, route)

    def address(self, netns: Netns | None, device: str, addresses: Iterable[Interface]) -> None:
        """Give a device addresses, usable at once."""
        netlink, index = self._socket(netns), self.index(netns, device)
        for address in addresses:
            length, flags = address.network.prefixlen, IFA_F_NODAD if address.version == 6 else 0
            netlink.addr("add", index=index, address=str(address.ip), prefixlen=length, flags=flags)

    def up(self, netns: Netns | None, index: int = LOOPBACK) -> None:
        """Bring a device up, by default the loopback device."""
        self._socket(netns).link("set", index=index, state="up")

    def delete(self, netns: Netns | None, name: str) -> None:
        """Remove a device (and with it the other end of its pair)."""
        self._socket(netns).link("del", index=self.index(netns, name))

    def _pair(self, wire: Wire) -> None:
        """The pair is made in a's namespace, with b's end born in its own."""
        peer: dict[str, Any] = {"ifname": wire.b.name, "address": wire.b.mac}
        if wire.b.netns is not None:
            peer["net_ns_fd"] = self._file(wire.b.netns)
        settings: dict[str, Any] = {
            "ifname": wire.a.name,
            "kind": "veth",
            "address": wire.a.mac,
            "peer": peer,
        }
        self._socket(wire.a.netns).link("add", **settings)

    def _dress(self, port: Port) -> None:
        netlink, index = self._socket(port.netns), self.index(port.netns, port.name)
        settings: dict[str, Any] = {"index": index, "state": "up"}
        if not port.link_local:
            settings["IFLA_AF_SPEC"] = _address_generation_none()
        if port.bridge:
            settings["master"] = self.index(port.netns, port.bridge)
        netlink.link("set", **settings)
        self.address(port.netns, port.name, port.addresses)
        for to, mac in port.neighbours:
            netlink.neigh("replace", dst=str(to), lladdr=mac, ifindex=index, state=NUD_PERMANENT)
        for route in port.routes:
            self._route(netlink, index, route)

    @staticmethod
    def _route(netlink: Any, index: int, route: Route) -> None:
        settings: dict[str, Any] = {
            "dst": str(route.to),
            "oif": index,
            "family": 2 if route.to.version == 4 else 10,
        }
        if route.via is not None:
            settings["gateway"] = str(route.via)
        elif route.to.version == 4:
            settings["scope"] = 253  # RT_SCOPE_LINK
        if route.source is not None:
            settings["prefsrc"] = str(route.source)
        if route.onlink:
            settings["flags"] = RTNH_F_ONLINK
        netlink.route("replace", **settings)

    def _file(self, netns: Netns) -> int:
        if netns.name not in self._files:
            self._files[netns.name] = os.open(netns.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._files[netns.name]

    def _socket(self, netns: Netns | None) -> Any:
        name = netns.name if netns else ""
        if name not in self._sockets:
            self._sockets[name] = netns.call(IPRoute) if netns else IPRoute()
        return self._sockets[name]


def sysctl(settings: Mapping[str, str]) -> None:
    """Write sysctls (`net/ipv4/ip_forward`) of the calling thread's network namespace."""
    for name, value in settings.items():
        try:
            Path("/proc/sys", name).write_text(value)
        except OSError as error:
            raise KernelStateError(f"sysctl {name}={value}: {error.strerror}") from error


def has_sysctl(name: str) -> bool:
    """True if the calling thread's network namespace has this sysctl."""
    return Path("/proc/sys", name).exists()


def _label(port: Port) -> str:
    return f"{port.netns.name if port.netns else 'sandbox'}/{port.name}"


def _address_generation_none() -> dict[str, Sequence[Any]]:
    inet6 = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", ADDR_GEN_NONE)]}
    return {"attrs": [("AF_INET6", inet6)]}
