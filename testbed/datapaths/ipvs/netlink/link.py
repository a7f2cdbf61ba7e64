"""kube-ipvs0, the device that makes service addresses the node's own, and all addresses of a node, by rtnetlink.

The device is a dummy and stays down, as kube-proxy leaves it: an address is local on a device that is down, too.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import NamedTuple

from testbed.datapaths.contract import Node
from testbed.datapaths.ipvs.items import show
from testbed.datapaths.ipvs.netlink.session import Request, Session
from testbed.machine.netlink import CREATE, EXCL, attribute, attributes, nested, text
from testbed.machine.rtnetlink import (
    IFA_ADDRESS,
    IFA_LOCAL,
    IFADDR,
    IFINFO,
    IFLA_IFNAME,
    IFLA_LINKINFO,
    INFO_KIND,
    NODAD,
    SCOPE_UNIVERSE,
)

NEWLINK, DELLINK, GETLINK, NEWADDR, DELADDR, GETADDR = 16, 17, 18, 20, 21, 22
DEVICE = "kube-ipvs0"
LOOPBACK = b"\0" * 15 + b"\1"


class Addresses(NamedTuple):
    """The addresses of a node, packed: what is on kube-ipvs0, and its own without loopback and link-local ones."""

    bound: frozenset[bytes]
    local: frozenset[bytes]


class Links:
    """The devices of one node. Raises KernelStateError wherever the kernel refuses."""

    def __init__(self, node: Node) -> None:
        self._session = Session(node, socket.NETLINK_ROUTE)

    def close(self) -> None:
        """Close the socket."""
        self._session.close()

    @property
    def sent(self) -> tuple[int, int]:
        """Requests and bytes so far."""
        return self._session.requests, self._session.bytes

    def index(self) -> int:
        """The device's number; 0 if there is no such device."""
        body = IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, DEVICE)
        answer = self._session.ask(Request(GETLINK, 0, body, DEVICE))
        return IFINFO.unpack_from(answer.body)[2] if answer else 0

    def create(self) -> int:
        """Make the device, down, unless it is there; returns its number."""
        if not (found := self.index()):
            kind = nested(IFLA_LINKINFO, attribute(INFO_KIND, b"dummy"))
            body = IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, DEVICE) + kind
            self._session.send([Request(NEWLINK, CREATE | EXCL, body, f"new device {DEVICE}")])
            found = self.index()
        return found

    def delete(self) -> None:
        """Remove the device with its addresses, if it is there."""
        if found := self.index():
            self._session.send([Request(DELLINK, 0, IFINFO.pack(0, 0, found, 0, 0), DEVICE)])

    def addresses(self) -> Addresses:
        """All addresses of the node."""
        index = self.index()
        bound: set[bytes] = set()
        local: set[bytes] = set()
        request = Request(GETADDR, 0, IFADDR.pack(0, 0, 0, 0, 0), "listing addresses")
        for answer in self._session.list(request):
            device = IFADDR.unpack_from(answer.body)[4]
            told = attributes(answer.body[IFADDR.size :])
            address = bytes(told.get(IFA_LOCAL) or told[IFA_ADDRESS])
            (bound if device == index else local).add(address)
        return Addresses(frozenset(bound), frozenset(filter(_counts, local)))

    def bind(self, index: int, addresses: Iterable[bytes]) -> None:
        """Give the device addresses, usable at once."""
        self._session.send(_request(NEWADDR, CREATE | EXCL, index, address) for address in addresses)

    def unbind(self, index: int, addresses: Iterable[bytes]) -> None:
        """Take addresses from the device."""
        self._session.send(_request(DELADDR, 0, index, address) for address in addresses)


def _counts(address: bytes) -> bool:
    """True for an address that others may use (kube-proxy's netlinkHandle.isValidForSet)."""
    if len(address) == 4:
        return address[0] != 127
    link_local = address[0] == 0xFE and address[1] & 0xC0 == 0x80  # fe80::/10
    return address != LOOPBACK and not link_local


def _request(kind: int, flags: int, index: int, address: bytes) -> Request:
    ipv4 = len(address) == 4
    family, nodad = (socket.AF_INET, 0) if ipv4 else (socket.AF_INET6, NODAD)
    body = IFADDR.pack(family, 8 * len(address), nodad, SCOPE_UNIVERSE, index)
    body += attribute(IFA_LOCAL, address) + attribute(IFA_ADDRESS, address)
    return Request(kind, flags, body, _Named(address))


class _Named(NamedTuple):
    """What an error says of an address."""

    address: bytes

    def __str__(self) -> str:
        return f"address {show(self.address)} on {DEVICE}"
