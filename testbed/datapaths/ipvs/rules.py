"""The few iptables rules of kube-proxy's IPVS mode: they ask the ipsets, so Services add none. Pure.

Chains, jumps and rules, their order and their comments: iptablesJumpChain, ipsetWithIptablesChain and
writeIptablesRules of kube-proxy's pkg/proxy/ipvs/proxier.go. As there, most rules are written only while their set
has elements, so the text follows from which sets are filled.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.items import Guard, show
from testbed.datapaths.ipvs.tables import BUILT_IN, Chains, Tables
from testbed.proxier.plan import Family, NodeFacts, Protocol

SERVICES, POSTROUTING = "KUBE-SERVICES", "KUBE-POSTROUTING"
NODE_PORT, LOAD_BALANCER, MARK_MASQ = "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-MARK-MASQ"
FORWARD, PROXY_FIREWALL = "KUBE-FORWARD", "KUBE-PROXY-FIREWALL"
SOURCE_RANGES = "KUBE-SOURCE-RANGES-FIREWALL"
FILTER, OUT_FILTER = "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER"

CHAINS = {
    "filter": (FORWARD, FILTER, OUT_FILTER, NODE_PORT, PROXY_FIREWALL, SOURCE_RANGES),
    "nat": (LOAD_BALANCER, MARK_MASQ, NODE_PORT, POSTROUTING, SERVICES),
}
"""Our chains by table."""


def _jump(words: str, chain: str) -> str:
    return f'-m comment --comment "{words}" -j {chain}'


JUMPS: dict[str, dict[str, tuple[str, ...]]] = {
    "filter": {
        "INPUT": (
            _jump("kubernetes ipvs access filter", FILTER),
            _jump("kube-proxy firewall rules", PROXY_FIREWALL),
            _jump("kubernetes health check rules", NODE_PORT),
        ),
        "FORWARD": (
            _jump("kube-proxy firewall rules", PROXY_FIREWALL),
            _jump("kubernetes forwarding rules", FORWARD),
        ),
        "OUTPUT": (_jump("kubernetes ipvs access filter", OUT_FILTER),),
    },
    "nat": {
        "PREROUTING": (_jump("kubernetes service portals", SERVICES),),
        "OUTPUT": (_jump("kubernetes service portals", SERVICES),),
        "POSTROUTING": (_jump("kubernetes postrouting rules", POSTROUTING),),
    },
}
"""Our rules in the kernel's own chains, by table and chain."""


