"""The ranges that cluster IPs are given out of: the cluster's own, and those that ServiceCIDRs add (KEP-1880).

Knows ServiceCIDR objects and networks. Who has which address is `cluster_ips.py`'s knowledge.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from testbed.kube.api.draft import Draft, keep_status
from testbed.kube.objects import ClusterConfig
from testbed.kube.objects.addresses import NODE_SUBNETS, OUTSIDE_SUBNETS, IPNetwork
from testbed.kube.store import Object, Store, terminating

DEFAULT = "kubernetes"


def default_service_cidr(cluster: ClusterConfig) -> dict[str, Any]:
    """The object that stands for the cluster's own ranges, as kube-apiserver makes it."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": DEFAULT},
        "spec": {"cidrs": [str(network) for network in cluster.networking.service_subnets]},
    }


def service_networks(store: Store, cluster: ClusterConfig, coming: Sequence[Object] = ()) -> list[IPNetwork]:
    """The cluster's own ranges, then those of other ServiceCIDRs, by their age, then those that are `coming` in
    the same call; none of one that is to go."""
    others = [
        obj
        for obj in store.list("ServiceCIDR")
        if obj["metadata"]["name"] != DEFAULT and not terminating(obj)
    ]
    others.sort(key=lambda obj: (obj["metadata"]["creationTimestamp"], obj["metadata"]["name"]))
    added = (ip_network(text) for obj in [*others, *coming] for text in obj["spec"]["cidrs"])
    return list(dict.fromkeys([*cluster.networking.service_subnets, *added]))


def admit_service_cidr(item: Draft, cluster: ClusterConfig) -> None:
    """A range is for life (`ValidateServiceCIDRUpdate`), and lies apart from pods, nodes and the outside.

    Kubernetes does not ask for the latter; its cluster would be as broken as one here.
    """
    keep_status(item, {})
    if item.old is not None and item.spec["cidrs"] != item.old_spec["cidrs"]:
        item.mistake("spec.cidrs", "field is immutable", "make another ServiceCIDR")
    taken = {
        "pods": cluster.networking.pod_subnets,
        "the load balancer": cluster.networking.load_balancer_subnets,
        "nodes": NODE_SUBNETS,
        "the outside": OUTSIDE_SUBNETS,
    }
    for i, text in enumerate(item.spec["cidrs"]):
        network = ip_network(text)
        for owner, networks in taken.items():
            for other in networks:
                if other.version == network.version and other.overlaps(network):
                    item.mistake(f"spec.cidrs[{i}]", f'Invalid value: "{text}": overlaps {other} ({owner})')
