"""Addresses for generated objects, and the odd spellings of them that old API servers let in."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address
from random import Random

V4, V6 = "IPv4", "IPv6"


def odd(rng: Random, text: str) -> str:
    """The same address, now and then written as nobody should (k8s.io/utils/net parses them "sloppily")."""
    address = ip_address(text)
    if rng.random() < 0.8:
        return text
    if isinstance(address, IPv4Address):
        padded = ".".join(part.zfill(rng.choice((2, 3))) for part in text.split("."))
        return rng.choice((padded, f"::ffff:{text}", f"::FFFF:{text}"))
    return rng.choice((address.exploded, text.upper(), address.exploded.upper()))


def odd_range(rng: Random, text: str) -> str:
    """The same CIDR, now and then with host bits, blanks or leading zeros."""
    address, _, length = text.partition("/")
    if rng.random() < 0.7:
        return text
    if ":" in address:
        return rng.choice((f" {text}", f"{address.rstrip(':')}::7/{length}", text.upper()))
    first, *rest = address.split(".")
    return rng.choice(
        (f" {text} ", f"{address[:-1]}7/{length}", ".".join((f"0{first}", *rest)) + f"/{length}")
    )


def cluster_ip(family: str, number: int) -> str:
    """The cluster IP of the service with this number."""
    return f"10.96.0.{number}" if family == V4 else f"fd00:10:96::{number:x}"


def external_ip(family: str, number: int) -> str:
    """An address outside of the cluster that is routed to its nodes."""
    return f"203.0.113.{number}" if family == V4 else f"fd00:10:203::{number:x}"


def ingress_ip(family: str, number: int) -> str:
    """An address of a load balancer."""
    return f"198.51.100.{number}" if family == V4 else f"fd00:10:198::{number:x}"


def pod_ip(family: str, node: int, number: int) -> str:
    """A pod's address on the node with this number."""
    if family == V4:
        return f"10.244.{node + number // 250}.{number % 250 + 1}"
    return f"fd00:10:244:{node:x}::{number + 1:x}"


SOURCE_RANGES = {
    V4: ("203.0.113.0/25", "192.168.0.0/24", "192.168.0.1/32", "10.0.0.0/8", "172.16.0.0/12"),
    V6: ("fd00:10:203::/64", "fd00:10:192::/64", "fd00::/8", "2001:db8::/32"),
}
"""Ranges of clients; some hold the node itself."""
