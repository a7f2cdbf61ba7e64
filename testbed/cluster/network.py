"""The cluster's network, built: switch, nodes, clients, and pods as they come and go.

Every change is made in the kernel by `machine.links` and shown to people through a Mininet (`lean.LeanNet`).
Knows Node and Pod objects by name and range; knows nothing of Services or of what runs in a pod.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from testbed.cluster import layout
from testbed.cluster.kubelet.contract import PodAttachment, PodKey
from testbed.cluster.lean import LeanNet
from testbed.errors import KernelStateError
from testbed.kube.objects import ClusterConfig
from testbed.kube.store import Object
from testbed.machine import links, netns
from testbed.machine.links import Address, Network, Rtnetlink
from testbed.machine.netns import Netns

# rp_filter off: a packet to a service address legitimately leaves by another way than it came. Redirects off:
# a node sends node-port traffic back out of the device it came from. Both are what CNI plugins set on nodes.
HOST_SYSCTLS = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/ipv4/conf/all/accept_redirects": "0",
    "net/ipv4/conf/default/accept_redirects": "0",
    "net/ipv6/conf/default/accept_dad": "0",
    "net/ipv6/conf/default/accept_ra": "0",
}
NODE_SYSCTLS = {**HOST_SYSCTLS, "net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1"}
# The switch is a wire: it forwards nothing as a router, and bridged packets pass no netfilter hook.
SWITCH_SYSCTLS = {"net/ipv4/ip_forward": "0"}
BRIDGE_SYSCTLS = {
    f"net/bridge/bridge-nf-call-{table}": "0" for table in ("iptables", "ip6tables", "arptables")
}


class PodAddresses:
    """The pod addresses of one node: round robin through each range, as CNI's host-local does it."""

    def __init__(self, ranges: Sequence[Network]) -> None:
        self._ranges = tuple(ranges)
        self._size = min(r.num_addresses for r in ranges)
        self._last = 1  # .1 is left out: people take it for the gateway
        self._taken: set[int] = set()

    def take(self) -> tuple[Address, ...]:
        """The next free address of each family, the same host part in all. Raises KernelStateError if full."""
        candidates = (2 + (self._last - 1 + step) % (self._size - 3) for step in range(self._size - 3))
        host = next((c for c in candidates if c not in self._taken), None)
        if host is None:
            raise KernelStateError(f"no free pod address left in {', '.join(map(str, self._ranges))}")
        self._last = host
        self._taken.add(host)
        return tuple(r[host] for r in self._ranges)

    def give_back(self, ips: Sequence[Address]) -> None:
        """Free what `take` gave."""
        self._taken.discard(int(ips[0]) - int(self._ranges[0].network_address))


