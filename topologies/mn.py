"""The topologies of this folder for stock Mininet, with the lab's own names, links and addresses:

    mn --custom topologies/mn.py --topo three-nodes --switch lxbr --controller none --test pingall

Each YAML file becomes a topology of its name. Nodes are routers, pods hang on them point to point as a CNI plugin
lays it, clients and nodes share the switch. There is no Kubernetes here: no Services, no rules; pods are those of
the StatefulSets, dealt out to the nodes in turn. Runs under the Python of Mininet's package, with python3-yaml.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import yaml
from mininet.log import error
from mininet.net import Mininet
from mininet.node import Host
from mininet.topo import Topo

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Mininet would raise limits of the whole machine by sysctl; these topologies need none of them.
Mininet.inited = True

# As in testbed/kube/objects/addresses.py and testbed/cluster/layout.py; a test holds both to be equal.
NODES: Sequence[Network] = ip_network("192.168.0.0/24"), ip_network("fd00:10:192::/64")
PODS: Sequence[Network] = ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/56")
OUTSIDE: Sequence[Network] = ip_network("203.0.113.0/24"), ip_network("fd00:10:203::/64")
POD_PREFIX = 24, 64
ROUTER, FIRST_CLIENT, FIRST_POD = 254, 10, 2
GATEWAYS: Sequence[Address] = ip_address("169.254.1.1"), ip_address("fe80::ecee:eeff:feee:eeee")
HOST_SIDE_MAC = "ee:ee:ee:ee:ee:ee"
ROUTER_SYSCTLS = (
    "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"
    " net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0"
)


class Machine(Host):  # type: ignore[misc]
    """A node, a pod or a client: after Mininet has set the first address, `commands` do the rest."""

    def config(self, commands: Iterable[str] = (), **params: Any) -> Any:
        """Run the commands; what they print is an error."""
        done = super().config(**params)
        for command in commands:
            said = self.cmd(command)
            if said.strip():
                error(f"{self.name}: {command}: {said}\n")
        return done


class Cluster(Topo):  # type: ignore[misc]
    """The topology of one YAML file."""

    path = ""

    def build(self) -> None:
        """The switch with nodes and clients, then pods, so that eth0 is everybody's first device."""
        documents = [each for each in yaml.safe_load_all(Path(self.path).read_text()) if each]
        cluster = next(each for each in documents if each["kind"] == "Cluster")
        total = sum(each.get("count", 1) for each in cluster["nodes"])
        pods = list(dealt_out(pod_names(documents), total))
        self.addSwitch("s1")
        for number in range(1, total + 1):
            ips = [network[number] for network in NODES]
            mine = [pod for pod in pods if pod.node == number]
            commands = [*node_commands(number, total), *node_pod_commands(mine, ips)]
            self.on_switch(f"node{number}", ips, commands)
        for number in range(1, cluster.get("clients", 1) + 1):
            ips = [network[FIRST_CLIENT + number] for network in OUTSIDE]
            self.on_switch(f"client{number}", ips, list(client_commands(total)))
        for pod in pods:
            self.on_node(pod)

    def on_switch(self, name: str, ips: Sequence[Address], commands: Sequence[str]) -> None:
        """A node or a client."""
        address6 = f"ip -6 addr add {ips[1]}/64 dev eth0 nodad"
        self.addHost(name, cls=Machine, ip=f"{ips[0]}/24", commands=[address6, *commands])
        mac = mac_of(ips[0])
        self.addLink(name, "s1", intfName1="eth0", intfName2=f"s1-{name}", addr1=mac, addr2="0e" + mac[2:])

    def on_node(self, pod: Pod) -> None:
        """A pod, by a link of its own."""
        self.addHost(pod.name, cls=Machine, ip=f"{pod.ips[0]}/32", commands=list(pod_commands(pod)))
        self.addLink(
            pod.name, f"node{pod.node}", intfName1="eth0", intfName2=pod.node_device,
            addr1=mac_of(pod.ips[0]), addr2=HOST_SIDE_MAC,
        )  # fmt: skip


