"""Generated objects: what must be true of any ruleset of kube-proxy's, whatever the objects say."""

from __future__ import annotations

import re
from random import Random

import pytest

from testbed.datapaths.iptables import datapath
from tests.contract import wanted
from tests.generated import product
from tests.generated.oracle.rules import Tables
from tests.generated.scene import FAMILIES, Object, Scene
from tests.generated.scenes import scene
from tests.generated.seeds import seeds

PER_SERVICE = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-")
LAST = "this must be the last rule in this chain"
TARGET = re.compile(r"-j (KUBE-\S+)")
PROBABILITY = re.compile(r"--probability (\S+)")
ENTRY = re.compile(r"(-d \S+) (-p \w+) .*(--dport \d+) -j")
ALL = [(seed, family) for seed in seeds(40) for family in FAMILIES]
IDS = [f"{seed}-{family}" for seed, family in ALL]


@pytest.fixture(params=ALL, ids=IDS)
def tables(request: pytest.FixtureRequest) -> Tables:
    """What a node holds for a scene, in one family."""
    seed, family = request.param
    return product.held(product.programmed(scene(seed, small=True)).rulesets[product.TOOLS[family]])


def targets(rules: list[str]) -> set[str]:
    """The chains that rules lead to."""
    return {found[1] for rule in rules if (found := TARGET.search(rule))}


def test_no_chain_has_a_longer_name_than_iptables_lets_it_have(tables: Tables) -> None:
    assert not [chain for chains in tables.values() for chain in chains if len(chain) > 28]


def test_every_jump_has_a_target(tables: Tables) -> None:
    for chains in tables.values():
        assert {target for rules in chains.values() for target in targets(rules)} <= chains.keys()


def test_every_chain_of_a_service_is_somebody_s_target(tables: Tables) -> None:
    led_to = {target for rules in tables["nat"].values() for target in targets(rules)}
    assert {chain for chain in tables["nat"] if chain.startswith(PER_SERVICE)} <= led_to


def test_node_ports_come_last(tables: Tables) -> None:
    """A service address may be local to the node as well."""
    rules = tables["nat"]["KUBE-SERVICES"]
    last = [rule for rule in rules if LAST in rule]
    assert rules[len(rules) - len(last) :] == last


def test_a_service_address_has_one_rule_for_each_service_that_claims_it(tables: Tables) -> None:
    entries = [rule for rule in tables["nat"]["KUBE-SERVICES"] if LAST not in rule]
    assert len(set(entries)) == len(entries)
    assert all(ENTRY.match(rule) for rule in entries)


def test_no_rule_stands_twice_in_a_chain(tables: Tables) -> None:
    for chains in tables.values():
        assert all(len(set(rules)) == len(rules) for rules in chains.values())


def test_of_n_endpoints_the_ith_has_the_share_of_one_in_n_minus_i(tables: Tables) -> None:
    for chain, rules in tables["nat"].items():
        choices = [r for r in rules if "-j KUBE-SEP-" in r and "--rcheck" not in r]
        shares = [found[1] if (found := PROBABILITY.search(rule)) else "1" for rule in choices]
        expected = [f"{1 / left:.10f}" for left in range(len(choices), 1, -1)] + ["1"] * bool(choices)
        assert shares == expected, chain


def cluster_ips(count: int, endpoints: int) -> list[Object]:
    """Plain services of one port with so many endpoints each."""
    made: list[Object] = []
    for n in range(count):
        spec = {
            "type": "ClusterIP",
            "clusterIP": f"10.96.0.{n + 1}",
            "ports": [{"port": 80, "protocol": "TCP"}],
        }
        labels = {"kubernetes.io/service-name": f"s{n}"}
        made += [
            {"kind": "Service", "metadata": {"namespace": "default", "name": f"s{n}"}, "spec": spec},
            {
                "kind": "EndpointSlice",
                "metadata": {"namespace": "default", "name": f"s{n}-1", "labels": labels},
                "addressType": "IPv4",
                "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
                "endpoints": [{"addresses": [f"10.244.1.{e + 1}"]} for e in range(endpoints)],
            },
        ]
    return made


SIZES = [(Random(n).randint(1, 30), Random(n).randint(0, 6)) for n in range(12)]


@pytest.mark.parametrize(("services", "endpoints"), SIZES)
def test_the_number_of_rules_is_kube_proxy_s_formula(services: int, endpoints: int) -> None:
    """nat has 5 + S(2 + 3n) rules and three jumps; without endpoints filter has one refusal for each."""
    objects = cluster_ips(services, endpoints)
    empty, full = (product.programmed(Scene(0, objects=each)).rulesets["iptables"] for each in ([], objects))
    count = {t: sum(len(rules) for rules in full[t].chains.values()) for t in full}
    before = {t: sum(len(rules) for rules in empty[t].chains.values()) for t in empty}
    assert count["nat"] - 3 == 5 + (services * (2 + 3 * endpoints) if endpoints else 0)
    assert count["filter"] - before["filter"] == (0 if endpoints else services)


@pytest.mark.parametrize("seed", seeds(40))
def test_what_is_observed_is_what_was_planned(seed: int) -> None:
    made = scene(seed, small=True)
    target, node, plan = datapath(product.options(made)), product.node(made), product.proxier(made).plan
    target.apply(node, plan, None)
    assert target.observe(node).frontends == wanted.frontends(plan, "iptables")
