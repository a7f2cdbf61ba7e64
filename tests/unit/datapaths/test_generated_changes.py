"""Generated changes: deltas end where a full pass ends, and where a second telling of kube-proxy's rules says.

Chains of a service port are compared as they are, chains that all share as sets: kube-proxy has no order there.
`TESTBED_SEEDS` asks for other scenes (see tests/generated/seeds.py).
"""

from __future__ import annotations

from random import Random

import pytest

from testbed.datapaths.iptables import datapath
from testbed.datapaths.iptables.fake import FakeNode
from tests.generated import product
from tests.generated.judge import difference, unordered
from tests.generated.oracle import rules
from tests.generated.scene import FAMILIES, Scene
from tests.generated.scenes import change, scene
from tests.generated.seeds import seeds

BATCHES = 6


def held(node: FakeNode, family: str) -> rules.Tables:
    """What the node holds, ready to be compared."""
    return unordered(product.held(node.rulesets[product.TOOLS[family]]))


def followed(made: Scene, rng: Random) -> tuple[FakeNode, list[str]]:
    """A node that followed changes of the scene by deltas alone; where it ever differed from a full pass."""
    target, node, proxier = datapath(product.options(made)), product.node(made), product.proxier(made)
    target.apply(node, proxier.plan, None)
    differing = []
    for batch in range(BATCHES):
        delta = proxier.update(product.changes(change(made, rng)))
        if delta and target.apply(node, proxier.plan, delta).full:
            differing.append(f"batch {batch}: a full pass")
        whole = product.programmed(made)
        differing += [
            f"batch {batch}: {d}" for f in FAMILIES if (d := difference(held(whole, f), held(node, f)))
        ]
    return node, differing


@pytest.mark.parametrize("seed", seeds(60))
def test_deltas_end_where_a_full_pass_ends(seed: int) -> None:
    made = scene(seed, small=True)
    node, differing = followed(made, Random(seed))
    differing += [
        f"kube-proxy: {d}"
        for family in FAMILIES
        if (d := difference(unordered(rules.tables(made, family)), held(node, family)))
    ]
    assert not differing, f"seed {seed}: {differing[0]}"