class Pod:
    """A pod's place: `number` counts the pods of its node from 0."""

    def __init__(self, name: str, node: int, number: int) -> None:
        self.name, self.node = name, node
        self.ips = [network[FIRST_POD + number] for network in pod_ranges(node)]
        self.node_device = f"veth{zlib.crc32(name.encode()):08x}"


def pod_names(documents: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """`NAMESPACE_NAME` of every pod of the StatefulSets."""
    for each in documents:
        if each["kind"] == "StatefulSet":
            namespace = each["metadata"].get("namespace", "default")
            for ordinal in range(each["spec"].get("replicas", 1)):
                yield f"{namespace}_{each['metadata']['name']}-{ordinal}"


def dealt_out(names: Iterable[str], nodes: int) -> Iterator[Pod]:
    """Pods in turn to the nodes in the order of their names (node10 before node2), as the scheduler does it with
    pods of one owner."""
    order = sorted(range(1, nodes + 1), key=str)
    for index, name in enumerate(names):
        yield Pod(name, order[index % nodes], index // nodes)


def pod_ranges(node: int) -> Iterator[Network]:
    """The node's part of each pod range."""
    for network, length in zip(PODS, POD_PREFIX, strict=True):
        first = int(network.network_address) + ((node - 1) << (network.max_prefixlen - length))
        yield ip_network((first, length))


def mac_of(ip: Address) -> str:
    """As CNI plugins make it: `0a:58` and the IPv4 address."""
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x58" + ip.packed)


def node_commands(number: int, total: int) -> Iterator[str]:
    """Forwarding, and routes to the other nodes' pods, to the outside and to the rest."""
    yield f"sysctl -qw {ROUTER_SYSCTLS}"
    yield from routes_to_pods(node for node in range(1, total + 1) if node != number)
    for network, nodes in zip(OUTSIDE, NODES, strict=True):
        yield f"ip route add {network} dev eth0 src {nodes[number]}"
        yield f"ip route add default via {nodes[ROUTER]} dev eth0 onlink"


def node_pod_commands(pods: Iterable[Pod], ips: Sequence[Address]) -> Iterator[str]:
    """The routes to the node's own pods, and their fixed neighbours."""
    for pod in pods:
        for ip, source in zip(pod.ips, ips, strict=True):
            yield f"ip neigh replace {ip} lladdr {mac_of(pod.ips[0])} dev {pod.node_device} nud permanent"
            yield f"ip route add {ip} dev {pod.node_device} src {source}"


def client_commands(total: int) -> Iterator[str]:
    """Nodes on the link, pods by their nodes, everything else by node1."""
    for network in NODES:
        yield f"ip route add {network} dev eth0"
    yield from routes_to_pods(range(1, total + 1))
    for network in NODES:
        yield f"ip route add default via {network[1]} dev eth0"


def pod_commands(pod: Pod) -> Iterator[str]:
    """The IPv6 address and the way out: a gateway that is nowhere but in the fixed neighbours."""
    yield f"ip -6 addr add {pod.ips[1]}/128 dev eth0 nodad"
    for gateway in GATEWAYS:
        family = f"-{gateway.version}"
        yield f"ip neigh replace {gateway} lladdr {HOST_SIDE_MAC} dev eth0 nud permanent"
        yield f"ip {family} route add default via {gateway} dev eth0 onlink"


def routes_to_pods(nodes: Iterable[int]) -> Iterator[str]:
    """To each node's pods by that node."""
    for node in nodes:
        for pods, network in zip(pod_ranges(node), NODES, strict=True):
            yield f"ip route add {pods} via {network[node]} dev eth0"


def topologies() -> dict[str, type[Cluster]]:
    """A class for each YAML file beside this one. `mn` runs this file without a `__file__`."""
    folder = Path(sys._getframe().f_code.co_filename).parent
    return {
        path.stem: type("Cluster", (Cluster,), {"path": str(path)}) for path in sorted(folder.glob("*.yaml"))
    }


topos = topologies()
