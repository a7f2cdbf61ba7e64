"""Rules that the dumps do not show: families, settings, names, counts."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.render import is_large, state
from testbed.datapaths.iptables.ruleset import Ruleset, counts
from testbed.datapaths.iptables.spelling import INVALID_COUNTER, LOCALHOST_COUNTER, Spelling
from testbed.proxier.plan import Endpoint, Family, NodePlan, Protocol, Scope, ServiceKey
from testbed.proxier.proxier import Settings, node_plan
from tests.unit.proxier.objects import FACTS, NODE, Object, endpoint, endpoint_slice, port, service


def plan(*objects: Object, settings: Settings | None = None) -> NodePlan:
    """The plan for some Services and slices."""
    kinds = {kind: [o for o in objects if o["kind"] == kind] for kind in ("Service", "EndpointSlice")}
    return node_plan(FACTS, settings or Settings(), kinds["Service"], kinds["EndpointSlice"])


def rules(found: NodePlan, family: Family = Family.IPV4, **spelling: Any) -> Ruleset:
    """The ruleset of a plan."""
    return state(found, Spelling(family, found.facts, **spelling))


def many(count: int, endpoints: int) -> NodePlan:
    """A plan of ClusterIP Services with so many endpoints each."""
    objects = [service(f"svc-{i}", clusterIP=f"10.96.1.{i}") for i in range(count)]
    ends = [endpoint(f"10.244.1.{i}") for i in range(endpoints)]
    return plan(*objects, *(endpoint_slice(ends, of=f"svc-{i}") for i in range(count)))


KEY = ServiceKey("default", "clusterip", "http", Protocol.TCP, Family.IPV4)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (names.policy_chain(KEY, Scope.CLUSTER), "KUBE-SVC-YX7ZZTCMNX733Y5R"),
        (
            names.endpoint_chain(KEY, Endpoint(ip_address("10.244.0.11"), 8080, False)),
            "KUBE-SEP-AWYS5CUX5RNRRIRD",
        ),
        (names.policy_chain(KEY._replace(name="itp-local"), Scope.LOCAL), "KUBE-SVL-Q6PIQ6MST54P2YU5"),
        (names.external_chain(KEY._replace(name="nodeport")), "KUBE-EXT-PKMRSDTV7XNERZIJ"),
        (names.firewall_chain(KEY._replace(name="lbsr")), "KUBE-FW-U5RWDA7VFR24ZD36"),
    ],
)
def test_chain_names_are_kube_proxy_s(made: str, expected: str) -> None:
    assert made == expected


def test_chain_names_fit_the_kernel() -> None:
    key = ServiceKey("n" * 63, "s" * 63, "p" * 15, Protocol.SCTP, Family.IPV6)
    assert len(names.endpoint_chain(key, Endpoint(ip_address("fd00::1"), 8080, False))) <= 28


@pytest.mark.parametrize(("services", "endpoints"), [(1, 1), (3, 2), (10, 4)])
def test_number_of_nat_rules_is_kube_proxy_s_formula(services: int, endpoints: int) -> None:
    """5 + S(2 + 3n) (TestNumberIptablesRules): our three jumps are not counted there."""
    found = rules(many(services, endpoints))
    assert counts([found])["nat rules"] - 3 == 5 + services * (2 + 3 * endpoints)


def test_services_without_endpoints_cost_one_filter_rule_each() -> None:
    empty, found = counts([rules(many(0, 0))]), counts([rules(many(7, 0))])
    assert found["nat rules"] == empty["nat rules"]
    assert found["filter rules"] == empty["filter rules"] + 7


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_probabilities_have_ten_decimals_and_the_last_is_certain(count: int) -> None:
    found = rules(many(1, count))["nat"].chains[names.policy_chain(KEY._replace(name="svc-0"), Scope.CLUSTER)]
    shares = [rule.split("--probability ")[1].split()[0] for rule in found if "--probability" in rule]
    assert shares == [f"{1 / left:.10f}" for left in range(count, 1, -1)]


@pytest.mark.parametrize(("count", "large"), [(1000, False), (1001, True)])
def test_large_clusters_begin_above_1000_endpoints(count: int, large: bool) -> None:
    ends = [endpoint(f"10.244.{i // 200}.{i % 200}") for i in range(count)]
    assert is_large(plan(service(), endpoint_slice(ends)).known_endpoints(Family.IPV4)) is large


def test_large_clusters_have_no_comments_in_the_endpoints_rules() -> None:
    nat = rules(many(1, 2), endpoint_comments=False)["nat"].chains
    ends = [rule for chain, each in nat.items() if chain.startswith("KUBE-SEP-") for rule in each]
    assert len(ends) == 4
    assert not any("--comment" in rule for rule in ends)


@pytest.mark.parametrize("counter", [INVALID_COUNTER, LOCALHOST_COUNTER])
def test_without_nfacct_nothing_counts(counter: str) -> None:
    found = plan(
        service(ports=[port(node_port=30080)], type="NodePort"), endpoint_slice([endpoint("10.244.1.5")])
    )
    assert counter in str(rules(found))
    assert counter not in str(rules(found, counters=frozenset()))


def test_invalid_packets_are_not_dropped_where_conntrack_is_liberal() -> None:
    assert not any(
        "INVALID" in rule for rule in rules(plan(), tcp_be_liberal=True)["filter"].chains[names.FORWARD]
    )


IPV6 = [
    service(
        ports=[port(node_port=30080)], type="NodePort", clusterIP="fd00:10:96::a", externalTrafficPolicy="Local",
        sessionAffinity="ClientIP",
    ),
    endpoint_slice([endpoint("fd00:10:244::5", NODE)], family="IPv6"),
]  # fmt: skip


def test_ipv6_rules_are_spelled_for_ipv6() -> None:
    nat = rules(plan(*IPV6), Family.IPV6)["nat"].chains
    assert nat[names.SERVICES][0].startswith("-d fd00:10:96::a/128 -p tcp ")
    translation = next(rules[1] for chain, rules in nat.items() if chain.startswith("KUBE-SEP-"))
    assert "--mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource" in translation
    assert translation.endswith("--to-destination [fd00:10:244::5]:8080")


def test_ipv6_has_no_localhost_node_ports() -> None:
    found = rules(plan(*IPV6), Family.IPV6)
    assert len(found["nat"].chains[names.NODE_PORTS]) == 1
    assert found["nat"].chains[names.SERVICES][-1].startswith("! -d ::1/128 ")
    assert found["filter"].chains[names.FIREWALL] == []


def test_ipv6_rejects_with_icmpv6() -> None:
    refused = rules(plan(IPV6[0]), Family.IPV6)["filter"].chains
    assert refused[names.SERVICES][0].endswith("-j REJECT --reject-with icmp6-port-unreachable")


def tail(settings: Settings, family: Family = Family.IPV4) -> list[str]:
    """Where node ports answer: the matches of the last rules of KUBE-SERVICES."""
    chain = rules(plan(settings=settings), family)["nat"].chains[names.SERVICES]
    return [rule.split(" -m comment")[0] if rule.startswith(("-d", "!")) else "" for rule in chain]


@pytest.mark.parametrize(
    ("ranges", "localhost", "expected"),
    [
        ([], True, [""]),
        ([], False, ["! -d 127.0.0.0/8"]),
        (["0.0.0.0/0"], True, [""]),
        (["192.168.0.0/24"], True, ["-d 192.168.0.1/32"]),
        (["192.168.0.0/24", "127.0.0.0/8"], True, ["-d 192.168.0.1/32", "-d 127.0.0.1/32"]),
        (["192.168.0.0/24", "127.0.0.0/8"], False, ["-d 192.168.0.1/32"]),
        (["172.16.0.0/12"], True, []),
        (["fd00::/8"], True, [""]),
    ],
)
def test_addresses_of_node_ports(ranges: list[str], localhost: bool, expected: list[str]) -> None:
    settings = Settings(localhost_node_ports=localhost, node_port_ranges=tuple(map(ip_network, ranges)))
    assert tail(settings) == expected


@pytest.mark.parametrize(
    ("ranges", "guarded"), [([], True), (["192.168.0.0/24"], False), (["127.0.0.0/8"], True)]
)
def test_loopback_is_guarded_where_route_localnet_opens_it(ranges: list[str], guarded: bool) -> None:
    settings = Settings(node_port_ranges=tuple(map(ip_network, ranges)))
    assert bool(rules(plan(settings=settings))["filter"].chains[names.FIREWALL]) is guarded


def test_masquerade_all_marks_pods_too() -> None:
    found = rules(
        plan(service(), endpoint_slice([endpoint("10.244.1.5")]), settings=Settings(masquerade_all=True))
    )
    chain = found["nat"].chains[names.policy_chain(KEY._replace(name="web"), Scope.CLUSTER)]
    assert chain[0].startswith("-d 10.96.0.10/32 ")
    assert chain[0].endswith("-j KUBE-MARK-MASQ")


def test_without_a_detector_a_cluster_ip_is_not_marked() -> None:
    settings = Settings(detect_local="None")
    found = rules(plan(service(), endpoint_slice([endpoint("10.244.1.5")]), settings=settings))
    assert len(found["nat"].chains[names.policy_chain(KEY._replace(name="web"), Scope.CLUSTER)]) == 1


def test_sctp_is_spelled_like_the_others() -> None:
    obj = service(ports=[port(9, "http", "SCTP")])
    ends = endpoint_slice([endpoint("10.244.1.5")], ports=[{"name": "http", "port": 9, "protocol": "SCTP"}])
    assert "-p sctp -m comment" in rules(plan(obj, ends))["nat"].chains[names.SERVICES][0]
