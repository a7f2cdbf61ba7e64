"""What an operator would look at: the text of `ipvsadm -ln`, then the sets as `ipset save` prints them. Pure.

Layout and order: print_service_entry and ipvs_cmp_services of ipvsadm 1.31. Its order compares addresses by the
sign of their difference in 32 bits, so 192.0.2.1 comes before 10.0.0.1.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator, Mapping

from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.items import (
    PERSISTENT,
    PROTOCOL_NAMES,
    Element,
    Manner,
    Real,
    Server,
    place,
    scheduler_flags,
)
from testbed.datapaths.ipvs.netlink.genl import METHODS, RealState

Listed = Mapping[Server, tuple[Manner, Mapping[Real, RealState]]]

_HEAD = """IP Virtual Server version {} (size={})
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn"""


def server_lines(info: tuple[str, int], servers: Listed) -> Iterator[str]:
    """What `ipvsadm -ln` prints."""
    yield from _HEAD.format(*info).splitlines()
    for server in sorted(servers, key=functools.cmp_to_key(_before)):
        manner, reals = servers[server]
        affinity = f" persistent {manner.timeout}" if manner.flags & PERSISTENT else ""
        flags = scheduler_flags(manner)
        told = f" ({flags})" if flags else ""
        protocol = PROTOCOL_NAMES[server.protocol]
        yield f"{protocol:<4} {place(server.address, server.port)} {manner.scheduler}{told}{affinity}"
        for real in sorted(reals, key=functools.cmp_to_key(_address_before)):
            yield _real_line(real, reals[real])


def _real_line(real: Real, state: RealState) -> str:
    """The columns are filled up with blanks to the end of the line."""
    numbers = f"{state.weight:<6} {state.active:<10} {state.inactive:<10}"
    return f"  -> {place(*real):<28} {METHODS[state.method]:<7} {numbers}"


def set_lines(held: Mapping[str, Iterable[Element]]) -> Iterator[str]:
    """Our sets with their elements, sorted."""
    for name, elements in sorted(held.items()):
        yield sets.created(*sets.NAMES[name])
        yield from (f"add {name} {element}" for element in sorted(elements))


def _before(one: Server, other: Server) -> int:
    families = len(one.address) - len(other.address)
    first = families or one.protocol - other.protocol
    return first or _address_before((one.address, one.port), (other.address, other.port))


def _address_before(one: Real, other: Real) -> int:
    for mine, theirs in zip(_words(one[0]), _words(other[0]), strict=True):
        if mine != theirs:
            return -1 if (mine - theirs) & 1 << 31 else 1
    return one[1] - other[1]


def _words(address: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(address) // 4}I", address)
