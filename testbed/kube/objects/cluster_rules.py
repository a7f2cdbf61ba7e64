"""Rules for the Cluster document that its schema cannot say.

Knows what fits together: families and subnets, the number of nodes and the pod range, names that are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from testbed.kube.objects.addresses import NODE_POD_PREFIX, NODE_SUBNETS, OUTSIDE_SUBNETS, IPNetwork
from testbed.kube.objects.cluster import cluster_of, named_nodes, seconds, subnets_of
from testbed.kube.objects.fields import (
    FieldError,
    FieldErrors,
    forbidden,
    invalid,
    one_of,
    required,
    too_many,
)
from testbed.kube.objects.ips import cidr, network_of
from testbed.kube.objects.names import dns_label, labels, named
from testbed.kube.objects.source import child

MAX_NODES = 250  # the node network is a /24

_FAMILIES = {"dual": [4, 6], "ipv4": [4], "ipv6": [6]}
_MODES = ("ebpf", "iptables", "ipvs", "nftables", "none")  # with none, as kind has it, there is no datapath
_ROLES = ("control-plane", "worker")
_DETECT_LOCAL = {
    "BridgeInterface": "bridgeInterface",
    "ClusterCIDR": "",
    "InterfaceNamePrefix": "interfaceNamePrefix",
    "NodeCIDR": "",
}
"""The values of detectLocalMode, each with the field of detectLocal that it needs."""

_DEVICE = re.compile(r"[^\s/+]{1,15}")
_VARIANTS = ("legacy", "nft")
_SUBNETS = ("podSubnet", "serviceSubnet", "loadBalancerSubnet")
_MAX_SERVICE_BITS = 20  # kube-apiserver: "specified --service-cluster-ip-range is too large"
_RESTART_PERIOD = "kubelet.crashLoopBackOff.maxContainerRestartPeriod"
_TAKEN = re.compile(r"s1|client\d+")

Part = Mapping[str, Any]


def cluster_errors(body: Part) -> FieldErrors:
    """The mistakes in a Cluster document."""
    networking, proxy, nodes = body.get("networking", {}), body.get("kubeProxy", {}), body.get("nodes", [])
    yield from _networking(networking)
    yield from _kube_proxy(proxy)
    yield from _nodes(nodes)
    yield from _kubelet(body.get("kubelet", {}))
    if "links" in body:
        hint = "leave the field out; every link is a plain one"
        yield forbidden("links", "links with impairments are not available yet", hint)
    mistaken = [*_networking(networking), *_kube_proxy(proxy), *_nodes(nodes)]
    if not mistaken and body.get("metadata", {}).get("name"):
        yield from _sizes(body)


def _kubelet(fields: Part) -> FieldErrors:
    """ValidateKubeletConfiguration: a restart period is one second to five minutes."""
    path, text = _RESTART_PERIOD, fields.get("crashLoopBackOff", {}).get("maxContainerRestartPeriod", "300s")
    yield from _duration(path, text)
    length = seconds(text) if isinstance(text, str) else None
    if length is not None and not 1 <= length <= 300:
        yield invalid(path, text, "must be between 1s and 300s")


def _networking(fields: Part) -> FieldErrors:
    family = fields.get("ipFamily", "dual")
    yield from one_of("networking.ipFamily", family, tuple(_FAMILIES))
    yield from one_of("networking.kubeProxyMode", fields.get("kubeProxyMode", "iptables"), _MODES)
    for name in _SUBNETS:
        if fields.get(name):
            yield from _subnets(f"networking.{name}", fields[name], family)


def _subnets(path: str, text: str, family: str) -> FieldErrors:
    parts = subnets_of(text)
    wrong = [error for part in parts for error in cidr(path, part)]
    yield from wrong
    yield from _unroutable(path, parts)
    versions = sorted(network.version for network in map(network_of, parts) if network)
    wanted = _FAMILIES.get(family, versions)
    if not wrong and versions != wanted:
        need = " and ".join(f"one IPv{version} network" for version in wanted)
        yield invalid(path, text, f"must be {need}, as networking.ipFamily is {family}")


def _unroutable(path: str, parts: Sequence[str]) -> FieldErrors:
    """Networks whose addresses the kernel routes to no pod and no Service, whatever the routes say."""
    for text, network in ((part, network_of(part)) for part in parts):
        for what in ("loopback", "multicast", "link_local", "unspecified", "reserved"):
            if network and getattr(network.network_address, f"is_{what}"):
                room = "10.0.0.0/8" if network.version == 4 else "fd00::/8"
                hint = f"private networks are in {room}"
                yield invalid(path, text, f"may not be in a {what.replace('_', '-')} range", hint)
                break


def _kube_proxy(fields: Part) -> FieldErrors:
    addresses = fields.get("nodePortAddresses", [])
    for i, text in enumerate(addresses):
        if text != "primary":
            yield from cidr(child("kubeProxy.nodePortAddresses", i), text)
        elif len(addresses) > 1:
            detail = '"primary" must be the only value'  # KubeProxyConfiguration.NodePortAddressesPrimary
            yield invalid(child("kubeProxy.nodePortAddresses", i), text, detail)
    yield from _detect_local(fields)
    yield from one_of(
        "kubeProxy.iptables.variant", fields.get("iptables", {}).get("variant", "nft"), _VARIANTS
    )
    for mode in _MODES:
        for name in ("minSyncPeriod", "syncPeriod"):
            if name in fields.get(mode, {}):
                yield from _duration(f"kubeProxy.{mode}.{name}", fields[mode][name])
        yield from _periods(f"kubeProxy.{mode}", fields.get(mode, {}))
    for name, value in fields.get("conntrack", {}).items():
        if name.endswith("Timeout"):
            yield from _duration(f"kubeProxy.conntrack.{name}", value)


def _detect_local(fields: Part) -> FieldErrors:
    """A device's name where the mode needs one, and networks (kube-proxy's validation of its configuration)."""
    mode, detect = fields.get("detectLocalMode", "ClusterCIDR"), fields.get("detectLocal", {})
    yield from one_of("kubeProxy.detectLocalMode", mode, tuple(_DETECT_LOCAL))
    name = _DETECT_LOCAL.get(mode, "")
    if name:
        path, device = f"kubeProxy.detectLocal.{name}", detect.get(name, "")
        if not device:
            yield required(path)
        elif not _DEVICE.fullmatch(device):
            yield invalid(path, device, "must be the name of a device, or how it begins", "e.g. veth")
    for text in subnets_of(fields.get("clusterCIDR") or "") if fields.get("clusterCIDR") else ():
        yield from cidr("kubeProxy.clusterCIDR", text)


def _periods(path: str, fields: Part) -> FieldErrors:
    """kube-proxy's rule: a period there must be, and it is no shorter than the least time between two rounds."""
    least, period = fields.get("minSyncPeriod", "0"), fields.get("syncPeriod", "30s")
    shortest, length = (seconds(each) if isinstance(each, str) else None for each in (least, period))
    if shortest is None or length is None:
        return  # said by _duration
    if not length:
        yield invalid(f"{path}.syncPeriod", period, "must be greater than 0", "e.g. 30s")
    elif shortest > length:
        yield invalid(
            f"{path}.syncPeriod", period, f"must be greater than or equal to minSyncPeriod ({least})"
        )


