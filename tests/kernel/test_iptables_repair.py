"""Real kernels' tables, both variants: others' rules live through all that we do, damage to ours is repaired.

What is ours is told by name alone: chains and targets that begin with KUBE-.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.datapaths.iptables import CHOICES, datapath
from testbed.datapaths.iptables.datapath import IptablesDatapath
from testbed.datapaths.iptables.ruleset import Ruleset, parse
from testbed.machine.netns import Netns
from testbed.proxier.plan import NodePlan, PlanDelta
from testbed.proxier.proxier import Proxier
from tests.namespaces import fresh_namespace
from tests.require import require
from tests.unit.datapaths import dumps
from tests.unit.proxier.objects import FACTS, NODE, endpoint, endpoint_slice, service

CLUSTER_IP = "KUBE-SVC-YX7ZZTCMNX733Y5R"  # default/clusterip:http of the dumps, and one of its endpoints
ENDPOINT = "KUBE-SEP-AWYS5CUX5RNRRIRD"
PORTALS = '-m comment --comment "kubernetes service portals" -j KUBE-SERVICES'
FORWARDING = '-m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD'

DOCKER = """
-t nat -N DOCKER
-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE
-t nat -A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
-P FORWARD DROP
-N DOCKER-USER
-N DOCKER-ISOLATION-STAGE-1
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -s 172.17.0.0/16 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-USER -m comment --comment "mine: do not \\"touch\\"" -j RETURN
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-t mangle -A PREROUTING -s 203.0.113.7/32 -j MARK --set-xmark 0x1/0x1
-t raw -A PREROUTING -s 203.0.113.7/32 -j DROP
"""
"""What Docker and an administrator have on a node before we come: chains, rules, a policy, other tables."""

LATER = """
-I FORWARD 1 -s 203.0.113.8/32 -j DROP
-I FORWARD 3 -s 203.0.113.9/32 -j DROP
-t nat -I PREROUTING 1 -s 203.0.113.10/32 -j ACCEPT
-t nat -I POSTROUTING 1 -s 10.9.0.0/16 -j RETURN
-A OUTPUT -d 203.0.113.11/32 -j REJECT
"""
"""What comes when we are there already: above our jumps, between them, below."""

DAMAGE: Mapping[str, str] = {
    "the-chain-of-all-services-flushed": "-t nat -F KUBE-SERVICES",
    "a-service-s-chain-flushed": f"-t nat -F {CLUSTER_IP}",
    "an-endpoint-s-chain-flushed": f"-t nat -F {ENDPOINT}",
    "a-filter-chain-flushed": "-F KUBE-FORWARD",
    "first-rule-deleted": f"-t nat -D {CLUSTER_IP} 1",
    "last-rule-deleted": "-t nat -D KUBE-POSTROUTING 3",
    "a-rule-changed": "-t nat -R KUBE-MARK-MASQ 1 -j MARK --set-xmark 0x1/0x1",
    "a-jump-deleted": f"-t nat -D PREROUTING {PORTALS}",
    "a-jump-between-others-deleted": f"-D FORWARD {FORWARDING}",
    "a-jump-moved-to-the-end": f"-D FORWARD {FORWARDING}\n-A FORWARD {FORWARDING}",
    "a-jump-twice": "-A OUTPUT -j KUBE-FIREWALL",
    "a-stranger-s-rule-on-top-of-ours": "-t nat -I KUBE-SERVICES 1 -j RETURN",
    "a-stranger-s-rule-below-the-node-ports": "-t nat -A KUBE-SERVICES -d 10.96.0.10/32 -j ACCEPT",
    "a-stranger-s-rule-within": f"-t nat -I {CLUSTER_IP} 2 -j RETURN",
    "wrong-order": "-t nat -D KUBE-POSTROUTING 1\n"
    "-t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "the-canary-gone": "-t mangle -X KUBE-PROXY-CANARY",
    "a-stale-service-left": "-t nat -N KUBE-SVC-AAAAAAAAAAAAAAAA\n-t nat -N KUBE-SEP-AAAAAAAAAAAAAAAA\n"
    "-t nat -A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-AAAAAAAAAAAAAAAA",
    "a-chain-gone": f"-t nat -F KUBE-SERVICES\n-t nat -F {CLUSTER_IP}\n-t nat -X {CLUSTER_IP}",
}  # fmt: skip

FLUSHES: Mapping[str, str] = {
    "nat": "-t nat -F",
    "filter": "-F",
    "nat-with-its-chains": "-t nat -F\n-t nat -X",
    "everything": "\n".join(f"-t {table} {verb}" for table in ("nat", "filter", "mangle") for verb in ("-F", "-X")),
}  # fmt: skip


@dataclass
class Lab:
    """A node whose kernel is at a plan."""

    node: Netns
    target: IptablesDatapath
    plan: NodePlan

    def full(self) -> Lab:
        """A full pass."""
        assert self.target.apply(self.node, self.plan, None).full
        return self

    def iptables(self, lines: str) -> None:
        """What somebody else does, a command a line."""
        for line in filter(None, lines.splitlines()):
            self.node.run([f"iptables-{self.target.variant}", *shlex.split(line)])

    @property
    def held(self) -> Ruleset:
        """What the kernel holds of IPv4."""
        return parse(self.node.run([f"iptables-{self.target.variant}-save"]).stdout)


@pytest.fixture(params=CHOICES, ids=lambda options: options["variant"])
def target(request: pytest.FixtureRequest) -> IptablesDatapath:
    """The datapath with each variant of the tool that this machine has."""
    require(f"iptables-{request.param['variant']}")
    return datapath(request.param)


@pytest.fixture
def alone(tmp_path: Path, target: IptablesDatapath) -> Iterator[Lab]:
    """A node that we have for ourselves, programmed."""
    with fresh_namespace(tmp_path) as node:
        yield Lab(node, target, dumps.plan()).full()


@pytest.fixture
def shared(tmp_path: Path, target: IptablesDatapath) -> Iterator[Lab]:
    """A node that others use before and after we programmed it."""
    with fresh_namespace(tmp_path) as node:
        lab = Lab(node, target, dumps.plan())
        lab.iptables(DOCKER)
        lab.full().iptables(LATER)
        yield lab


def is_ours(chain: str, rule: str) -> bool:
    """True for rules in our chains and for our jumps."""
    return chain.startswith("KUBE-") or "-j KUBE-" in rule


def ours(ruleset: Ruleset) -> dict[tuple[str, str], list[str]]:
    """Our chains and, in their order, our jumps."""
    return {
        (name, chain): [rule for rule in rules if is_ours(chain, rule)]
        for name, table in ruleset.items()
        for chain, rules in table.chains.items()
        if chain.startswith("KUBE-") or any(is_ours(chain, rule) for rule in rules)
    }


def theirs(ruleset: Ruleset) -> dict[tuple[str, str], tuple[str, list[str]]]:
    """Everybody else's chains and rules, in their order, and the policies."""
    return {
        (name, chain): (table.policies.get(chain, ""), [rule for rule in rules if not is_ours(chain, rule)])
        for name, table in ruleset.items()
        for chain, rules in table.chains.items()
        if not chain.startswith("KUBE-")
    }


