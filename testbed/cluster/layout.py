"""Which namespace, device, MAC, address and route everything has. Pure; the tables are in docs/architecture.md.

Knows Node objects and the Cluster document. Knows nothing of the kernel.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network

from testbed.kube.objects import ClusterConfig
from testbed.kube.objects.addresses import NODE_SUBNETS, OUTSIDE_SUBNETS, of_family
from testbed.kube.store import Object
from testbed.machine.links import Address, Interface, Network, Port, Route, Wire

SWITCH = "s1"
# Device indexes are chosen here, so that nobody has to ask for them. Those below belong to the kernel: a new
# namespace has `lo`, and with tunnel modules loaded tunl0, sit0, … (net.core.fb_tunnels_only_for_init_net).
SWITCH_INDEX = 100
INSIDE_INDEX = 100  # `eth0` of a node, client or pod
FIRST_PORT_INDEX = 101  # the switch's ports
FIRST_POD_INDEX = 1000  # nodes' ends of pods' links: far from what the kernel numbers by itself
ROUTER_HOST = 254  # the host part of the router's address in the node network
POD_GATEWAYS: tuple[Address, ...] = (IPv4Address("169.254.1.1"), IPv6Address("fe80::ecee:eeff:feee:eeee"))
HOST_SIDE_MAC = "ee:ee:ee:ee:ee:ee"
FIRST_CLIENT = 10  # client1 is 203.0.113.11
LONGEST_NAME = 255  # of a file (NAME_MAX); namespaces and logs are files


@dataclass(frozen=True, slots=True)
class Place:
    """A node or a client on the switch."""

    name: str
    mac: str
    addresses: tuple[Interface, ...]
    pod_ranges: tuple[Network, ...] = ()

    @property
    def switch_device(self) -> str:
        """The switch's end of its link: `s1-node1`, for long names a hash (the kernel takes 15 characters)."""
        name = f"{SWITCH}-{self.name}"
        return name if len(name) <= 15 else f"{SWITCH}-{zlib.crc32(self.name.encode()):08x}"


def pod_namespace(namespace: str, name: str) -> str:
    """The network namespace of a pod; no Kubernetes name has `_`, so it is unique.

    A name may have 253 characters and its namespace 63 more; what is too long for a file ends in `_` and a hash.
    """
    whole = f"{namespace}_{name}"
    if len(whole) <= LONGEST_NAME:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
    return f"{whole[: LONGEST_NAME - len(digest) - 1]}_{digest}"


def mac_of(address: Address) -> str:
    """A locally administered MAC from an address, as CNI plugins make it (`0a:58` and the IPv4 bytes)."""
    last = address.packed[-4:] if address.version == 4 else zlib.crc32(address.packed).to_bytes(4, "big")
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x58" + last)


