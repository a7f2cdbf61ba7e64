"""From the kernel's state back to frontends, in the contract's words. Pure.

IPVS keeps no names, so there are none here. A node port is one virtual server for each of the node's addresses;
they are told as one frontend.
"""

from __future__ import annotations

from collections.abc import Mapping

from testbed.datapaths.contract import Observed, ObservedFrontend
from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.items import PERSISTENT, PROTOCOL_NAMES, Manner, Real, Server, place, show
from testbed.datapaths.ipvs.kernel import Held, roles
from testbed.datapaths.ipvs.netlink.genl import RealState

_NODE_PORTS = frozenset(sets.NODE_PORT.values())


def observed(found: Held) -> Observed:
    """Our virtual servers as frontends, and how much there is of what."""
    frontends = {
        (server.family, _frontend(server, *state, node_port=_is_node_port(server, found)))
        for server, state in found.servers.items()
    }
    size = {
        "virtual servers": len(found.servers),
        "real servers": sum(len(reals) for _, reals in found.servers.values()),
        "addresses": len(found.addresses.bound),
        "sets": len(found.sets),
        "elements": sum(map(len, found.sets.values())),
    }
    return Observed(tuple(sorted((each for _, each in frontends), key=repr)), size)


def _is_node_port(server: Server, found: Held) -> bool:
    there = roles(server, found)
    return server.address not in found.addresses.bound and bool(there) and there <= _NODE_PORTS


def _frontend(
    server: Server, manner: Manner, reals: Mapping[Real, RealState], *, node_port: bool
) -> ObservedFrontend:
    """Real servers of weight 0 get no new connections, so nobody can reach them. Affinity is a property of
    choosing: without endpoints there is none."""
    endpoints = tuple(sorted(place(*real) for real, state in reals.items() if state.weight))
    return ObservedFrontend(
        "",
        PROTOCOL_NAMES[server.protocol],
        "" if node_port else show(server.address),
        server.port,
        endpoints,
        manner.timeout if manner.flags & PERSISTENT and endpoints else None,
    )
