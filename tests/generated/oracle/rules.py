"""kube-proxy's iptables rules for a scene, told a second time: simple, slow, and independent of the product.

Each rule is written as kube-proxy hands it to iptables-restore, by the checklist (docs/kube-proxy.md) and the
dumps in tests/data/kube-proxy-dumps; `tables` gives it as iptables-save prints it. Service ports come in the
order of their names (kube-proxy's own order is that of a Go map). Must not import testbed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from tests.generated.oracle.choosing import Choice, choose
from tests.generated.oracle.printed import printed
from tests.generated.oracle.reading import Ending, Port, holds_node, of_family, ports
from tests.generated.scene import Scene

Rules = Iterator[tuple[str, str]]  # "table CHAIN", and the rule
Tables = dict[str, dict[str, list[str]]]

LARGE = 1000
FIXED = {
    "mangle": "PREROUTING INPUT FORWARD OUTPUT POSTROUTING KUBE-PROXY-CANARY",
    "filter": "INPUT FORWARD OUTPUT KUBE-EXTERNAL-SERVICES KUBE-FIREWALL KUBE-FORWARD KUBE-NODEPORTS "
    "KUBE-PROXY-CANARY KUBE-PROXY-FIREWALL KUBE-SERVICES",
    "nat": "PREROUTING INPUT OUTPUT POSTROUTING KUBE-MARK-MASQ KUBE-NODEPORTS KUBE-POSTROUTING "
    "KUBE-PROXY-CANARY KUBE-SERVICES",
}


def tables(scene: Scene, family: str) -> Tables:
    """The whole ruleset of one family: each table's chains with their rules, built-in chains included."""
    found: Tables = {table: {chain: [] for chain in chains.split()} for table, chains in FIXED.items()}
    mine = ports(scene, family)
    large = sum(len(port.known) for port in mine) > LARGE
    told = [*_jumps(), *_frame(scene, family)]
    for port in mine:
        told += dict.fromkeys(_Service(scene, family, port, large).rules())
    told += _node_port_jumps(scene, family)
    for place, rule in told:
        table, chain = place.split()
        found[table].setdefault(chain, []).append(printed(rule, family))
    return found


# What is there whatever the Services are


def _jumps() -> Rules:
    new, lb = "-m conntrack --ctstate NEW -m comment --comment", '"kubernetes load balancer firewall"'
    outside = f'{new} "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES'
    portals = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
    for chain in ("INPUT", "FORWARD", "OUTPUT"):
        if chain != "FORWARD":
            yield f"filter {chain}", "-j KUBE-FIREWALL"
        yield f"filter {chain}", f"{new} {lb} -j KUBE-PROXY-FIREWALL"
    yield "filter INPUT", '-m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS'
    yield "filter INPUT", outside
    yield "filter FORWARD", '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD'
    for chain in ("FORWARD", "OUTPUT"):
        yield f"filter {chain}", f'{new} "kubernetes service portals" -j KUBE-SERVICES'
    yield "filter FORWARD", outside
    yield "nat PREROUTING", portals
    yield "nat OUTPUT", portals
    yield "nat POSTROUTING", '-m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'


def _frame(scene: Scene, family: str) -> Rules:
    mark = f"{1 << scene.proxy.masquerade_bit:#010x}"
    marked = f"{1 << scene.proxy.masquerade_bit:#x}/{1 << scene.proxy.masquerade_bit:#x}"
    masquerade = '"kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully'
    yield "nat KUBE-POSTROUTING", f"-m mark ! --mark {marked} -j RETURN"
    yield "nat KUBE-POSTROUTING", f"-j MARK --xor-mark {mark}"
    yield "nat KUBE-POSTROUTING", f"-m comment --comment {masquerade}"
    yield "nat KUBE-MARK-MASQ", f"-j MARK --or-mark {mark}"
    if localhost(scene, family):
        yield (
            "filter KUBE-FIREWALL",
            '-m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 '
            "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP",
        )
    if not scene.proxy.tcp_be_liberal:
        counter = "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts" if scene.proxy.counters else ""
        yield "filter KUBE-FORWARD", f"-m conntrack --ctstate INVALID {counter} -j DROP"
    forwarding = '-m comment --comment "kubernetes forwarding'
    yield "filter KUBE-FORWARD", f'{forwarding} rules" -m mark --mark {marked} -j ACCEPT'
    related = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    yield "filter KUBE-FORWARD", f'{forwarding} conntrack rule" {related}'