# Others' rules


def test_others_rules_are_there_at_all(shared: Lab) -> None:
    """Guards the tests below: the rules of others that they compare are really others', and many."""
    found = theirs(shared.held)
    assert sum(len(rules) for _, rules in found.values()) == 16
    assert found["filter", "FORWARD"][0] == "DROP"


def test_a_full_pass_leaves_others_rules_where_they_are(shared: Lab) -> None:
    before = shared.held
    assert shared.full().held == before


def test_deltas_leave_others_rules_where_they_are(tmp_path: Path, target: IptablesDatapath) -> None:
    proxier = Proxier(FACTS, {})
    here, there = (endpoint_slice([endpoint(ip, NODE)]) for ip in ("10.244.0.5", "10.244.0.6"))
    with fresh_namespace(tmp_path) as node:
        lab = Lab(node, target, proxier.plan)
        lab.iptables(DOCKER)
        lab.full().iptables(LATER)
        before = theirs(lab.held)
        for batch in ([("Service", None, service()), ("EndpointSlice", None, here)],
                      [("EndpointSlice", here, there)], [("Service", service(), None)]):  # fmt: skip
            delta = proxier.update(batch)
            assert not target.apply(node, proxier.plan, delta).full
            assert theirs(lab.held) == before


def test_removal_leaves_others_rules_and_nothing_of_ours(shared: Lab) -> None:
    before = theirs(shared.held)
    shared.target.remove(shared.node)
    assert theirs(shared.held) == before
    assert ours(shared.held) == {}


