"""Wires between namespaces: what each end of a veth pair has set on it, as requests to the kernel.

Knows devices, addresses, routes, neighbours and sysctls; knows nothing of nodes or pods. The requests are
spelled in `rtnetlink.py`; no program is started for any of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.errors import KernelStateError
from testbed.machine import rtnetlink
from testbed.machine.rtnetlink import Address, Device, Interface, Message, Network, Route


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a veth pair; `index` must be free in the namespace where it will be."""

    index: int
    name: str
    mac: str
    addresses: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    neighbours: tuple[tuple[Address, str], ...] = ()  # fixed for good: (address, MAC)
    bridge: int = 0  # become a port of the bridge with this index, which is in the same namespace
    link_local: bool = False  # make an automatic IPv6 link-local address

    @property
    def device(self) -> Device:
        return Device(self.name, self.index, self.mac)

    def requests(self) -> Iterator[Message]:
        """Up, with everything set on it. To be sent in the namespace where the port is."""
        yield rtnetlink.up(self.index, master=self.bridge, link_local=self.link_local)
        yield from (rtnetlink.address(self.index, given) for given in self.addresses)
        yield from (rtnetlink.neighbour(self.index, who, mac) for who, mac in self.neighbours)
        yield from (rtnetlink.route(self.index, wanted) for wanted in self.routes)


@dataclass(frozen=True, slots=True)
class Wire:
    """A veth pair from a new namespace (`inside`) to one that is there already (`outside`)."""

    inside: Port
    outside: Port

    def requests_inside(self, outside_netns: int) -> Iterator[Message]:
        """Make the pair and set up the inner end. To be sent in the new namespace, before anything is sent
        outside; `outside_netns` is a descriptor of the other one."""
        yield rtnetlink.up(rtnetlink.LOOPBACK)
        yield rtnetlink.veth(self.inside.device, self.outside.device, outside_netns)
        yield from self.inside.requests()


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


__all__ = ["Address", "Interface", "Network", "Port", "Route", "Wire", "has_sysctl", "sysctl"]
