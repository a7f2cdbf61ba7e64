"""The address plan of every lab instance, in one place (the table in docs/architecture.md).

Knows networks. Knows nothing of what lives in them: the ranges of pods, services and the load balancer can be
set in the Cluster document, and these are then only the defaults; nodes and the outside are always here.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

POD_SUBNETS: tuple[IPNetwork, ...] = (IPv4Network("10.244.0.0/16"), IPv6Network("fd00:10:244::/56"))
SERVICE_SUBNETS: tuple[IPNetwork, ...] = (IPv4Network("10.96.0.0/16"), IPv6Network("fd00:10:96::/112"))
LOAD_BALANCER_SUBNETS: tuple[IPNetwork, ...] = (
    IPv4Network("198.51.100.0/24"),
    IPv6Network("fd00:10:198::/112"),
)
NODE_SUBNETS: tuple[IPNetwork, ...] = (IPv4Network("192.168.0.0/24"), IPv6Network("fd00:10:192::/64"))
OUTSIDE_SUBNETS: tuple[IPNetwork, ...] = (IPv4Network("203.0.113.0/24"), IPv6Network("fd00:10:203::/64"))

NODE_POD_PREFIX = {4: 24, 6: 64}
"""Prefix length of the part of the pod range that one node gets, by IP version (kubeadm's defaults)."""

NODE_PORTS = range(30000, 32768)
"""Ports that a Service may take on every node (kube-apiserver's --service-node-port-range)."""


def of_family(subnets: Iterable[IPNetwork], ip_family: str) -> tuple[IPNetwork, ...]:
    """The networks that a cluster of `ip_family` (`ipv4`, `ipv6` or `dual`) has, in their order."""
    versions = {"ipv4": (4,), "ipv6": (6,), "dual": (4, 6)}[ip_family]
    return tuple(subnet for subnet in subnets if subnet.version in versions)
