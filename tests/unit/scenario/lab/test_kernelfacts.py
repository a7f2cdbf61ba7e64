"""What is seen in nftables' table, among virtual servers, and of whose rules there are."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import NotFound
from testbed.scenario.lab.facts import look
from testbed.scenario.lab.fake import FakeCluster
from testbed.scenario.lab.running import Answer
from tests.unit.scenario.lab import scene

TABLES = """table ip kube-proxy {
\tmap service-ips {
\t\ttype ipv4_addr . inet_proto . inet_service : verdict
\t\tcomment "ClusterIP, ExternalIP and LoadBalancer IP traffic"
\t\telements = { 10.96.0.80 . tcp . 80 : goto service-X-default/web/tcp/http,
\t\t\t     10.96.0.90 . tcp . 80 : goto service-Y-default/api/tcp/http }
\t}

\tchain services {
\t\tip daddr . meta l4proto . th dport vmap @service-ips
\t\tip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports
\t}

\tchain nat-prerouting {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tjump services
\t}
}
table ip6 kube-proxy {
\tmap other {
\t}
}
"""
IPVS = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
TCP  10.96.0.80:80 wrr
  -> 10.244.0.2:8080              Masq    1      0          0
UDP  10.96.0.81:53 rr
"""


def seen(fact: str, shown: str, held: tuple[str, ...] = (), **arguments: Any) -> tuple[str, ...]:
    cluster = FakeCluster(kinds=scene.cluster().kinds, tables={"node1": shown}, datapaths={"node1": held})
    return look(cluster, {fact: {"node": "node1", **arguments}}).values


@pytest.mark.parametrize(
    ("fact", "arguments", "number"),
    [
        ("chainRules", {"chain": "services"}, "2"),
        ("chainRules", {"chain": "nat-prerouting"}, "1"),
        ("mapElements", {"map": "service-ips"}, "2"),
    ],
)
def test_rules_and_elements_are_counted(fact: str, arguments: dict[str, str], number: str) -> None:
    assert seen(fact, TABLES, **arguments) == (number,)


@pytest.mark.parametrize("missing", ["nosuch", "other"])
def test_what_the_ipv4_table_has_not_is_not_found(missing: str) -> None:
    with pytest.raises(NotFound, match=f"node1 has no map {missing}: is its datapath nftables"):
        seen("mapElements", TABLES, map=missing)


def test_the_names_of_those_whose_rules_are_there() -> None:
    assert seen("datapaths", "", ("nftables", "iptables nft")) == ("iptables", "nftables")


def test_virtual_servers_are_counted_where_there_is_ipvs() -> None:
    assert seen("virtualServers", IPVS, ("ipvs legacy",)) == ("2",)
    assert seen("virtualServers", IPVS, ("nftables",)) == ("0",)


def test_which_rule_of_the_list_is_a_services() -> None:
    cluster = scene.cluster()
    found = look(cluster, {"rulesPassed": {"node": "node1", "service": "web"}})
    subject = cluster.rules("node1").of("KUBE-SERVICES")[int(found.values[0]) - 1]
    assert subject.jump == scene.SVC


def test_how_connections_are_spread() -> None:
    answers = [Answer("answered", name) for name in ("web-1", "web-2", "web-1")]
    cluster = scene.cluster(network=scene.in_turn(*answers))
    arguments = {"from": "client1", "to": {"node": "node1", "port": 30080}, "count": 3}
    assert look(cluster, {"spread": arguments}).values == ("1", "2")


def test_the_packets_that_a_services_rule_counts_of_one_connection() -> None:
    cluster = scene.cluster(network=scene.in_turn(Answer("answered", "web-1")))
    found = look(cluster, {"packetsCounted": {"from": "client1", "node": "node1", "service": "web"}})
    assert found.values == ("1",)
    assert "answered by web-1" in found.text