def _duration(path: str, value: Any) -> FieldErrors:
    if not isinstance(value, str) or seconds(value) is None:
        yield invalid(path, value, "must be a duration with its unit", "e.g. 30s, 1m30s or 500ms")


def _nodes(entries: Sequence[Part]) -> FieldErrors:
    count = sum(entry.get("count", 1) for entry in entries)
    if count > MAX_NODES:
        yield too_many("nodes", count, MAX_NODES)
        return
    for i, entry in enumerate(entries):
        yield from _node(child("nodes", i), entry)
    seen: dict[str, int] = {}
    for i, name in _names(entries):
        first = seen.setdefault(name, i)
        if first != i:
            path = f"nodes[{i}].name" if "name" in entries[i] else f"nodes[{i}]"
            yield FieldError(path, f'Duplicate value: "{name}"', f"nodes[{first}] is called so already")


def _node(path: str, entry: Part) -> FieldErrors:
    yield from one_of(f"{path}.role", entry.get("role", "worker"), _ROLES)
    yield from labels(f"{path}.labels", entry.get("labels", {}))
    name = entry.get("name", "")
    if name:
        yield from named(f"{path}.name", name, dns_label)
    if _TAKEN.fullmatch(name):
        yield invalid(f"{path}.name", name, "is the name of another host of the lab instance", "e.g. node1")
    if name and entry.get("count", 1) > 1:
        yield forbidden(f"{path}.count", "may not be used with a name", "without a name they become nodeN")


def _names(entries: Sequence[Part]) -> Iterator[tuple[int, str]]:
    """The name of each node with the index of its entry."""
    owners = [i for i, entry in enumerate(entries) for _ in range(entry.get("count", 1))]
    return zip(owners, (node.name for node in named_nodes(entries)), strict=True)


def _sizes(body: Part) -> FieldErrors:
    """Ranges must hold what is to live in them, and lie apart."""
    cluster = cluster_of(body)
    networking = cluster.networking
    for network in networking.pod_subnets:
        room = NODE_POD_PREFIX[network.version] - network.prefixlen
        if room < 0 or 2**room < len(cluster.nodes):
            detail = f"must hold a /{NODE_POD_PREFIX[network.version]} for each of {len(cluster.nodes)} nodes"
            yield invalid("networking.podSubnet", str(network), detail)
    for network in networking.service_subnets:
        if network.max_prefixlen - network.prefixlen > _MAX_SERVICE_BITS:
            most = network.max_prefixlen - _MAX_SERVICE_BITS
            yield invalid("networking.serviceSubnet", str(network), f"must be a /{most} or smaller")
    ranges = (networking.pod_subnets, networking.service_subnets, networking.load_balancer_subnets)
    yield from _overlaps(dict(zip(_SUBNETS, ranges, strict=True)))


def _overlaps(ranges: Mapping[str, Sequence[IPNetwork]]) -> FieldErrors:
    taken = [(network, "nodes") for network in NODE_SUBNETS]
    taken += [(network, "the outside") for network in OUTSIDE_SUBNETS]
    for name in _SUBNETS:
        for network in ranges[name]:
            for other, owner in taken:
                if other.version == network.version and other.overlaps(network):
                    yield invalid(f"networking.{name}", str(network), f"overlaps {other} ({owner})")
            taken.append((network, name))
