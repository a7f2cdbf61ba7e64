"""Addresses as Kubernetes objects spell them, read as leniently as kube-proxy reads them.

Knows text and address types. Knows no objects and no policies.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from testbed.proxier.plan import Family, IPAddress, IPNetwork


def parse_address(text: str) -> IPAddress | None:
    """An address, or None for text that is none; see `parse_with_text`."""
    return parse_with_text(text)[0]


@functools.lru_cache(maxsize=1 << 16)  # each node's plan reads the same endpoints
def parse_with_text(text: str) -> tuple[IPAddress | None, str]:
    """An address with its canonical text, or None for text that is none.

    As `ParseIPSloppy` (k8s.io/utils/net): leading zeros of an IPv4 byte are dropped and never mean octal, and
    an IPv4-mapped IPv6 address is the IPv4 address. Old objects hold such spellings; the rules must not.
    """
    try:  # a tenth of what ip_address takes, for what nearly all are: IPv4 as the kernel prints it, and only so
        return IPv4Address(socket.inet_pton(socket.AF_INET, text)), text
    except (OSError, ValueError):
        return _parse_leniently(text)


def _parse_leniently(text: str) -> tuple[IPAddress | None, str]:
    try:
        found = ip_address(_without_leading_zeros(text))
    except ValueError:
        return None, ""
    address = (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
    canonical = str(address)
    return address, text if text == canonical else canonical  # one string where two are equal


def parse_network(text: str) -> IPNetwork | None:
    """A CIDR with its host bits cleared, or None (`ParseCIDRSloppy`); blanks around it are ignored."""
    address, slash, length = text.strip().partition("/")
    if not slash:
        return None
    try:
        return ip_network(f"{_without_leading_zeros(address)}/{length}", strict=False)
    except ValueError:
        return None


def addresses_of(family: Family, texts: Sequence[str]) -> tuple[IPAddress, ...]:
    """The valid addresses of one family, in the given order, each once."""
    if not texts:
        return ()
    found = [a for a in map(parse_address, texts) if a is not None and a.version == family]
    return tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found)


def networks_of(family: Family, texts: Sequence[str]) -> tuple[IPNetwork, ...]:
    """The valid networks of one family, in the given order, each once."""
    if not texts:
        return ()
    found = map(parse_network, texts)
    return tuple(dict.fromkeys(n for n in found if n is not None and n.version == family))


def network_of(address: IPAddress) -> IPNetwork:
    """The network that holds this address alone (/32 or /128)."""
    return IPv4Network(address) if isinstance(address, IPv4Address) else IPv6Network(address)


def _without_leading_zeros(text: str) -> str:
    if ":" in text or "0" not in text:
        return text
    return ".".join(part.lstrip("0") or part[:1] for part in text.split("."))
