"""The three netlink sockets of one node, opened together and closed together; and what the kernel holds of ours.

What is ours: a virtual server on an address of kube-ipvs0, or one that an element of our sets names (node ports and
load balancers' addresses that are the node's own). All others are left alone, as are those in excludeCIDRs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

from testbed.datapaths.contract import Node
from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.items import MEANT_FLAGS, PROTOCOL_NAMES, Element, Manner, Real, Server
from testbed.datapaths.ipvs.netlink.genl import Ipvs, RealState
from testbed.datapaths.ipvs.netlink.ipset import Ipset
from testbed.datapaths.ipvs.netlink.link import Addresses, Links
from testbed.datapaths.ipvs.options import Options
from testbed.proxier.plan import Protocol


@dataclass(frozen=True, slots=True)
class Kernel:
    """One node's IPVS, sets and addresses."""

    ipvs: Ipvs
    ipset: Ipset
    links: Links

    def sent(self) -> tuple[int, int]:
        """Requests and bytes so far."""
        pairs = [each.sent for each in (self.ipvs, self.ipset, self.links)]
        return sum(number for number, _ in pairs), sum(size for _, size in pairs)


@contextmanager
def opened(node: Node) -> Iterator[Kernel]:
    """The sockets of a node for a while. Raises KernelStateError."""
    made: list[Ipvs | Ipset | Links] = []
    try:
        made.append(ipvs := Ipvs(node))
        made.append(ipset := Ipset(node))
        made.append(links := Links(node))
        yield Kernel(ipvs, ipset, links)
    finally:
        for each in made:
            each.close()


@dataclass(slots=True)
class Held:
    """What there is: our virtual servers with their real ones, our sets by their names in the kernel, addresses."""

    servers: dict[Server, tuple[Manner, dict[Real, RealState]]]
    sets: dict[str, set[Element]]
    addresses: Addresses
    others: set[Server] = field(default_factory=set)  # virtual servers that are not ours


def held(kernel: Kernel, options: Options, known: frozenset[Server] = frozenset()) -> Held:
    """Read it back; `known` are virtual servers that we remember. Raises KernelStateError."""
    found = Held({}, kernel.ipset.held(), kernel.links.addresses())
    for state in list(kernel.ipvs.servers()):
        server = state.server
        if not state.fwmark and (server in known or is_ours(server, found, options)):
            manner = state.manner._replace(flags=state.manner.flags & MEANT_FLAGS)
            found.servers[server] = (manner, kernel.ipvs.reals(server))
        elif not state.fwmark:
            found.others.add(server)
    return found


def is_ours(server: Server, found: Held, options: Options) -> bool:
    """True if the virtual server was made by this datapath, in this or an earlier run."""
    if options.exclude and any(ip_address(server.address) in network for network in options.exclude):
        return False
    return server.address in found.addresses.bound or bool(roles(server, found))


def roles(server: Server, found: Held) -> set[str]:
    """The sets, without family, that name a virtual server's address or node port."""
    family = server.family
    by_address = (
        sets.CLUSTER_IP,
        sets.EXTERNAL_IP,
        sets.EXTERNAL_IP_LOCAL,
        sets.LOAD_BALANCER,
        sets.NODE_PORT[Protocol.SCTP],
    )
    wanted = {
        name: Element(name, family, server.address, server.protocol, server.port) for name in by_address
    }
    node_port = sets.NODE_PORT.get(Protocol(PROTOCOL_NAMES.get(server.protocol, "TCP")), "")
    if sets.KINDS[node_port].type == sets.BITMAP_PORT:
        wanted[node_port] = Element(node_port, family, port=server.port)
    return {
        name for name, element in wanted.items() if element in found.sets.get(sets.name_of(name, family), ())
    }