def localhost(scene: Scene, family: str) -> bool:
    """Does 127.0.0.1:nodePort work? Only IPv4, if asked for, and if nodePortAddresses have a loopback address."""
    ranges = of_family(list(scene.proxy.node_port_addresses), family) or ["0.0.0.0/0"]
    loopback = ip_network("127.0.0.0/8")
    return (
        family == "IPv4"
        and scene.proxy.localhost_node_ports
        and any(ip_network(each).overlaps(loopback) for each in ranges)
    )


def _node_port_jumps(scene: Scene, family: str) -> Rules:
    note = '"kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    ranges = of_family(list(scene.proxy.node_port_addresses), family)
    if not ranges or any(each.endswith("/0") for each in ranges):
        closed = (
            "! -d ::1/128" if family == "IPv6" else "" if localhost(scene, family) else "! -d 127.0.0.0/8"
        )
        to = f"-m addrtype --dst-type LOCAL {closed} -j KUBE-NODEPORTS"
        yield "nat KUBE-SERVICES", f"-m comment --comment {note} {to}"
        return
    own = [*scene.addresses, *(["127.0.0.1"] if localhost(scene, family) else [])]
    for ip in of_family(own, family):
        if any(ip_address(ip) in ip_network(each) for each in ranges):
            yield "nat KUBE-SERVICES", f"-m comment --comment {note} -d {ip} -j KUBE-NODEPORTS"


def _detector(scene: Scene, family: str) -> str:
    """The match for what pods of this node (or of the cluster) send; nothing if there is no way to tell."""
    mode, interface = scene.proxy.detect_local_mode, scene.proxy.interface
    if mode == "BridgeInterface":
        return f"-i {interface}"
    if mode == "InterfaceNamePrefix":
        return f"-i {interface}+"
    ranges = of_family(list(scene.pod_cidrs), family) if mode != "None" else []
    return f"-s {ranges[0]}" if ranges else ""


# What one service port adds


