"""IP addresses and networks as the API server lets them in (apimachinery util/validation/ip.go).

Knows addresses as text. What passes here is what a datapath may rely on: Python's parser accepts it, too.
Follows KEP-4858 (StrictIPCIDRValidation, on since v1.36): no leading zeros, no IPv4-mapped IPv6 addresses, no
bits beyond a prefix.
"""

from __future__ import annotations

import ipaddress

from testbed.kube.objects.addresses import IPAddress, IPNetwork
from testbed.kube.objects.fields import FieldErrors, invalid

_SPECIAL = (
    ("is_unspecified", "may not be unspecified (0.0.0.0 or ::)"),
    ("is_loopback", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
    ("is_link_local", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
    ("is_multicast", "may not be in the multicast range (224.0.0.0/4, ff00::/8)"),
)


def address_of(text: str) -> IPAddress | None:
    """The address that `text` spells as Kubernetes allows it, or None."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped or address.scope_id):
        return None
    return address


def network_of(text: str) -> IPNetwork | None:
    """The network that `text` spells as Kubernetes allows it (`ADDRESS/BITS`), or None."""
    if not text.rpartition("/")[2].isdecimal() or "/" not in text or "%" in text:
        return None  # Python would also take a lone address, and a netmask after the slash
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def ip(path: str, text: str, version: int | None = None) -> FieldErrors:
    """A valid address (`IsValidIP`), of one IP version if given (`IsValidIPv4Address`, …)."""
    address = address_of(text)
    if address is None and version is None:
        yield invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", _why(text))
    elif address is None or version not in (None, address.version):
        hint = _why(text) if address is None else f"this is an IPv{address.version} address"
        yield invalid(path, text, f"must be a valid IPv{version} address", hint)


def ordinary_ip(path: str, text: str, version: int | None = None) -> FieldErrors:
    """A valid address that can be somebody's (`ValidateNonSpecialIP`).

    Of the multicast ranges Kubernetes refuses only the link-local ones; no datapath could serve any of them.
    """
    address = address_of(text)
    yield from ip(path, text, version)
    if address is not None:
        wrong = next((message for test, message in _SPECIAL if getattr(address, test)), "")
        if wrong:
            yield invalid(path, text, wrong)


def cidr(path: str, text: str) -> FieldErrors:
    """A valid network (`IsValidCIDR`)."""
    if network_of(text) is None:
        yield invalid(
            path, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)", _why_cidr(text)
        )


def _why(text: str) -> str:
    parts = text.split(".")
    if len(parts) == 4 and all(part.isdecimal() for part in parts) and not text.isspace():
        plain = ".".join(str(int(part[:9])) for part in parts)
        if plain != text and address_of(plain):
            return f"no leading zeros: {plain}"
        return "each part is 0 to 255"
    if "/" in text:
        return "an address, without a prefix length"
    return "no IPv4-mapped IPv6 address" if text.lower().startswith("::ffff:") else ""


def _why_cidr(text: str) -> str:
    address = address_of(text)
    if address:
        return f"add a prefix length: {text}/{address.max_prefixlen}"
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ""
    return f"must not have bits set beyond the prefix length: {loose}"