class ClusterNetwork:
    """Implements the kubelets' `PodNetwork`; one lock, since pods come from one thread and views from others."""

    def __init__(self, cluster: ClusterConfig) -> None:
        self.mininet = LeanNet()
        self.nodes: dict[str, layout.Place] = {}
        self.clients: dict[str, layout.Place] = {}
        self._cluster = cluster
        self._addresses: dict[str, PodAddresses] = {}
        self._pods: dict[PodKey, tuple[str, tuple[Address, ...]]] = {}
        self._lock = threading.Lock()

    def build(self, nodes: Sequence[Object]) -> None:
        """Make the switch, the nodes and the clients. Called once, in the sandbox's own namespace."""
        places = [layout.place_of_node(node) for node in nodes]
        self.nodes = {place.name: place for place in places}
        self.clients = {place.name: place for place in layout.places_of_clients(self._cluster)}
        self._addresses = {place.name: PodAddresses(place.pod_ranges) for place in places}
        router = layout.router_addresses(self._cluster)
        with self._lock, Rtnetlink() as netlink:
            self._build_switch(netlink, router)
            for place in places:
                self._plug(netlink, place, layout.node_port(place, places, router), NODE_SYSCTLS)
            for client in self.clients.values():
                self._plug(netlink, client, layout.client_port(client, places), HOST_SYSCTLS)

    def attach(self, pods: Sequence[Object]) -> Mapping[PodKey, PodAttachment]:
        """Make namespaces and links for pods that are bound to nodes; all or none."""
        with self._lock, Rtnetlink() as netlink:
            done: dict[PodKey, PodAttachment] = {}
            try:
                for pod in pods:
                    done[_key(pod)] = self._attach(netlink, pod)
            except KernelStateError:
                self._detach(netlink, list(done))
                raise
            return done

    def detach(self, keys: Sequence[PodKey]) -> None:
        """Take pods' links and namespaces away; unknown keys are left alone."""
        with self._lock, Rtnetlink() as netlink:
            self._detach(netlink, keys)

    def describe(self) -> dict[str, Any]:
        """What stands where, for `testbed inspect` and for probes that need MAC addresses."""
        with self._lock:
            return {
                "switch": layout.SWITCH,
                "nodes": [_described(place) for place in self.nodes.values()],
                "clients": [_described(place) for place in self.clients.values()],
                "pods": [
                    {"namespace": k[0], "name": k[1], "node": node, "netns": layout.pod_namespace(*k),
                     "addresses": [str(ip) for ip in ips], "device": "eth0", "mac": layout.mac_of(ips[0])}
                    for k, (node, ips) in sorted(self._pods.items())
                ],
            }  # fmt: skip

    def _build_switch(self, netlink: Rtnetlink, router: Sequence[links.Interface]) -> None:
        links.sysctl(SWITCH_SYSCTLS)
        netlink.bridge(layout.SWITCH)
        netlink.up(None)
        netlink.address(None, layout.SWITCH, router)
        # These exist only once a bridge has been made in the namespace and where br_netfilter is in the kernel.
        links.sysctl({k: v for k, v in BRIDGE_SYSCTLS.items() if links.has_sysctl(k)})
        self.mininet.addSwitch(layout.SWITCH)

    def _plug(
        self, netlink: Rtnetlink, place: layout.Place, port: links.Port, sysctls: Mapping[str, str]
    ) -> None:
        (made,) = netns.create([place.name])
        made.call(lambda: links.sysctl(sysctls))
        netlink.up(made)
        netlink.lay(layout.switch_wire(place, port))
        self.mininet.plug(place.name, "eth0", layout.SWITCH, place.switch_device, str(place.addresses[0]))

    def _attach(self, netlink: Rtnetlink, pod: Object) -> PodAttachment:
        key, node = _key(pod), self.nodes[pod["spec"]["nodeName"]]
        ips = self._addresses[node.name].take()
        (made,) = netns.create([layout.pod_namespace(*key)])
        self._pods[key] = (node.name, ips)
        wire = layout.pod_wire(node, made, ips)
        netlink.up(made)
        netlink.lay(wire)
        netlink.forget(made.name)
        self.mininet.plug(made.name, "eth0", node.name, wire.a.name, f"{ips[0]}/{ips[0].max_prefixlen}")
        return PodAttachment(made.name, tuple(str(ip) for ip in ips))

    def _detach(self, netlink: Rtnetlink, keys: Sequence[PodKey]) -> None:
        for key in keys:
            if key not in self._pods:
                continue
            node, ips = self._pods.pop(key)
            name = layout.pod_namespace(*key)
            netlink.delete(Netns(node), layout.host_device(name))
            netns.delete(Netns(name))
            self._addresses[node].give_back(ips)
            self.mininet.unplug(name)


def _key(pod: Object) -> PodKey:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _described(place: layout.Place) -> dict[str, Any]:
    return {
        "name": place.name, "netns": place.name, "device": "eth0", "mac": place.mac,
        "addresses": [str(i.ip) for i in place.addresses], "podRanges": [str(r) for r in place.pod_ranges],
    }  # fmt: skip