class _Service:
    def __init__(self, scene: Scene, family: str, port: Port, large: bool) -> None:
        self.scene, self.family, self.port, self.large = scene, family, port, large
        self.choice: Choice = choose(port, scene)
        self.pods = _detector(scene, family)
        self.internal = self.choice.local if port.internal_local else self.choice.cluster
        self.external = self.choice.local if port.external_local else self.choice.cluster
        self.firewall = bool(self.choice.any and port.lb_ips and port.ranges)

    def rules(self) -> Rules:
        """All rules of the service port, in kube-proxy's order within each chain."""
        yield from self._entries()
        yield from self._refusals()
        if self.choice.any and self.port.external:
            yield from self._ext()
        if self.firewall:
            yield from self._fw()
        if self.internal:
            yield from self._off_cluster()
        yield from self._choices("KUBE-SVC-", self.choice.cluster)
        yield from self._choices("KUBE-SVL-", self.choice.local)
        for ending in self.choice.reachable:
            yield from self._sep(ending)

    def chain(self, prefix: str, ending: str = "") -> str:
        """Prefix and 16 characters of base32(sha256(name, protocol, endpoint))."""
        text = f"{self.port.name}{self.port.protocol}{ending}"
        return prefix + base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()[:16]

    def _to(self, ip: str, words: str) -> str:
        protocol = self.port.protocol
        return f'-m comment --comment "{words}" -m {protocol} -p {protocol} -d {ip} --dport {self.port.port}'

    def _entries(self) -> Rules:
        name, ext, port = self.port.name, self.chain("KUBE-EXT-"), self.port
        if self.internal:
            target = self.chain("KUBE-SVL-" if port.internal_local else "KUBE-SVC-")
            yield "nat KUBE-SERVICES", f"{self._to(port.ip, f'{name} cluster IP')} -j {target}"
        if not self.choice.any:
            return
        for ip in port.external_ips:
            yield "nat KUBE-SERVICES", f"{self._to(ip, f'{name} external IP')} -j {ext}"
        fw = self.chain("KUBE-FW-")
        for ip in port.lb_ips:
            target = fw if self.firewall else ext
            yield "nat KUBE-SERVICES", f"{self._to(ip, f'{name} loadbalancer IP')} -j {target}"
            if self.firewall:
                words = f"{name} traffic not accepted by {fw}"
                yield "filter KUBE-PROXY-FIREWALL", f"{self._to(ip, words)} -j DROP"
        if port.node_port:
            to = f"-m comment --comment {name} -m {port.protocol} -p {port.protocol} --dport {port.node_port}"
            if localhost(self.scene, self.family) and self.scene.proxy.counters:
                counted = "-d 127.0.0.0/8 -m nfacct --nfacct-name localhost_nps_accepted_pkts"
                yield "nat KUBE-NODEPORTS", f"{to} {counted} -j {ext}"
            yield "nat KUBE-NODEPORTS", f"{to} -j {ext}"

    def _refusals(self) -> Rules:
        port = self.port
        verdict, words = ("DROP", "no local endpoints") if self.choice.any else ("REJECT", "no endpoints")
        why = f"{port.name} has {words}"
        if not self.internal:
            yield "filter KUBE-SERVICES", f"{self._to(port.ip, why)} -j {verdict}"
        if not self.external:
            for ip in port.external_ips + port.lb_ips:
                yield "filter KUBE-EXTERNAL-SERVICES", f"{self._to(ip, why)} -j {verdict}"
            if port.node_port:
                local = f'-m comment --comment "{why}" -m addrtype --dst-type LOCAL -m {port.protocol}'
                to = f"{local} -p {port.protocol} --dport {port.node_port}"
                yield "filter KUBE-EXTERNAL-SERVICES", f"{to} -j {verdict}"
        if port.health_port:
            check = f'-m comment --comment "{port.name} health check node port" -m tcp -p tcp'
            yield "filter KUBE-NODEPORTS", f"{check} --dport {port.health_port} -j ACCEPT"

    def _ext(self) -> Rules:
        place, where = f"nat {self.chain('KUBE-EXT-')}", f'for {self.port.name} external destinations"'
        cluster, local = self.chain("KUBE-SVC-"), "-m addrtype --src-type LOCAL"
        if not self.port.external_local:
            yield place, f'-m comment --comment "masquerade traffic {where} -j KUBE-MARK-MASQ'
            yield place, f"-j {cluster}"
            return
        if self.pods:
            yield place, f'-m comment --comment "pod traffic {where} {self.pods} -j {cluster}'
        yield place, f'-m comment --comment "masquerade LOCAL traffic {where} {local} -j KUBE-MARK-MASQ'
        yield place, f'-m comment --comment "route LOCAL traffic {where} {local} -j {cluster}'
        if self.external:
            yield place, f"-j {self.chain('KUBE-SVL-')}"

    def _fw(self) -> Rules:
        place, name, ext = f"nat {self.chain('KUBE-FW-')}", self.port.name, self.chain("KUBE-EXT-")
        allowed = list(self.port.ranges)
        if holds_node(self.scene, self.family, self.port.ranges):
            allowed += self.port.lb_ips  # the balancer's address may be the node's own
        for source in allowed:
            yield place, f'-m comment --comment "{name} loadbalancer IP" -s {source} -j {ext}'
        yield place, f'-m comment --comment "other traffic to {name} will be dropped by KUBE-PROXY-FIREWALL"'

    def _off_cluster(self) -> Rules:
        chain = self.chain("KUBE-SVL-" if self.port.internal_local else "KUBE-SVC-")
        to = self._to(self.port.ip, f"{self.port.name} cluster IP")
        if self.scene.proxy.masquerade_all:
            yield f"nat {chain}", f"{to} -j KUBE-MARK-MASQ"
        elif self.pods:
            yield f"nat {chain}", f"{to} ! {self.pods} -j KUBE-MARK-MASQ"

    def _choices(self, prefix: str, endings: list[Ending]) -> Rules:
        place = f"nat {self.chain(prefix)}"
        for ending in endings if self.port.affinity else ():
            sep = self.chain("KUBE-SEP-", ending.text)
            recent = f"-m recent --name {sep} --rcheck --seconds {self.port.affinity} --reap"
            yield place, f"{self._remark(ending)} {recent} -j {sep}"
        for i, ending in enumerate(endings):
            left = len(endings) - i
            share = f"-m statistic --mode random --probability {1 / left:0.10f}" if left > 1 else ""
            yield place, f"{self._remark(ending)} {share} -j {self.chain('KUBE-SEP-', ending.text)}"

    def _remark(self, ending: Ending) -> str:
        return "" if self.large else f'-m comment --comment "{self.port.name} -> {ending.text}"'

    def _sep(self, ending: Ending) -> Rules:
        sep, protocol = self.chain("KUBE-SEP-", ending.text), self.port.protocol
        remark = "" if self.large else f'-m comment --comment "{self.port.name}"'
        recent = f"-m recent --name {sep} --set" if self.port.affinity else ""
        yield f"nat {sep}", f"{remark} -s {ending.ip} -j KUBE-MARK-MASQ"
        to = f"-j DNAT --to-destination {ending.text}"
        yield f"nat {sep}", f"{remark} {recent} -m {protocol} -p {protocol} {to}"
