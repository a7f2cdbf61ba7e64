"""IPVS by generic netlink (linux/ip_vs.h): virtual and real servers, made, changed, removed and read back.

Attributes and their order: ip_vs_genl_* in the kernel's net/netfilter/ipvs/ip_vs_ctl.c. Requests are packed as a
whole, since a cluster of 10,000 Services needs 30,000 of them.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from testbed.datapaths.contract import Node
from testbed.datapaths.ipvs.items import Manner, Real, Server, place
from testbed.datapaths.ipvs.netlink.session import Request, Session
from testbed.errors import KernelStateError
from testbed.machine import netlink
from testbed.machine.netlink import attribute, attributes

NETLINK_GENERIC, CONTROL, GET_FAMILY = 16, 0x10, 3  # linux/genetlink.h: GENL_ID_CTRL, CTRL_CMD_GETFAMILY
FAMILY_ID, FAMILY_NAME = 1, 2  # CTRL_ATTR_*
GENL = struct.Struct("=BBxx")  # command, version

NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE = 1, 2, 3, 4
NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = 5, 6, 7, 8
SET_CONFIG, GET_INFO = 12, 15
SERVICE, DEST = 1, 2  # IPVS_CMD_ATTR_*
TIMEOUTS = (4, 5, 6)  # of TCP, TCP after FIN, UDP
AF, PROTOCOL, ADDR, PORT, FWMARK, SCHED_NAME, FLAGS, TIMEOUT, NETMASK = range(1, 10)  # IPVS_SVC_ATTR_*
D_ADDR, D_PORT, D_METHOD, D_WEIGHT, D_UPPER, D_LOWER, D_ACTIVE, D_INACTIVE = range(1, 9)  # IPVS_DEST_ATTR_*
D_STATS64 = 12
INFO_VERSION, INFO_SIZE = 1, 2

MASQUERADE = 0
METHODS = {0: "Masq", 1: "Local", 2: "Tunnel", 3: "Route", 4: "Bypass"}  # IP_VS_CONN_F_*
ALL_BITS = 0xFFFFFFFF
IPV6_NETMASK = 128  # of persistence; for IPv4 it is a mask

_U16, _U32, _FLAGS = struct.Struct("=H"), struct.Struct("=I"), struct.Struct("=II")
# Attributes one after the other, each with its length and type before it.
_IDENTITY = {
    4: struct.Struct("=HHHxxHHHxxHH4sHH2sxx"),
    16: struct.Struct("=HHHxxHHHxxHH16sHH2sxx"),
}
_REAL_IDENTITY = {4: struct.Struct("=HH4sHH2sxx"), 16: struct.Struct("=HH16sHH2sxx")}
_REAL_REST = struct.Struct("=HHIHHIHHIHHI")


class RealState(NamedTuple):
    """A real server as the kernel holds it."""

    weight: int
    method: int
    active: int  # connections
    inactive: int


class ServerState(NamedTuple):
    """A virtual server as the kernel holds it; `fwmark` is another way to name one, which is never ours."""

    server: Server
    manner: Manner
    fwmark: int = 0


class Ipvs:
    """IPVS of one node. Raises KernelStateError wherever the kernel refuses."""

    def __init__(self, node: Node) -> None:
        self._session = Session(node, NETLINK_GENERIC)
        self._kind = self._family(node)

    def _family(self, node: Node) -> int:
        name = GENL.pack(GET_FAMILY, 1) + attribute(FAMILY_NAME, b"IPVS\0")
        answer = self._session.ask(Request(CONTROL, 0, name, "IPVS"))
        if answer is None:
            self.close()
            raise KernelStateError(f"{node.name}: the kernel has no IPVS")
        return int.from_bytes(attributes(answer.body[GENL.size :])[FAMILY_ID], "little")

    def close(self) -> None:
        """Close the socket."""
        self._session.close()

    @property
    def sent(self) -> tuple[int, int]:
        """Requests and bytes so far."""
        return self._session.requests, self._session.bytes

    def change(self, bodies: Iterable[tuple[bytes, object]]) -> None:
        """Carry out requests made by the functions below."""
        self._session.send(Request(self._kind, 0, body, what) for body, what in bodies)

    def set_timeouts(self, seconds: tuple[int, int, int]) -> None:
        """Of TCP, TCP after FIN, UDP; 0 leaves one as it is. The kernel wants all three."""
        told = b"".join(attribute(k, _U32.pack(s)) for k, s in zip(TIMEOUTS, seconds, strict=True))
        self.change([(GENL.pack(SET_CONFIG, 1) + told, "IPVS timeouts")])

    def info(self) -> tuple[str, int]:
        """IPVS's version, and the size of its table of connections."""
        answer = self._session.ask(Request(self._kind, 0, GENL.pack(GET_INFO, 1), "IPVS"))
        assert answer is not None
        told = attributes(answer.body[GENL.size :])
        version = int.from_bytes(told[INFO_VERSION], "little")
        words = f"{version >> 16 & 255}.{version >> 8 & 255}.{version & 255}"
        return words, int.from_bytes(told[INFO_SIZE], "little")

    def has(self, server: Server) -> bool:
        """True if there is such a virtual server."""
        body = GENL.pack(GET_SERVICE, 1) + identity(server)
        return self._session.ask(Request(self._kind, 0, body, server)) is not None

    def servers(self) -> Iterator[ServerState]:
        """Every virtual server of the node; to be read to the end."""
        request = Request(self._kind, 0, GENL.pack(GET_SERVICE, 1), "listing virtual servers")
        for answer in self._session.list(request):
            yield _server(attributes(attributes(answer.body[GENL.size :])[SERVICE]))

    def reals(self, server: Server) -> dict[Real, RealState]:
        """The real servers of one; none if there is no such virtual server."""
        body = GENL.pack(GET_DEST, 1) + identity(server)
        found = {}
        for answer in self._session.list(Request(self._kind, 0, body, server)):
            real = attributes(attributes(answer.body[GENL.size :])[DEST])
            address = bytes(real[D_ADDR][: len(server.address)])
            found[(address, int.from_bytes(real[D_PORT], "big"))] = RealState(
                *(_U32.unpack_from(real[kind])[0] for kind in (D_WEIGHT, D_METHOD, D_ACTIVE, D_INACTIVE))
            )
        return found


