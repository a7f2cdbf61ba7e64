"""rtnetlink(7) messages, and a socket that sends any number of them with one system call.

pyroute2 speaks all of netlink but takes 0.4 ms to encode one message, and a cluster of 1,000 pods needs 20,000.
So the few requests that a cluster is made of are encoded here. Knows numbers of the kernel's headers
(linux/rtnetlink.h, if_link.h, veth.h) and sockets; knows nothing of what a device is for.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from types import TracebackType
from typing import NamedTuple

from testbed.errors import KernelStateError
from testbed.machine.netlink import (
    ACK,
    CAP_ACK,
    CREATE,
    ERROR,
    EXCL,
    HEADER,
    NESTED,
    REPLACE,
    REQUEST,
    SOL_NETLINK,
    U32,
    attribute,
)

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

NEWLINK, DELLINK, NEWADDR, NEWROUTE, NEWNEIGH = 16, 17, 20, 24, 28
IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change
IFADDR = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
ROUTE = struct.Struct("=BBBBBBBBI")  # family, dst and src length, tos, table, protocol, scope, type, flags
NEIGH = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type
LARGEST_SEND = 1 << 16  # bytes; well under the default net.core.wmem_default

UP = 1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 10, 18
IFLA_AF_SPEC, IFLA_GROUP, IFLA_NET_NS_FD = 26, 27, 28
DOOMED = 0x74657374  # a group of devices that live no longer than the next request
INFO_KIND, INFO_DATA, VETH_PEER = 1, 2, 1
INET6_ADDR_GEN_MODE, ADDR_GEN_NONE = 8, 1
BR_STP_STATE, BR_MCAST_SNOOPING = 5, 23
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, NODAD = 1, 2, 4, 0x02
NDA_DST, NDA_LLADDR, PERMANENT = 1, 2, 0x80
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC = 1, 4, 5, 7
MAIN, STATIC, UNICAST, SCOPE_UNIVERSE, SCOPE_LINK, ONLINK = 254, 4, 1, 0, 253, 4

LOOPBACK = 1  # index of `lo` in every network namespace


class Message(NamedTuple):
    """A request without its header; `what` names it in an error."""

    kind: int
    flags: int
    body: bytes
    what: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device to be made. The index must be free in its namespace; it is chosen by whoever makes the device,
    so that nothing has to be asked for afterwards."""

    name: str
    index: int
    mac: str


@dataclass(frozen=True, slots=True)
class Route:
    """A route by one device; without a gateway the destination is on the link."""

    to: Network
    via: Address | None = None
    source: Address | None = None
    onlink: bool = False  # the gateway is reachable although no address of ours says so


