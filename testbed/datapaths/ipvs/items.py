"""What this datapath puts into the kernel, as values: virtual and real servers, elements of ipsets. Pure.

Addresses are in network order as the kernel tells them, so what is wanted and what is read back are compared as
they are; the family follows from their length. Knows how ipvsadm and ipset write them; knows no netlink.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import NamedTuple

from testbed.proxier.plan import Family, Protocol, socket_address

PROTOCOLS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}
PROTOCOL_NAMES = {number: name.value for name, number in PROTOCOLS.items()}

PERSISTENT, SOURCE_HASH_PORT = 0x1, 0x10  # IP_VS_SVC_F_PERSISTENT, IP_VS_SVC_F_SCHED_MH_PORT (linux/ip_vs.h)
MEANT_FLAGS = 0x3D  # all of IP_VS_SVC_F_* but HASHED, which is the kernel's own note

_SAVED_AS = {6: "-t", 17: "-u", 132: "--sctp-service"}
_SCHEDULER_FLAGS = {
    "sh": ("sh-fallback", "sh-port", "flag-3"),
    "mh": ("mh-fallback", "mh-port", "flag-3"),
}
_PLAIN_FLAGS = ("flag-1", "flag-2", "flag-3")


class Server(NamedTuple):
    """A virtual server by what the kernel finds it by."""

    protocol: int
    address: bytes
    port: int

    def __str__(self) -> str:
        return f"{PROTOCOL_NAMES.get(self.protocol, self.protocol)} {place(self.address, self.port)}"

    @property
    def family(self) -> Family:
        return family_of(self.address)


class Manner(NamedTuple):
    """How a virtual server chooses; `timeout` is persistence's, in seconds."""

    scheduler: str
    flags: int = 0
    timeout: int = 0


Real = tuple[bytes, int]  # a real server's address and port
Reals = Mapping[Real, int]  # with their weights


class Element(NamedTuple):
    """An element of the set `name` (without family); fields that its type lacks are empty."""

    name: str
    family: Family
    address: bytes = b""
    protocol: int = 0
    port: int = 0
    other: bytes = b""  # the source address, or the source network's
    prefix: int = 0  # of that network; 0: an address

    def __str__(self) -> str:
        """As ipset writes it behind the set's name."""
        if not self.address:
            return str(self.port)
        parts = [show(self.address)]
        if self.protocol:
            parts.append(f"{PROTOCOL_NAMES[self.protocol].lower()}:{self.port}")
        if self.other:
            length = f"/{self.prefix}" if self.prefix and self.prefix < 8 * len(self.other) else ""
            parts.append(show(self.other) + length)
        return ",".join(parts)


class Guard(NamedTuple):
    """A load balancer's address that the node's own processes may not use: KUBE-IPVS-OUT-FILTER drops them."""

    address: bytes
    protocol: int
    port: int


def family_of(address: bytes) -> Family:
    """The family of a packed address."""
    return Family.IPV4 if len(address) == 4 else Family.IPV6


def show(address: bytes) -> str:
    """A packed address as text."""
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def place(address: bytes, port: int) -> str:
    """A packed address and a port as they are written together."""
    return socket_address(show(address), port)


def scheduler_flags(manner: Manner) -> str:
    """The scheduler's flags in ipvsadm's words, parted by commas; empty without."""
    words = _SCHEDULER_FLAGS.get(manner.scheduler, _PLAIN_FLAGS)
    return ",".join(word for bit, word in zip((0x8, 0x10, 0x20), words, strict=True) if manner.flags & bit)


def saved(server: Server, manner: Manner, reals: Reals) -> list[str]:
    """What `ipvsadm -Sn` prints of a virtual server; its real servers are sorted, which ipvsadm does not."""
    who = f"{_SAVED_AS[server.protocol]} {place(server.address, server.port)}"
    affinity = f" -p {manner.timeout}" if manner.flags & PERSISTENT else ""
    flags = scheduler_flags(manner)
    lines = [f"-A {who} -s {manner.scheduler}{affinity}" + (f" -b {flags}" if flags else "")]
    lines += sorted(f"-a {who} -r {place(*real)} -m -w {weight}" for real, weight in reals.items())
    return lines
