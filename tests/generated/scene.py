"""What one generated test is about: a node, kube-proxy's settings on it, and the objects of a cluster.

Plain data in Kubernetes' words, so that the generator, the oracle and the product can all read it and none of
them needs another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]

NODE = "node1"
OTHER_NODES = ("node2", "node3")
ZONES = ("za", "zb")
FAMILIES = ("IPv4", "IPv6")


@dataclass(frozen=True)
class Proxy:
    """kube-proxy's settings (KubeProxyConfiguration), and what the node's kernel offers it."""

    masquerade_all: bool = False
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()
    detect_local_mode: str = "ClusterCIDR"
    interface: str = ""  # detectLocal.bridgeInterface or detectLocal.interfaceNamePrefix
    masquerade_bit: int = 14
    counters: bool = True  # the kernel has nfacct
    tcp_be_liberal: bool = False  # net.netfilter.nf_conntrack_tcp_be_liberal


@dataclass
class Scene:
    """A node in a cluster."""

    seed: int
    node: str = NODE
    proxy: Proxy = Proxy()
    zone: str = ""
    addresses: tuple[str, ...] = ("192.168.0.1", "fd00:10:192::1")
    pod_cidrs: tuple[str, ...] = ("10.244.0.0/16", "fd00:10:244::/56")  # of the cluster or of the node
    objects: list[Object] = field(default_factory=list)

    def kind(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return [each for each in self.objects if each["kind"] == kind]
