"""Generated damage: whatever somebody did to our tables, a full pass puts right, and leaves what is not ours.

On a node of dictionaries; tests/kernel/test_iptables_repair.py does the worst of it to real tables.
"""

from __future__ import annotations

from random import Random

import pytest

from testbed.datapaths.iptables import datapath
from testbed.datapaths.iptables.fake import FakeNode
from testbed.datapaths.iptables.ruleset import BUILT_IN, Table
from tests.generated import product
from tests.generated.judge import difference, unordered
from tests.generated.oracle import rules
from tests.generated.scene import FAMILIES
from tests.generated.scenes import scene
from tests.generated.seeds import seeds

DAMAGES = 8
STRANGE = "-s 203.0.113.7/32 -j DROP"


def ours(tables: rules.Tables) -> rules.Tables:
    """Our chains and, in their order, our jumps."""
    return {
        table: {
            chain: [rule for rule in each if chain.startswith("KUBE-") or "-j KUBE-" in rule]
            for chain, each in chains.items()
            if chain != "MINE"
        }
        for table, chains in tables.items()
    }


def theirs(tables: rules.Tables) -> rules.Tables:
    """Everybody else's rules, in their order."""
    return {
        table: {
            chain: [rule for rule in each if "-j KUBE-" not in rule]
            for chain, each in chains.items()
            if not chain.startswith("KUBE-")
        }
        for table, chains in tables.items()
    }


def strangers(rng: Random, node: FakeNode) -> None:
    """Others' rules above, between and below ours, and a chain of theirs."""
    for ruleset in node.rulesets.values():
        for name, table in ruleset.items():
            table.chains["MINE"] = ["-j RETURN"]
            for chain in BUILT_IN[name]:
                each = table.chains[chain]
                for n in range(rng.randrange(3)):
                    each.insert(rng.randint(0, len(each)), f"-s 203.0.113.{n}/32 -j MINE")


def damage(rng: Random, table: Table) -> None:
    """One thing that somebody may do to a table."""
    chain = rng.choice(sorted(c for c in table.chains if c != "MINE"))
    rules_there, verb = (
        table.chains[chain],
        rng.choice(("flush", "delete", "insert", "shuffle", "repeat", "stale")),
    )
    own = [n for n, rule in enumerate(rules_there) if "KUBE-" in f"{chain} {rule}"]
    if verb == "flush" and chain.startswith("KUBE-"):
        rules_there.clear()
    elif verb == "delete" and own:
        del rules_there[rng.choice(own)]
    elif verb == "insert" and chain.startswith("KUBE-"):
        rules_there.insert(rng.randint(0, len(rules_there)), STRANGE)
    elif verb == "shuffle" and len(own) == len(rules_there):
        rng.shuffle(rules_there)
    elif verb == "repeat" and own:
        rules_there.append(rules_there[rng.choice(own)])
    elif verb == "stale" and "KUBE-MARK-MASQ" in table.chains:
        table.chains["KUBE-SVC-AAAAAAAAAAAAAAAA"] = ["-j KUBE-MARK-MASQ"]


@pytest.mark.parametrize("seed", seeds(60))
def test_a_full_pass_puts_right_whatever_was_done(seed: int) -> None:
    made, rng = scene(seed, small=True), Random(seed)
    target, node, proxier = datapath(product.options(made)), product.node(made), product.proxier(made)
    target.apply(node, proxier.plan, None)
    strangers(rng, node)
    for _ in range(DAMAGES):
        damage(rng, rng.choice([table for ruleset in node.rulesets.values() for table in ruleset.values()]))
    if rng.random() < 0.2:
        node.rulesets[rng.choice(list(node.rulesets))].clear()
    before = {tool: theirs(product.held(ruleset)) for tool, ruleset in node.rulesets.items()}
    target.apply(node, proxier.plan, None)
    for family in FAMILIES:
        tool = product.TOOLS[family]
        found = product.held(node.rulesets[tool])
        wanted = unordered(ours(rules.tables(made, family)))
        differing = difference(wanted, unordered(ours(found)))
        assert not differing, f"seed {seed}: {differing}"
        assert {table: theirs(found)[table] for table in before[tool]} == before[tool]


@pytest.mark.parametrize("seed", seeds(20))
def test_removal_leaves_what_is_not_ours(seed: int) -> None:
    made, rng = scene(seed, small=True), Random(seed)
    target, node = datapath(product.options(made)), product.node(made)
    target.apply(node, product.proxier(made).plan, None)
    strangers(rng, node)
    before = {tool: theirs(product.held(ruleset)) for tool, ruleset in node.rulesets.items()}
    target.remove(node)
    assert {tool: product.held(ruleset) for tool, ruleset in node.rulesets.items()} == before
