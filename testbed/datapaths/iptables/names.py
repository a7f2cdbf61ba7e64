"""Chain names as kube-proxy makes them.

A chain name has at most 28 characters, so a service port is named by a hash: the first 16 characters of
base32(sha256(`namespace/name:port` + lower-case protocol)), with the endpoint's `address:port` added for an
endpoint's chain (portProtoHash and servicePortEndpointChainName in pkg/proxy/iptables/proxier.go).
"""

from __future__ import annotations

import hashlib

from testbed.proxier.plan import Endpoint, Scope, ServiceKey

SERVICES = "KUBE-SERVICES"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
NODE_PORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
FORWARD = "KUBE-FORWARD"
FIREWALL = "KUBE-FIREWALL"  # shared with the kubelet: martian loopback packets
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"
CANARY = "KUBE-PROXY-CANARY"

TOP_LEVEL = {
    "mangle": (CANARY,),
    "filter": (EXTERNAL_SERVICES, FIREWALL, FORWARD, NODE_PORTS, CANARY, PROXY_FIREWALL, SERVICES),
    "nat": (MARK_MASQ, NODE_PORTS, POSTROUTING, CANARY, SERVICES),
}
"""The chains that exist whatever the Services are, by table."""

PER_SERVICE = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")
"""What the names of a service port's own chains begin with; all are in table nat."""

POLICY = {Scope.CLUSTER: "KUBE-SVC-", Scope.LOCAL: "KUBE-SVL-"}
EXTERNAL = "KUBE-EXT-"
FIREWALLED = "KUBE-FW-"
ENDPOINT = "KUBE-SEP-"

SHARED = frozenset({SERVICES, EXTERNAL_SERVICES, NODE_PORTS, PROXY_FIREWALL})
"""The chains in which every service port has rules of its own. What stands in front costs less, so full passes lay
them in the order of names; kube-proxy fills them in the order of a Go map, which is another one each time."""


def policy_chain(key: ServiceKey, scope: Scope) -> str:
    """The chain that chooses among the endpoints of one traffic policy."""
    return POLICY[scope] + digest(text(key))


def external_chain(key: ServiceKey) -> str:
    """The chain that every external address of the service port jumps to."""
    return EXTERNAL + digest(text(key))


def firewall_chain(key: ServiceKey) -> str:
    """The chain that lets in only the load balancer's source ranges."""
    return FIREWALLED + digest(text(key))


def endpoint_chain(key: ServiceKey, endpoint: Endpoint) -> str:
    """The chain that translates the destination to one endpoint."""
    return ENDPOINT + digest(f"{text(key)}{endpoint}")


def is_ours(table: str, chain: str) -> bool:
    """True for a chain that this datapath makes, in this or an earlier run."""
    return chain in TOP_LEVEL.get(table, ()) or (table == "nat" and chain.startswith(PER_SERVICE))


def text(key: ServiceKey) -> str:
    """What stands for a service port in hashes."""
    return f"{key}{key.protocol.lower()}"


def digest(words: str) -> str:
    """The first 16 characters of base32(sha256(words)): 80 bits, ten for each pair of characters.

    By hand, since a cluster of 10,000 Services has 30,000 chains, and base64.b32encode takes longer than SHA-256.
    """
    n, two = int.from_bytes(hashlib.sha256(words.encode()).digest()[:10], "big"), _PAIRS
    first = f"{two[n >> 70]}{two[n >> 60 & 1023]}{two[n >> 50 & 1023]}{two[n >> 40 & 1023]}"
    return f"{first}{two[n >> 30 & 1023]}{two[n >> 20 & 1023]}{two[n >> 10 & 1023]}{two[n & 1023]}"


_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [first + second for first in _BASE32 for second in _BASE32]
