"""The ipsets of kube-proxy's IPVS mode: names, types, and the words that rules carry about them. Pure.

Facts: ipsetInfo and the comments in kube-proxy's pkg/proxy/ipvs/ipset.go and proxier.go. A set of IPv6 is called
KUBE-6-…, cut at 31 characters, the longest name that the kernel takes.
"""

from __future__ import annotations

from typing import NamedTuple

from testbed.proxier.plan import Family, Protocol

HASH_IP, HASH_IP_PORT = "hash:ip", "hash:ip,port"
HASH_IP_PORT_IP, HASH_IP_PORT_NET = "hash:ip,port,ip", "hash:ip,port,net"
BITMAP_PORT = "bitmap:port"

LOOP_BACK = "LOOP-BACK"
CLUSTER_IP = "CLUSTER-IP"
EXTERNAL_IP, EXTERNAL_IP_LOCAL = "EXTERNAL-IP", "EXTERNAL-IP-LOCAL"
LOAD_BALANCER, LOAD_BALANCER_LOCAL = "LOAD-BALANCER", "LOAD-BALANCER-LOCAL"
LOAD_BALANCER_FW = "LOAD-BALANCER-FW"
SOURCE_IP, SOURCE_CIDR = "LOAD-BALANCER-SOURCE-IP", "LOAD-BALANCER-SOURCE-CIDR"
NODE_PORT = {
    Protocol.TCP: "NODE-PORT-TCP",
    Protocol.UDP: "NODE-PORT-UDP",
    Protocol.SCTP: "NODE-PORT-SCTP-HASH",
}
NODE_PORT_LOCAL = {
    Protocol.TCP: "NODE-PORT-LOCAL-TCP",
    Protocol.UDP: "NODE-PORT-LOCAL-UDP",
    Protocol.SCTP: "NODE-PORT-LOCAL-SCTP-HASH",
}
HEALTH_CHECK = "HEALTH-CHECK-NODE-PORT"
IPVS_IPS = "IPVS-IPS"

LONGEST_NAME = 31  # IPSET_MAXNAMELEN without its zero
MAX_ELEMENTS, HASH_SIZE, BUCKET_SIZE = 65536, 1024, 12
"""As kube-proxy and ipset make them; a hash grows by itself, up to MAX_ELEMENTS elements."""


class Kind(NamedTuple):
    """A set's type, and what the rules that use it say about it."""

    type: str
    words: str = ""


_SERVICE = "Kubernetes service"
_LB = f"{_SERVICE} load balancer ip + port"
KINDS = {
    LOOP_BACK: Kind(
        HASH_IP_PORT_IP, "Kubernetes endpoints dst ip:port, source ip for solving hairpin purpose"
    ),
    CLUSTER_IP: Kind(HASH_IP_PORT, f"{_SERVICE} cluster ip + port for masquerade purpose"),
    EXTERNAL_IP: Kind(HASH_IP_PORT, f"{_SERVICE} external ip + port for masquerade and filter purpose"),
    EXTERNAL_IP_LOCAL: Kind(HASH_IP_PORT, f"{_SERVICE} external ip + port with externalTrafficPolicy=local"),
    LOAD_BALANCER: Kind(HASH_IP_PORT, f"{_SERVICE} lb portal"),
    LOAD_BALANCER_FW: Kind(HASH_IP_PORT, f"{_LB} for load balancer with sourceRange"),
    LOAD_BALANCER_LOCAL: Kind(HASH_IP_PORT, f"{_LB} with externalTrafficPolicy=local"),
    SOURCE_IP: Kind(HASH_IP_PORT_IP, f"{_LB} + source IP for packet filter purpose"),
    SOURCE_CIDR: Kind(HASH_IP_PORT_NET, f"{_LB} + source cidr for packet filter purpose"),
    NODE_PORT[Protocol.TCP]: Kind(BITMAP_PORT, "Kubernetes nodeport TCP port for masquerade purpose"),
    NODE_PORT_LOCAL[Protocol.TCP]: Kind(
        BITMAP_PORT, "Kubernetes nodeport TCP port with externalTrafficPolicy=local"
    ),
    NODE_PORT[Protocol.UDP]: Kind(BITMAP_PORT, "Kubernetes nodeport UDP port for masquerade purpose"),
    NODE_PORT_LOCAL[Protocol.UDP]: Kind(
        BITMAP_PORT, "Kubernetes nodeport UDP port with externalTrafficPolicy=local"
    ),
    NODE_PORT[Protocol.SCTP]: Kind(
        HASH_IP_PORT, "Kubernetes nodeport SCTP port for masquerade purpose with type 'hash ip:port'"
    ),
    NODE_PORT_LOCAL[Protocol.SCTP]: Kind(
        HASH_IP_PORT,
        "Kubernetes nodeport SCTP port with externalTrafficPolicy=local with type 'hash ip:port'",
    ),
    HEALTH_CHECK: Kind(BITMAP_PORT, "Kubernetes health check node port"),
    IPVS_IPS: Kind(HASH_IP),
}
"""Every set by its name without KUBE- and family."""


def name_of(name: str, family: Family) -> str:
    """The set's name in the kernel."""
    return f"KUBE-{name}" if family is Family.IPV4 else f"KUBE-6-{name}"[:LONGEST_NAME]


NAMES = {name_of(name, family): (name, family) for family in Family for name in KINDS}
"""Back from the kernel's names."""


def created(name: str, family: Family) -> str:
    """What `ipset save` prints of the set itself, without the number that the kernel draws for a hash (initval)."""
    kind = KINDS[name].type
    head = f"create {name_of(name, family)} {kind}"
    if kind == BITMAP_PORT:
        return f"{head} range 0-65535"
    inet = "inet" if family is Family.IPV4 else "inet6"
    return f"{head} family {inet} hashsize {HASH_SIZE} maxelem {MAX_ELEMENTS} bucketsize {BUCKET_SIZE}"
