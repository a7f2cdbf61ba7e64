"""The cluster's network, built: switch, nodes, clients, and pods as they come and go.

Every change is made in the kernel by `machine.links` and shown to people through a Mininet (`lean.LeanNet`).
Knows Node and Pod objects by name and range; knows nothing of Services or of what runs in a pod.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from testbed.cluster import layout
from testbed.cluster.kubelet.contract import PodAttachment, PodKey
from testbed.cluster.lean import LeanNet
from testbed.errors import KernelStateError, TestbedError
from testbed.kube.objects import ClusterConfig
from testbed.kube.store import Object
from testbed.machine import links, netns, rtnetlink
from testbed.machine.links import Address, Interface, Network, Wire
from testbed.machine.netns import Netns
from testbed.machine.rtnetlink import Rtnetlink

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


@dataclass(frozen=True, slots=True)
class _Pod:
    """A pod's place: on which node, by which wire."""

    key: PodKey
    node: str
    ips: tuple[Address, ...]
    wire: Wire

    @property
    def netns(self) -> str:
        return layout.pod_namespace(*self.key)


class ClusterNetwork:
    """Implements the kubelets' `PodNetwork`; one lock, since pods come from one thread and views from others."""

    def __init__(self, cluster: ClusterConfig) -> None:
        self.mininet = LeanNet()
        self.nodes: dict[str, layout.Place] = {}
        self.clients: dict[str, layout.Place] = {}
        self._cluster = cluster
        self._addresses: dict[str, PodAddresses] = {}
        self._pods: dict[PodKey, _Pod] = {}
        self._on_host: dict[PodKey, layout.Place] = {}  # pods with hostNetwork, and their node
        self._indexes = itertools.count(layout.FIRST_POD_INDEX)
        self._netlinks: dict[str, Rtnetlink] = {}  # one in each node, open as long as there is a cluster
        self._lock = threading.Lock()

    def build(self, nodes: Sequence[Object]) -> None:
        """Make the switch, the nodes and the clients. Called once, in the sandbox's own namespace."""
        places = [layout.place_of_node(node) for node in nodes]
        self.nodes = {place.name: place for place in places}
        self.clients = {place.name: place for place in layout.places_of_clients(self._cluster)}
        self._addresses = {place.name: PodAddresses(place.pod_ranges) for place in places}
        router = layout.router_addresses(self._cluster)
        ports = {place: layout.node_port(place, places, router) for place in places}
        ports |= {client: layout.client_port(client, places) for client in self.clients.values()}
        with self._lock, Rtnetlink() as switch:
            self._build_switch(switch, router)
            wires = {
                place.name: layout.switch_wire(place, port, index)
                for index, (place, port) in enumerate(ports.items(), layout.FIRST_PORT_INDEX)
            }
            self._plug_all(switch, wires)
        for place in ports:
            self.mininet.plug(place.name, "eth0", layout.SWITCH, place.switch_device, str(place.addresses[0]))

    def attach(self, pods: Sequence[Object]) -> Mapping[PodKey, PodAttachment | TestbedError]:
        """Make namespaces and links for pods that are bound to nodes; an error for each that gets none.

        A pod with `hostNetwork` gets none of its own: it lives in its node's, and has its node's addresses.
        """
        with self._lock:
            shared = {_key(pod): self._share(pod) for pod in pods if pod["spec"].get("hostNetwork")}
            found = {_key(pod): self._placed(pod) for pod in pods if _key(pod) not in shared}
            failed = self._lay_all([pod for pod in found.values() if isinstance(pod, _Pod)])
            return shared | {
                key: failed[key]
                if key in failed
                else pod
                if isinstance(pod, TestbedError)
                else self._show(pod)
                for key, pod in found.items()
            }

    def detach(self, keys: Sequence[PodKey]) -> None:
        """Take pods' links and namespaces away; unknown keys are left alone."""
        with self._lock:
            for key in keys:
                self._on_host.pop(key, None)
            pods = [self._pods.pop(key) for key in keys if key in self._pods]
            for node, group in _by_node(pods).items():
                self._netlinks[node].send(rtnetlink.delete(pod.wire.outside.index for pod in group))
            for pod in pods:
                netns.delete(Netns(pod.netns))
                self._addresses[pod.node].give_back(pod.ips)
                self.mininet.unplug(pod.netns)

    def describe(self) -> dict[str, Any]:
        """What stands where, for `testbed inspect` and for probes that need MAC addresses.

        A pod in its node's network has the node's device, and no `nodeDevice` on the other side.
        """
        with self._lock:
            return {
                "switch": layout.SWITCH,
                "nodes": [_described(place) for place in self.nodes.values()],
                "clients": [_described(place) for place in self.clients.values()],
                "pods": [
                    {"namespace": pod.key[0], "name": pod.key[1], "node": pod.node, "netns": pod.netns,
                     "addresses": [str(ip) for ip in pod.ips], "device": "eth0",
                     "prefixLengths": [ip.max_prefixlen for ip in pod.ips],
                     "mac": pod.wire.inside.mac, "nodeDevice": pod.wire.outside.name}
                    for _, pod in sorted(self._pods.items())
                ] + [
                    {**_described(node), "namespace": key[0], "name": key[1], "node": node.name, "nodeDevice": ""}
                    for key, node in sorted(self._on_host.items())
                ],
            }  # fmt: skip

    def _build_switch(self, switch: Rtnetlink, router: Sequence[Interface]) -> None:
        links.sysctl(SWITCH_SYSCTLS)
        bridge = rtnetlink.Device(layout.SWITCH, layout.SWITCH_INDEX, mac="")
        given = [rtnetlink.address(bridge.index, address) for address in router]
        switch.send([rtnetlink.bridge(bridge), rtnetlink.up(rtnetlink.LOOPBACK), *given])
        # These exist only once a bridge has been made in the namespace and where br_netfilter is in the kernel.
        links.sysctl({k: v for k, v in BRIDGE_SYSCTLS.items() if links.has_sysctl(k)})
        self.mininet.addSwitch(layout.SWITCH)

    def _plug_all(self, switch: Rtnetlink, wires: Mapping[str, Wire]) -> None:
        """Nodes and clients with their links to the switch."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

        def within(made: Netns) -> None:
            links.sysctl(NODE_SYSCTLS if made.name in self.nodes else HOST_SYSCTLS)
            self._netlinks[made.name] = Rtnetlink()
            self._netlinks[made.name].send(wires[made.name].requests_inside(here))

        try:
            netns.create(wires, within=within)
        finally:
            os.close(here)
        switch.send(request for wire in wires.values() for request in wire.outside.requests())

    def _share(self, pod: Object) -> PodAttachment:
        """A pod's place in the network of its node."""
        node = self.nodes[pod["spec"]["nodeName"]]
        self._on_host[_key(pod)] = node
        return PodAttachment(node.name, tuple(str(interface.ip) for interface in node.addresses))

    def _placed(self, pod: Object) -> _Pod | KernelStateError:
        try:
            return self._place(pod)
        except KernelStateError as error:
            return error

    def _place(self, pod: Object) -> _Pod:
        key, node = _key(pod), self.nodes[pod["spec"]["nodeName"]]
        ips = self._addresses[node.name].take()
        wire = layout.pod_wire(node, layout.pod_namespace(*key), ips, next(self._indexes))
        return _Pod(key, node.name, ips, wire)

    def _lay_all(self, pods: Sequence[_Pod]) -> dict[PodKey, KernelStateError]:
        """Lay all wires at once; if that fails, one by one, so that one pod's trouble is no other's."""
        try:
            self._lay(pods)
        except KernelStateError as error:
            self._take_away(pods)
            if len(pods) > 1:
                return {key: failure for pod in pods for key, failure in self._lay_all([pod]).items()}
            self._addresses[pods[0].node].give_back(pods[0].ips)
            return {pods[0].key: error}
        return {}

    def _show(self, pod: _Pod) -> PodAttachment:
        """Note that it stands, for `describe` and in the Mininet."""
        self._pods[pod.key] = pod
        address = f"{pod.ips[0]}/{pod.ips[0].max_prefixlen}"
        self.mininet.plug(pod.netns, "eth0", pod.node, pod.wire.outside.name, address)
        return PodAttachment(pod.netns, tuple(str(ip) for ip in pod.ips))

    def _lay(self, pods: Sequence[_Pod]) -> None:
        """Each pod's end as its namespace is made; then the ends of each node with one request."""
        by_netns, on_node = {pod.netns: pod for pod in pods}, _by_node(pods)
        with ExitStack() as stack:
            descriptors = {node: Netns(node).open() for node in on_node}
            for descriptor in descriptors.values():
                stack.callback(os.close, descriptor)

            def within(made: Netns) -> None:
                pod = by_netns[made.name]
                with Rtnetlink() as netlink:
                    netlink.send(pod.wire.requests_inside(descriptors[pod.node]))

            netns.create(by_netns, within=within)
        for node, group in on_node.items():
            self._netlinks[node].send(request for pod in group for request in pod.wire.outside.requests())

    def _take_away(self, pods: Sequence[_Pod]) -> None:
        """Remove whatever there is already of pods that could not all be attached; their addresses stay taken."""
        for pod in pods:
            with suppress(KernelStateError):
                self._netlinks[pod.node].send(rtnetlink.delete([pod.wire.outside.index]))
            with suppress(KernelStateError):
                netns.delete(Netns(pod.netns))


def _by_node(pods: Iterable[_Pod]) -> dict[str, list[_Pod]]:
    groups: dict[str, list[_Pod]] = {}
    for pod in pods:
        groups.setdefault(pod.node, []).append(pod)
    return groups


def _key(pod: Object) -> PodKey:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _described(place: layout.Place) -> dict[str, Any]:
    return {
        "name": place.name, "netns": place.name, "device": "eth0", "mac": place.mac,
        "addresses": [str(i.ip) for i in place.addresses],
        "prefixLengths": [i.network.prefixlen for i in place.addresses],
        "switchDevice": place.switch_device, "podRanges": [str(r) for r in place.pod_ranges],
    }  # fmt: skip
