"""The Node objects of a cluster, made once from its document (what kubelets and node ipam do at first).

Knows addresses of nodes and their part of the pod range. Knows no link and no namespace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from testbed.errors import UsageError
from testbed.kube.objects import ClusterConfig, NodeConfig
from testbed.kube.objects.addresses import NODE_POD_PREFIX, NODE_SUBNETS, IPNetwork
from testbed.kube.store import Store

NOTHING: Mapping[str, str] = {}
NODE_CPUS = "1"  # the machine's are shared by all; equal shares are what topology hints need
NOT_GIVEN = 3  # addresses of a pod range that no pod gets (cluster.network.PodAddresses)


def create_nodes(
    store: Store, cluster: ClusterConfig, info: Mapping[str, str] = NOTHING, memory: str = "0"
) -> None:
    """Put a Node into the store for each of the cluster's that is not there. Raises UsageError.

    `info` is what each says of its system (core/v1 NodeSystemInfo), `memory` how much it has, as a quantity.

    The i-th node (from 0) has the i-th /24 (for IPv6 /64) of the pod range, and in the node network the host
    part i + 1: node1 is 192.168.0.1 with pods in 10.244.0.0/24.
    """
    ranges = cluster.networking.pod_subnets
    by_version = {network.version: network for network in NODE_SUBNETS}
    networks = [by_version[network.version] for network in ranges]
    with store.transaction():
        for index, config in enumerate(cluster.nodes):
            if store.get("Node", "", config.name) is None:
                addresses = [str(network[index + 1]) for network in networks]
                node = _node(config, addresses, _pod_ranges(ranges, index), store.timestamp())
                for room in ("capacity", "allocatable"):
                    node["status"][room]["memory"] = memory
                store.create({**node, "status": {**node["status"], "nodeInfo": dict(info)}} if info else node)


def _pod_ranges(ranges: Sequence[IPNetwork], index: int) -> list[str]:
    """The node's part of each pod range."""
    parts = []
    for network in ranges:
        length = max(NODE_POD_PREFIX[network.version], network.prefixlen)
        if index >= 2 ** (length - network.prefixlen):
            raise UsageError(f"pod range {network} has no /{length} for node {index + 1}: use a wider one")
        first = int(network.network_address) + (index << (network.max_prefixlen - length))
        parts.append(f"{type(network.network_address)(first)}/{length}")
    return parts


def _room(pod_ranges: Sequence[str]) -> str:
    """How many pods have an address: 253 in a /24, whose network, first and broadcast addresses are not given."""
    return str(min(ip_network(cidr).num_addresses for cidr in pod_ranges) - NOT_GIVEN)


def _node(config: NodeConfig, addresses: list[str], pod_ranges: list[str], now: str) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": config.name, "kubernetes.io/os": "linux"}
    if config.role != "worker":
        labels[f"node-role.kubernetes.io/{config.role}"] = ""
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
    internal = [{"type": "InternalIP", "address": address} for address in addresses]
    status = {
        "addresses": [*internal, {"type": "Hostname", "address": config.name}],
        "capacity": {"cpu": NODE_CPUS, "pods": _room(pod_ranges)},
        "allocatable": {"cpu": NODE_CPUS, "pods": _room(pod_ranges)},
        "conditions": [ready],
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": config.name, "labels": labels | dict(config.labels)},
        "spec": {"podCIDR": pod_ranges[0], "podCIDRs": pod_ranges},
        "status": status,
    }
