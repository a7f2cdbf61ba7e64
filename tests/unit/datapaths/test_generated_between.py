"""Generated changes, seen between the tables' commits: a service address is never without an answer.

A change of several tables is several steps for the kernel (kube-proxy's, too). A packet that comes between two
of them must find its address translated or refused if it was before and will be after.
"""

from __future__ import annotations

import re
from random import Random

import pytest

from testbed.datapaths.iptables import datapath
from testbed.datapaths.iptables.fake import FakeNode
from testbed.datapaths.iptables.ruleset import Ruleset
from tests.generated import product
from tests.generated.scenes import change, scene
from tests.generated.seeds import seeds

BATCHES = 6
ANSWERS = (
    ("nat", "KUBE-SERVICES"),
    ("nat", "KUBE-NODEPORTS"),
    ("filter", "KUBE-SERVICES"),
    ("filter", "KUBE-EXTERNAL-SERVICES"),
)
ENTRY = re.compile(r"(?:-d (?P<address>\S+) )?-p (?P<protocol>\w+) .*--dport (?P<port>\d+)")

Answered = frozenset[tuple[str, ...]]


def answered(ruleset: Ruleset) -> Answered:
    """The service addresses and node ports that some rule translates or refuses."""
    rules = (rule for table, chain in ANSWERS for rule in ruleset[table].chains[chain])
    found = (entry.groups("") for rule in rules if (entry := ENTRY.match(rule)))
    return frozenset(each for each in found if each[0] != "127.0.0.0/8")


class Watcher:
    """Looks at a node's tables at every line of input, after each commit once."""

    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.seen: dict[str, list[Answered]] = {tool: [] for tool in node.rulesets}
        self._state: tuple[int, ...] = ()

    def look(self, _: str = "") -> bool:
        """For `FakeNode.refuses`: refuses nothing."""
        state = tuple(id(table) for ruleset in self.node.rulesets.values() for table in ruleset.values())
        if state != self._state:
            self._state = state
            for tool, ruleset in self.node.rulesets.items():
                self.seen[tool].append(answered(ruleset))
        return False


@pytest.mark.parametrize("full", [False, True], ids=["deltas", "full-passes"])
@pytest.mark.parametrize("seed", seeds(60))
def test_no_service_address_is_ever_without_an_answer(seed: int, full: bool) -> None:
    made, rng = scene(seed, small=True), Random(seed)
    target, node, proxier = datapath(product.options(made)), product.node(made), product.proxier(made)
    target.apply(node, proxier.plan, None)
    watcher = Watcher(node)
    watcher.look()
    node.refuses = watcher.look
    for batch in range(BATCHES):
        before = {tool: seen[-1] for tool, seen in watcher.seen.items()}
        delta = proxier.update(product.changes(change(made, rng)))
        target.apply(node, proxier.plan, None if full else delta)
        watcher.look()
        for tool, seen in watcher.seen.items():
            lasting = before[tool] & seen[-1]
            silent = [sorted(lasting - each) for each in seen if lasting - each]
            assert not silent, f"seed {seed}, batch {batch}, {tool}"
            del seen[:-1]