def test_tables_of_nftables_itself_are_nobody_s_of_ours(alone: Lab) -> None:
    require("nftables")
    alone.node.run(["nft", "-f", "-"], stdin="table inet mine { chain c { tcp dport 22 accept; }; }")
    before = alone.node.run(["nft", "list", "table", "inet", "mine"]).stdout
    alone.full().target.remove(alone.node)
    assert alone.node.run(["nft", "list", "table", "inet", "mine"]).stdout == before


REFERENCES = f"-t nat -N MINE\n-t nat -A MINE -j {CLUSTER_IP}\n-t nat -A OUTPUT -g KUBE-SERVICES"


def test_a_stale_chain_that_others_jump_to_is_empty_until_they_let_go(alone: Lab) -> None:
    """The kernel does not delete a chain in use, and would refuse the whole input with it."""
    alone.iptables(REFERENCES)
    alone.plan = NodePlan(alone.plan.facts)
    nat = alone.full().held["nat"].chains
    assert nat[CLUSTER_IP] == []
    assert [chain for chain in nat if chain.startswith(("KUBE-SVC-", "KUBE-SEP-"))] == [CLUSTER_IP]
    alone.iptables("-t nat -F MINE")
    assert CLUSTER_IP not in alone.full().held["nat"].chains


def test_a_delta_over_a_chain_that_others_jump_to_gets_there_by_a_full_pass(alone: Lab) -> None:
    alone.iptables(REFERENCES)
    key = next(key for key in alone.plan.services if str(key) == "default/clusterip:http")
    left = NodePlan(alone.plan.facts, {k: plan for k, plan in alone.plan.services.items() if k != key})
    delta = PlanDelta({}, frozenset({key}), {key: alone.plan.services[key]})
    assert alone.target.apply(alone.node, left, delta).full
    assert alone.held["nat"].chains[CLUSTER_IP] == []


def test_removal_empties_what_others_jump_to(alone: Lab) -> None:
    alone.iptables(REFERENCES)
    before = theirs(alone.held)
    alone.target.remove(alone.node)
    left = {chain: rules for chain, rules in alone.held["nat"].chains.items() if chain.startswith("KUBE-")}
    assert left == {CLUSTER_IP: [], "KUBE-SERVICES": []}
    assert theirs(alone.held) == before


# Damage


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_gone_after_a_full_pass(alone: Lab, damage: str) -> None:
    before = alone.held
    alone.iptables(damage)
    assert alone.held != before, "no damage was done"
    assert alone.full().held == before


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_beside_others_rules_is_gone_after_a_full_pass(shared: Lab, damage: str) -> None:
    before = shared.held
    shared.iptables(damage)
    assert ours(shared.held) != ours(before), "no damage was done"
    after = shared.full().held
    assert ours(after) == ours(before)
    assert theirs(after) == theirs(before)


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES)
def test_flushed_tables_are_filled_by_a_full_pass(alone: Lab, flush: str) -> None:
    before = alone.held
    alone.iptables(flush)
    assert alone.held != before, "nothing was flushed"
    assert alone.full().held == before


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES)
def test_flushed_tables_are_filled_beside_others_too(shared: Lab, flush: str) -> None:
    before = shared.held
    shared.iptables(flush)
    assert ours(shared.held) != ours(before), "nothing was flushed"
    left = theirs(shared.held)
    after = shared.full().held
    assert ours(after) == ours(before)
    assert theirs(after) == left