class Rtnetlink:
    """A socket in the calling thread's network namespace; it stays there, whichever thread uses it."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.setsockopt(SOL_NETLINK, CAP_ACK, 1)

    def send(self, messages: Iterable[Message]) -> None:
        """Have the kernel carry out the requests, in order. Raises KernelStateError for the first refused one;
        the requests after it may have been carried out."""
        batch: list[Message] = []
        size = 0
        for message in messages:
            if size + HEADER.size + len(message.body) > LARGEST_SEND:
                self._exchange(batch)
                batch, size = [], 0
            batch.append(message)
            size += HEADER.size + len(message.body)
        if batch:
            self._exchange(batch)

    def _exchange(self, batch: Sequence[Message]) -> None:
        """The kernel answers each error, and success only where it is asked to: for the last request."""
        last = len(batch) - 1
        self._socket.send(
            b"".join(
                HEADER.pack(
                    HEADER.size + len(m.body), m.kind, m.flags | REQUEST | (ACK if n == last else 0), n, 0
                )
                + m.body
                for n, m in enumerate(batch)
            )
        )
        refused: list[str] = []
        while True:
            number, error = self._answer()
            if error:
                refused.append(f"{batch[number].what}: {os.strerror(error)}")
            if number == last:
                break
        if refused:
            raise KernelStateError(refused[0])

    def _answer(self) -> tuple[int, int]:
        """Which request an answer is for, and its errno (0: done)."""
        data = self._socket.recv(1 << 12)
        _, kind, _, number, _ = HEADER.unpack_from(data)
        assert kind == ERROR  # nothing else is asked for
        return number, -int.from_bytes(data[HEADER.size : HEADER.size + 4], "little", signed=True)

    def close(self) -> None:
        """Close the socket; an open one keeps its namespace alive."""
        self._socket.close()

    def __enter__(self) -> Rtnetlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def bridge(device: Device) -> Message:
    """A Linux bridge, up, without spanning tree and multicast snooping."""
    off = attribute(BR_STP_STATE, U32.pack(0)) + attribute(BR_MCAST_SNOOPING, b"\0")
    return _new_device(device, "bridge", off, UP)


def veth(device: Device, peer: Device, peer_netns: int) -> Message:
    """A veth pair: `device` here, its peer in the namespace behind the descriptor `peer_netns`."""
    there = (
        IFINFO.pack(0, 0, peer.index, 0, 0) + _names(peer) + attribute(IFLA_NET_NS_FD, U32.pack(peer_netns))
    )
    return _new_device(device, "veth", attribute(VETH_PEER | NESTED, there))


def up(index: int, *, master: int = 0, link_local: bool = True) -> Message:
    """Bring a device up: as a port of the bridge `master`, without an automatic IPv6 address if so wished."""
    body = IFINFO.pack(0, 0, index, UP, UP)
    if master:
        body += attribute(IFLA_MASTER, U32.pack(master))
    if not link_local:
        mode = attribute(INET6_ADDR_GEN_MODE, bytes([ADDR_GEN_NONE]))
        body += attribute(IFLA_AF_SPEC | NESTED, attribute(socket.AF_INET6 | NESTED, mode))
    return Message(NEWLINK, 0, body, f"device {index} up")


def delete(indexes: Iterable[int]) -> Iterator[Message]:
    """Remove devices, each with the other end of its pair: as one group, because for every request of this kind
    the kernel waits until no processor uses the devices any more, which takes some 10 ms."""
    group = attribute(IFLA_GROUP, U32.pack(DOOMED))
    for index in indexes:
        yield Message(NEWLINK, 0, IFINFO.pack(0, 0, index, 0, 0) + group, f"device {index}")
    yield Message(DELLINK, 0, IFINFO.pack(0, 0, 0, 0, 0) + group, "deleting devices")


def address(index: int, given: Interface) -> Message:
    """Give a device an address, usable at once: duplicate detection would keep an IPv6 one waiting for a second."""
    packed = given.ip.packed
    body = IFADDR.pack(
        _family(given.ip), given.network.prefixlen, NODAD if given.version == 6 else 0, SCOPE_UNIVERSE, index
    )
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    return Message(NEWADDR, CREATE | REPLACE, body, f"address {given}")


def neighbour(index: int, who: Address, mac: str) -> Message:
    """Fix a neighbour's MAC for good."""
    body = NEIGH.pack(_family(who), index, PERMANENT, 0, 0)
    body += attribute(NDA_DST, who.packed) + attribute(NDA_LLADDR, _mac(mac))
    return Message(NEWNEIGH, CREATE | REPLACE, body, f"neighbour {who}")


def route(index: int, wanted: Route) -> Message:
    """Add or replace a route by a device."""
    to = wanted.to
    scope = SCOPE_LINK if wanted.via is None and to.version == 4 else SCOPE_UNIVERSE
    flags = ONLINK if wanted.onlink else 0
    body = ROUTE.pack(
        _family(to.network_address), to.prefixlen, 0, 0, MAIN, STATIC, scope, UNICAST, flags
    ) + attribute(RTA_OIF, U32.pack(index))
    if to.prefixlen:
        body += attribute(RTA_DST, to.network_address.packed)
    if wanted.via is not None:
        body += attribute(RTA_GATEWAY, wanted.via.packed)
    if wanted.source is not None:
        body += attribute(RTA_PREFSRC, wanted.source.packed)
    return Message(NEWROUTE, CREATE | REPLACE, body, f"route to {to}")


def _new_device(device: Device, kind: str, data: bytes, flags: int = 0) -> Message:
    info = attribute(INFO_KIND, kind.encode()) + attribute(INFO_DATA | NESTED, data)
    body = IFINFO.pack(0, 0, device.index, flags, flags) + _names(device)
    body += attribute(IFLA_LINKINFO | NESTED, info)
    return Message(NEWLINK, CREATE | EXCL, body, f"new device {device.name}")


def _names(device: Device) -> bytes:
    named = attribute(IFLA_IFNAME, device.name.encode() + b"\0")
    return named + (attribute(IFLA_ADDRESS, _mac(device.mac)) if device.mac else b"")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _family(who: Address) -> int:
    return socket.AF_INET if who.version == 4 else socket.AF_INET6
