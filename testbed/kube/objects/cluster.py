"""The Cluster document: what Kubernetes does not say about a cluster (nodes, subnets, datapath).

Knows its fields, which are kind's and kube-proxy's, and their defaults. A document must have passed
`cluster_rules.py` before it is read here. Knows nothing of how a cluster is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from ipaddress import ip_network
from typing import Any

from testbed.kube.objects.addresses import (
    LOAD_BALANCER_SUBNETS,
    POD_SUBNETS,
    SERVICE_SUBNETS,
    IPNetwork,
    of_family,
)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """One node: `role` is `control-plane` or `worker`."""

    name: str
    role: str = "worker"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Networking:
    """Families, ranges and the datapath. The family of the first service subnet is the primary one."""

    ip_family: str = "dual"  # dual, ipv4 or ipv6
    pod_subnets: tuple[IPNetwork, ...] = POD_SUBNETS
    service_subnets: tuple[IPNetwork, ...] = SERVICE_SUBNETS
    kube_proxy_mode: str = "iptables"
    load_balancer_subnets: tuple[IPNetwork, ...] = LOAD_BALANCER_SUBNETS


@dataclass(frozen=True, slots=True)
class KubeProxy:
    """kube-proxy's settings (KubeProxyConfiguration v1alpha1) with its defaults; periods in seconds.

    `options` is what stands under `kubeProxy.<mode>`, as it was written, for the datapath of that mode;
    `conntrack` the section of that name; `written` the whole of `kubeProxy`, for a switch to another mode.
    """

    masquerade_all: bool = False
    localhost_node_ports: bool = True
    node_port_addresses: tuple[
        str, ...
    ] = ()  # networks, or "primary" (nftables' default); empty: every address
    detect_local_mode: str = "ClusterCIDR"
    detect_local_interface: str = ""  # of the modes BridgeInterface and InterfaceNamePrefix
    cluster_cidr: str | None = None  # None: the pods' subnets; empty: pods are not told from others
    min_sync_period: float = 1.0
    sync_period: float = 30.0
    conntrack: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    written: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Kubelet:
    """kubelet's settings (KubeletConfiguration v1beta1) with its defaults; seconds."""

    max_container_restart_period: float = 300.0  # crashLoopBackOff.maxContainerRestartPeriod, KEP-4603


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """The whole shape of a cluster. `clients` hosts stand outside of it, beside the switch."""

    name: str
    nodes: tuple[NodeConfig, ...]
    networking: Networking = Networking()
    kube_proxy: KubeProxy = KubeProxy()
    clients: int = 1
    kubelet: Kubelet = Kubelet()

    def pod_ranges(self) -> tuple[IPNetwork, ...]:
        """By which kube-proxy tells pods' packets in mode ClusterCIDR."""
        cidr = self.kube_proxy.cluster_cidr
        if cidr is None:
            return self.networking.pod_subnets
        return tuple(map(ip_network, subnets_of(cidr))) if cidr else ()

    def with_mode(self, mode: str, options: Mapping[str, Any]) -> ClusterConfig:
        """The same cluster with kube-proxy in another mode: as if the document had said so, with `options` beside
        what it says under `kubeProxy.<mode>`.
        """
        written = {**self.kube_proxy.written, mode: {**self.kube_proxy.written.get(mode, {}), **options}}
        networking = replace(self.networking, kube_proxy_mode=mode)
        return replace(self, networking=networking, kube_proxy=_kube_proxy(written, mode))

    def to_json(self) -> dict[str, Any]:
        """As JSON, for a socket or a result file."""
        net, proxy = self.networking, self.kube_proxy
        return {
            "name": self.name,
            "nodes": [{"name": n.name, "role": n.role, "labels": dict(n.labels)} for n in self.nodes],
            "networking": {
                "ip_family": net.ip_family,
                "kube_proxy_mode": net.kube_proxy_mode,
                **{name: [str(subnet) for subnet in getattr(net, name)] for name in _SUBNETS},
            },
            "kube_proxy": {name: getattr(proxy, name) for name in _PLAIN_SETTINGS}
            | {
                "node_port_addresses": list(proxy.node_port_addresses),
                "conntrack": dict(proxy.conntrack),
                "options": dict(proxy.options),
                "written": dict(proxy.written),
            },
            "clients": self.clients,
            "kubelet": asdict(self.kubelet),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ClusterConfig:
        """The inverse of `to_json`."""
        net, proxy = dict(data["networking"]), dict(data["kube_proxy"])
        net |= {name: tuple(map(ip_network, net[name])) for name in _SUBNETS}
        proxy |= {"node_port_addresses": tuple(proxy["node_port_addresses"])}
        nodes = tuple(NodeConfig(**node) for node in data["nodes"])
        kubelet = Kubelet(**data["kubelet"])
        return cls(data["name"], nodes, Networking(**net), KubeProxy(**proxy), data["clients"], kubelet)


_SUBNETS = ("pod_subnets", "service_subnets", "load_balancer_subnets")
_PLAIN_SETTINGS = (
    "masquerade_all",
    "localhost_node_ports",
    "detect_local_mode",
    "detect_local_interface",
    "cluster_cidr",
    "min_sync_period",
    "sync_period",
)


def default_cluster() -> ClusterConfig:
    """What one gets without a Cluster document: three workers, one client, dual stack, iptables."""
    return ClusterConfig("default", tuple(NodeConfig(f"node{n}") for n in (1, 2, 3)))


def cluster_of(body: Mapping[str, Any]) -> ClusterConfig:
    """The cluster that a valid Cluster document describes."""
    default = default_cluster()
    networking = _networking(body.get("networking", {}))
    nodes = tuple(named_nodes(body["nodes"])) if body.get("nodes") else default.nodes
    return ClusterConfig(
        name=body["metadata"]["name"],
        nodes=nodes,
        networking=networking,
        kube_proxy=_kube_proxy(body.get("kubeProxy", {}), networking.kube_proxy_mode),
        clients=body.get("clients", default.clients),
        kubelet=_kubelet(body.get("kubelet", {})),
    )


def _kubelet(fields: Mapping[str, Any]) -> Kubelet:
    longest = fields.get("crashLoopBackOff", {}).get("maxContainerRestartPeriod", "300s")
    return Kubelet(max_container_restart_period=seconds(longest) or 0.0)


def named_nodes(entries: Sequence[Mapping[str, Any]]) -> Iterator[NodeConfig]:
    """The nodes that the entries of `nodes` stand for; a missing name is nodeN, N counting all from 1."""
    number = 0
    for entry in entries:
        for _ in range(entry.get("count", 1)):
            number += 1
            name = entry.get("name") or f"node{number}"
            yield NodeConfig(name, entry.get("role", "worker"), entry.get("labels", {}))


def seconds(duration: str) -> float | None:
    """Go's notation of a duration (`1s`, `1m30s`, `500ms`, `0`) in seconds; None for anything else."""
    parts = _DURATION.findall(duration)
    if duration != "0" and (not parts or "".join(number + unit for number, unit in parts) != duration):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def subnets_of(text: str) -> list[str]:
    """The networks of a list as kind writes it, parted by commas."""
    return [part.strip() for part in text.split(",")]


def _networking(fields: Mapping[str, Any]) -> Networking:
    family = fields.get("ipFamily", "dual")

    def subnets(name: str, default: tuple[IPNetwork, ...]) -> tuple[IPNetwork, ...]:
        text = fields.get(name, "")
        return tuple(map(ip_network, subnets_of(text))) if text else of_family(default, family)

    return Networking(
        ip_family=family,
        pod_subnets=subnets("podSubnet", POD_SUBNETS),
        service_subnets=subnets("serviceSubnet", SERVICE_SUBNETS),
        kube_proxy_mode=fields.get("kubeProxyMode", "iptables"),
        load_balancer_subnets=subnets("loadBalancerSubnet", LOAD_BALANCER_SUBNETS),
    )


def _kube_proxy(fields: Mapping[str, Any], mode: str) -> KubeProxy:
    """kube-proxy takes masqueradeAll from the nftables section in that mode, else from the iptables one; in that
    mode node ports answer on the node's own addresses unless something else is said (KEP-3866), else on all.
    """
    options = fields.get(mode, {})
    iptables = fields.get("iptables", {})
    marks = fields.get("nftables", {}) if mode == "nftables" else iptables
    detect = fields.get("detectLocal", {})
    interfaces = {"BridgeInterface": "bridgeInterface", "InterfaceNamePrefix": "interfaceNamePrefix"}
    detect_local_mode = fields.get("detectLocalMode", "ClusterCIDR")
    primary = ("primary",) if mode == "nftables" else ()
    least = "0" if mode == "ipvs" else "1s"  # KubeProxyConfiguration's defaults for minSyncPeriod
    return KubeProxy(
        masquerade_all=marks.get("masqueradeAll", False),
        localhost_node_ports=iptables.get("localhostNodePorts", True),
        node_port_addresses=tuple(fields.get("nodePortAddresses", ())) or primary,
        detect_local_mode=detect_local_mode,
        detect_local_interface=detect.get(interfaces.get(detect_local_mode, ""), ""),
        cluster_cidr=fields.get("clusterCIDR"),
        min_sync_period=seconds(options.get("minSyncPeriod", least)) or 0.0,
        sync_period=seconds(options.get("syncPeriod", "30s")) or 0.0,
        conntrack=fields.get("conntrack", {}),
        options=options,
        written=fields,
    )
