"""The names of kube-proxy's table, chains, sets and maps.

A service port's chains are named by a prefix and a base: eight characters of base32(sha256(text)), a hyphen and the
text `namespace/name/protocol/port`, with `__address/port` added for an endpoint (servicePortChainNameBase,
servicePortEndpointChainNameBase and hashAndTruncate in pkg/proxy/nftables/proxier.go, v1.36).
"""

from __future__ import annotations

import hashlib

from testbed.proxier.plan import Endpoint, Scope, ServiceKey

TABLE = "kube-proxy"

SERVICES = "services"
MASQUERADING = "masquerading"
NODE_PORT_ENDPOINTS_CHECK = "nodeport-endpoints-check"
SERVICE_ENDPOINTS_CHECK = "service-endpoints-check"
FIREWALL_CHECK = "firewall-check"
CLUSTER_IPS_CHECK = "cluster-ips-check"
REJECT = "reject-chain"

HAIRPIN = "hairpin-connections"
CLUSTER_IPS = "cluster-ips"
NODE_PORT_IPS = "nodeport-ips"
NO_ENDPOINT_SERVICES = "no-endpoint-services"
NO_ENDPOINT_NODE_PORTS = "no-endpoint-nodeports"
FIREWALL_IPS = "firewall-ips"
SERVICE_IPS = "service-ips"
SERVICE_NODE_PORTS = "service-nodeports"

POLICY = {Scope.CLUSTER: "service-", Scope.LOCAL: "local-"}
EXTERNAL = "external-"
FIREWALL = "firewall-"
ENDPOINT = "endpoint-"
AFFINITY = "affinity-"

LONGEST = 240
"""Characters of a base: nftables takes names of 256, of which kube-proxy keeps 16 for prefixes."""


def base(key: ServiceKey) -> str:
    """What the names of a service port's chains end with. At most 205 characters, so it is never cut."""
    return _hashed(text(key))


def endpoint_base(of: str, endpoint: Endpoint) -> str:
    """What the names of an endpoint's chain and set end with; `of` is the `text` of its service port."""
    return _hashed(f"{of}__{str(endpoint.address).replace(':', '.')}/{endpoint.port}")


def text(key: ServiceKey) -> str:
    """What stands for a service port in names."""
    return f"{key.namespace}/{key.name}/{key.protocol.lower()}/{key.port}"


def told(chain: str) -> str:
    """The `namespace/name:port` that the name of a service port's chain tells; empty for other chains."""
    _, _, rest = chain.partition("/")
    parts = chain.split("/")
    if not rest or len(parts) < 4:
        return ""
    namespace = parts[0].split("-", 2)[2]
    port = parts[3].split("__", 1)[0]
    return f"{namespace}/{parts[1]}:{port}" if port else f"{namespace}/{parts[1]}"


def _hashed(words: str) -> str:
    """By hand, as base64.b32encode takes longer than SHA-256: 40 bits, ten for each pair of characters."""
    n, two = int.from_bytes(hashlib.sha256(words.encode()).digest()[:5], "big"), _PAIRS
    name = f"{two[n >> 30]}{two[n >> 20 & 1023]}{two[n >> 10 & 1023]}{two[n & 1023]}-{words}"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."


_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [first + second for first in _BASE32 for second in _BASE32]
