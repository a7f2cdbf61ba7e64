"""Generated changes around the size at which kube-proxy leaves the endpoints' comments out.

Crossing it by deltas leaves the comments of what did not change as they were, as kube-proxy does; all else is right
at once, and a full pass puts the comments right, too.
"""

from __future__ import annotations

import re
from random import Random

import pytest

from testbed.datapaths.iptables import datapath
from tests.generated import product
from tests.generated.judge import difference, unordered
from tests.generated.oracle import rules
from tests.generated.oracle.reading import ports
from tests.generated.oracle.rules import Tables
from tests.generated.scene import Scene
from tests.generated.scenes import change, scene
from tests.generated.slices import MANY, large_cluster

BATCHES = 5
SEEDS = (3, 6, 8, 9)  # scenes whose changes cross the size
REMARK = re.compile(r'-m comment --comment "[^"]*" ')


def without_remarks(tables: Tables) -> Tables:
    """The same rules, those that choose and translate without their comments."""
    return {
        table: {
            chain: [
                REMARK.sub("", rule) if chain.startswith(("KUBE-SV", "KUBE-SEP-")) else rule for rule in each
            ]
            for chain, each in chains.items()
        }
        for table, chains in unordered(tables).items()
    }


def known(made: Scene) -> int:
    """How many endpoints kube-proxy would count."""
    return sum(len(port.known) for port in ports(made, "IPv4"))


@pytest.mark.parametrize("seed", SEEDS)
def test_crossing_the_size_of_a_large_cluster(seed: int) -> None:
    made, rng = scene(seed, small=True), Random(seed)
    made.objects += large_cluster(rng, 50, MANY + 1 - known(made))
    target, node, proxier = datapath(product.options(made)), product.node(made), product.proxier(made)
    target.apply(node, proxier.plan, None)
    sizes = {known(made) > MANY}
    for batch in range(BATCHES):
        delta = proxier.update(product.changes(change(made, rng)))
        target.apply(node, proxier.plan, delta)
        sizes.add(known(made) > MANY)
        found, wanted = product.held(node.rulesets["iptables"]), rules.tables(made, "IPv4")
        differing = difference(without_remarks(wanted), without_remarks(found))
        assert not differing, f"seed {seed}, batch {batch}: {differing}"
    assert sizes == {True, False}, f"seed {seed} never crosses the size"
    target.apply(node, proxier.plan, None)
    differing = difference(unordered(wanted), unordered(product.held(node.rulesets["iptables"])))
    assert not differing, f"seed {seed}: {differing}"