class Words:
    """Spells the rules of one family on one node; `filled` are the sets that have elements."""

    def __init__(self, family: Family, facts: NodeFacts, bit: int, filled: Collection[str]) -> None:
        self.family, self.facts, self.filled = family, facts, filled
        self.mark = f"{1 << bit:#x}"

    def tables(self, guards: Iterable[Guard]) -> Tables:
        """All chains with their rules."""
        nat: Chains = {
            LOAD_BALANCER: [*self._if_filled(sets.LOAD_BALANCER_LOCAL, "RETURN"), f"-j {MARK_MASQ}"],
            MARK_MASQ: [f"-j MARK --set-xmark {self.mark}/{self.mark}"],
            NODE_PORT: list(self._node_port()),
            POSTROUTING: list(self._postrouting()),
            SERVICES: list(self._services()),
        }
        filter_: Chains = {
            FORWARD: list(self._forward()),
            FILTER: list(self._filter()),
            OUT_FILTER: [self._guard(guard) for guard in guards],
            NODE_PORT: [self._match(sets.HEALTH_CHECK, "ACCEPT")],
            PROXY_FIREWALL: list(self._if_filled(sets.LOAD_BALANCER_FW, SOURCE_RANGES)),
            SOURCE_RANGES: [
                *self._if_filled(sets.SOURCE_CIDR, "RETURN"),
                *self._if_filled(sets.SOURCE_IP, "RETURN"),
                "-j DROP",
            ],
        }
        own = {"filter": filter_, "nat": nat}
        jumps = {name: {c: list(JUMPS[name].get(c, ())) for c in BUILT_IN[name]} for name in BUILT_IN}
        return {name: jumps[name] | own[name] for name in BUILT_IN}

    def _match(self, name: str, target: str, before: str = "", behind: str = "") -> str:
        """A rule that asks a set, with kube-proxy's comment about it."""
        told = f'-m comment --comment "{sets.KINDS[name].words}" {self._asks(name)}'
        return f"{before}{told}{behind} -j {target}"

    def _asks(self, name: str, directions: str = "") -> str:
        usual = {
            sets.BITMAP_PORT: "dst",
            sets.HASH_IP: "dst",
            sets.HASH_IP_PORT: "dst,dst",
        }.get(sets.KINDS[name].type, "dst,dst,src")
        return f"-m set --match-set {sets.name_of(name, self.family)} {directions or usual}"

    def _if_filled(self, name: str, target: str, before: str = "") -> Iterator[str]:
        if name in self.filled:
            yield self._match(name, target, before)

    def _node_port(self) -> Iterator[str]:
        """The policy Local first: its source addresses are kept."""
        for protocol in (Protocol.TCP, Protocol.UDP, Protocol.SCTP):
            which = f"-p {protocol.lower()} "
            yield from self._if_filled(sets.NODE_PORT_LOCAL[protocol], "RETURN", which)
            yield from self._if_filled(sets.NODE_PORT[protocol], MARK_MASQ, which)

    def _postrouting(self) -> Iterator[str]:
        yield from self._if_filled(sets.LOOP_BACK, "MASQUERADE")
        yield f"-m mark ! --mark {self.mark}/{self.mark} -j RETURN"
        yield f"-j MARK --set-xmark {self.mark}/0x0"  # flips the bit: who comes by again is not marked
        yield _jump("kubernetes service traffic requiring SNAT", "MASQUERADE --random-fully")

    def _services(self) -> Iterator[str]:
        yield f"-s {'127.0.0.0/8' if self.family is Family.IPV4 else '::1/128'} -j RETURN"
        yield from self._if_filled(sets.LOAD_BALANCER, LOAD_BALANCER)
        yield from self._cluster_ips()
        yield from self._if_filled(sets.EXTERNAL_IP, MARK_MASQ)
        for name in (sets.EXTERNAL_IP, sets.EXTERNAL_IP_LOCAL):
            if name in self.filled:
                outside = " -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL"
                yield self._match(name, "ACCEPT", behind=outside)
                yield self._match(name, "ACCEPT", behind=" -m addrtype --dst-type LOCAL")
        yield f"-m addrtype --dst-type LOCAL -j {NODE_PORT}"
        for name in (sets.CLUSTER_IP, sets.LOAD_BALANCER):
            if name in self.filled:
                yield f"{self._asks(name)} -j ACCEPT"

    def _cluster_ips(self) -> Iterator[str]:
        """Whose requests to cluster IPs are masqueraded. A node that cannot tell pods masquerades requests of
        its own that begin at a service address, which kube-ipvs0 makes the kernel choose as source.
        """
        if sets.CLUSTER_IP not in self.filled:
            return
        if self.facts.masquerade_all:
            yield self._match(sets.CLUSTER_IP, MARK_MASQ)
        elif self.facts.tells_pods(self.family):
            network = self.facts.pod_range(self.family)
            before, behind = (f"! -s {network} ", "") if network else (self._not_from_a_pod(), "")
            yield self._match(sets.CLUSTER_IP, MARK_MASQ, before, behind)
        else:
            told = f'-m comment --comment "{sets.KINDS[sets.CLUSTER_IP].words}"'
            yield f"{told} {self._asks(sets.CLUSTER_IP, 'src,dst')} -j {MARK_MASQ}"

    def _not_from_a_pod(self) -> str:
        return f"! -i {self.facts.pod_device or self.facts.pod_device_prefix + '+'} "

    def _forward(self) -> Iterator[str]:
        rule = '-m comment --comment "kubernetes forwarding rules"'
        yield f"{rule} -m mark --mark {self.mark}/{self.mark} -j ACCEPT"
        rule = '-m comment --comment "kubernetes forwarding conntrack rule"'
        yield f"{rule} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"

    def _filter(self) -> Iterator[str]:
        """Keeps others from the node's own ports by way of a service address (kubernetes/kubernetes#72236)."""
        for name in (
            sets.LOAD_BALANCER,
            sets.CLUSTER_IP,
            sets.EXTERNAL_IP,
            sets.EXTERNAL_IP_LOCAL,
            sets.HEALTH_CHECK,
        ):
            yield f"{self._asks(name)} -j RETURN"
        kind = "icmp" if self.family is Family.IPV4 else "icmp6"
        rest = f"{self._asks(sets.IPVS_IPS)} -j REJECT --reject-with {kind}-port-unreachable"
        yield f"-m conntrack --ctstate NEW {rest}"

    def _guard(self, guard: Guard) -> str:
        """kubernetes/kubernetes#119656: with IPVS the source is the load balancer's address itself."""
        address = show(guard.address)
        length = 8 * len(guard.address)
        vaddr = f"--vproto {guard.protocol} --vaddr {address} --vport {guard.port}"
        return f"-s {address}/{length} -m ipvs {vaddr} -j DROP"