def place_of_node(node: Object) -> Place:
    """Where a Node object stands: its InternalIPs and pod ranges."""
    ips = [ip_address(a["address"]) for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    addresses = tuple(_in_subnet(ip, NODE_SUBNETS) for ip in ips)
    ranges = tuple(ip_network(cidr) for cidr in node["spec"]["podCIDRs"])
    return Place(node["metadata"]["name"], mac_of(ips[0]), addresses, ranges)


def places_of_clients(cluster: ClusterConfig) -> list[Place]:
    """The outside clients: `client1` is 203.0.113.11 and fd00:10:203::b."""
    subnets = of_family(OUTSIDE_SUBNETS, cluster.networking.ip_family)
    found = []
    for number in range(1, cluster.clients + 1):
        ips = [subnet[FIRST_CLIENT + number] for subnet in subnets]
        addresses = tuple(_in_subnet(ip, OUTSIDE_SUBNETS) for ip in ips)
        found.append(Place(f"client{number}", mac_of(ips[0]), addresses))
    return found


def router_addresses(cluster: ClusterConfig) -> tuple[Interface, ...]:
    """The node network's default gateway: the switch itself, which forwards nothing."""
    subnets = of_family(NODE_SUBNETS, cluster.networking.ip_family)
    return tuple(ip_interface(f"{subnet[ROUTER_HOST]}/{subnet.prefixlen}") for subnet in subnets)


def node_port(node: Place, others: Iterable[Place], router: Sequence[Interface]) -> Port:
    """A node's `eth0`: other nodes' pod ranges by their nodes, clients on the link, the rest to the router."""
    routes = [*_pod_routes(others, node), *_outside_routes(node)]
    routes += [Route(_everything(r.ip), via=r.ip) for r in router]
    return Port(INSIDE_INDEX, "eth0", node.mac, node.addresses, tuple(routes), link_local=True)


def client_port(client: Place, nodes: Sequence[Place]) -> Port:
    """A client's `eth0`: nodes on the link, pods by their nodes, everything else (service addresses) by node1."""
    routes = [Route(_network_of(ip, NODE_SUBNETS)) for ip in _ips(client)]
    routes += _pod_routes(nodes, None)
    routes += [Route(_everything(ip), via=ip) for ip in _ips(nodes[0])] if nodes else []
    return Port(INSIDE_INDEX, "eth0", client.mac, client.addresses, tuple(routes), link_local=True)


def switch_wire(place: Place, inside: Port, index: int) -> Wire:
    """The link of a node or client to the switch, whose port gets the device index `index`."""
    return Wire(inside, Port(index, place.switch_device, mac_of_switch_port(place), bridge=SWITCH_INDEX))


def mac_of_switch_port(place: Place) -> str:
    """The MAC of the switch's side of a link (of no use to anyone but the bridge)."""
    return "0e" + place.mac[2:]


def pod_wire(node: Place, pod_netns: str, ips: Sequence[Address], index: int) -> Wire:
    """A pod's link: point to point, fixed neighbours on both sides, so that no packet waits for one.

    The node's end gets the device index `index`.
    """
    gateways = [g for g in POD_GATEWAYS if g.version in {ip.version for ip in ips}]
    mac = mac_of(ips[0])
    inside = Port(
        INSIDE_INDEX, "eth0", mac, tuple(ip_interface(ip) for ip in ips),
        tuple(Route(_everything(g), via=g, onlink=True) for g in gateways),
        tuple((g, HOST_SIDE_MAC) for g in gateways),
    )  # fmt: skip
    sources = {i.version: i.ip for i in node.addresses}
    outside = Port(
        index, host_device(pod_netns), HOST_SIDE_MAC, (),
        tuple(Route(ip_interface(ip).network, source=sources.get(ip.version)) for ip in ips),
        tuple((ip, mac) for ip in ips),
    )  # fmt: skip
    return Wire(inside, outside)


def host_device(pod_netns: str) -> str:
    """The node's side of a pod's link: `veth` and eight hexadecimal digits, from the pod's name."""
    return f"veth{zlib.crc32(pod_netns.encode()):08x}"


def _pod_routes(nodes: Iterable[Place], own: Place | None) -> list[Route]:
    routes = []
    for node in nodes:
        if own is None or node.name != own.name:
            via = {ip.version: ip for ip in _ips(node)}
            routes += [Route(r, via=via[r.version]) for r in node.pod_ranges if r.version in via]
    return routes


def _outside_routes(node: Place) -> list[Route]:
    return [Route(_network_of(ip, OUTSIDE_SUBNETS), source=ip) for ip in _ips(node)]


def _ips(place: Place) -> list[Address]:
    return [interface.ip for interface in place.addresses]


def _network_of(ip: Address, subnets: Sequence[Network]) -> Network:
    return next(subnet for subnet in subnets if subnet.version == ip.version)


def _in_subnet(ip: Address, subnets: Sequence[Network]) -> Interface:
    return ip_interface(f"{ip}/{_network_of(ip, subnets).prefixlen}")


def _everything(ip: Address) -> Network:
    return ip_network("0.0.0.0/0" if ip.version == 4 else "::/0")