def _server(told: dict[int, memoryview]) -> ServerState:
    length = 4 if _U16.unpack_from(told[AF])[0] == socket.AF_INET else 16
    flags, _ = _FLAGS.unpack_from(told[FLAGS])
    scheduler = bytes(told[SCHED_NAME]).rstrip(b"\0").decode()
    manner = Manner(scheduler, flags, _U32.unpack_from(told[TIMEOUT])[0])
    if FWMARK in told:
        return ServerState(Server(0, bytes(length), 0), manner, _U32.unpack_from(told[FWMARK])[0])
    protocol, port = _U16.unpack_from(told[PROTOCOL])[0], int.from_bytes(told[PORT], "big")
    return ServerState(Server(protocol, bytes(told[ADDR][:length]), port), manner)


def identity(server: Server, rest: bytes = b"") -> bytes:
    """The attribute that names a virtual server; `rest` are more attributes of it."""
    protocol, address, port = server
    length = len(address)
    layout, af = _IDENTITY[length], socket.AF_INET if length == 4 else socket.AF_INET6
    head = layout.pack(
        6, AF, af, 6, PROTOCOL, protocol, 4 + length, ADDR, address, 6, PORT, port.to_bytes(2, "big")
    )
    return netlink.ATTRIBUTE.pack(4 + len(head) + len(rest), SERVICE | netlink.NESTED) + head + rest


def _full(server: Server, manner: Manner) -> bytes:
    mask = ALL_BITS if len(server.address) == 4 else IPV6_NETMASK
    return identity(
        server,
        attribute(SCHED_NAME, manner.scheduler.encode() + b"\0")
        + attribute(FLAGS, _FLAGS.pack(manner.flags, ALL_BITS))
        + attribute(TIMEOUT, _U32.pack(manner.timeout))
        + attribute(NETMASK, _U32.pack(mask)),
    )


def new_server(server: Server, manner: Manner) -> tuple[bytes, object]:
    """Make a virtual server."""
    return GENL.pack(NEW_SERVICE, 1) + _full(server, manner), server


def set_server(server: Server, manner: Manner) -> tuple[bytes, object]:
    """Let one choose in another manner; its connections stay."""
    return GENL.pack(SET_SERVICE, 1) + _full(server, manner), server


def del_server(server: Server) -> tuple[bytes, object]:
    """Remove one with its real servers."""
    return GENL.pack(DEL_SERVICE, 1) + identity(server), server


class RealName(NamedTuple):
    """What an error says of a real server."""

    server: Server
    real: Real

    def __str__(self) -> str:
        return f"{self.server} -> {place(*self.real)}"


def put_reals(
    command: int, server: Server, reals: Iterable[tuple[Real, int]]
) -> Iterator[tuple[bytes, object]]:
    """Add (NEW_DEST) or change (SET_DEST) real servers with their weights, masqueraded, without thresholds."""
    head = GENL.pack(command, 1) + identity(server)
    for real, weight in reals:
        rest = _REAL_REST.pack(8, D_METHOD, 0, 8, D_WEIGHT, weight, 8, D_UPPER, 0, 8, D_LOWER, 0)
        yield head + _real(real, rest), RealName(server, real)


def del_reals(server: Server, reals: Iterable[Real]) -> Iterator[tuple[bytes, object]]:
    """Remove real servers; their connections go on until they end."""
    head = GENL.pack(DEL_DEST, 1) + identity(server)
    for real in reals:
        yield head + _real(real, b""), RealName(server, real)


def _real(real: Real, rest: bytes) -> bytes:
    address, port = real
    length = len(address)
    layout = _REAL_IDENTITY[length]
    name = layout.pack(4 + length, D_ADDR, address, 6, D_PORT, port.to_bytes(2, "big"))
    return netlink.ATTRIBUTE.pack(4 + len(name) + len(rest), DEST | netlink.NESTED) + name + rest
