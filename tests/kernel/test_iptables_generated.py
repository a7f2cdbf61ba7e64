"""Generated objects on real kernels' tables, with both variants of the tools: rules, and changes of them.

What a kernel holds is held against the second telling of kube-proxy's rules in tests/generated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from testbed.datapaths.iptables import CHOICES, datapath
from testbed.datapaths.iptables.datapath import IptablesDatapath
from testbed.datapaths.iptables.ruleset import Table, parse
from testbed.machine.netns import Netns
from tests.generated import product
from tests.generated.judge import difference
from tests.generated.oracle import rules
from tests.generated.scene import FAMILIES, Scene
from tests.generated.scenes import change, scene
from tests.generated.seeds import seeds
from tests.namespaces import fresh_namespace
from tests.require import require
from tests.unit.datapaths import dumps

BATCHES = 4


@pytest.fixture(params=CHOICES, ids=lambda options: options["variant"])
def variant(request: pytest.FixtureRequest) -> str:
    """Each variant of the tool that this machine has."""
    require(f"iptables-{request.param['variant']}", "nfacct")
    return str(request.param["variant"])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Netns]:
    """A fresh network namespace as a node."""
    with fresh_namespace(tmp_path) as made:
        yield made


def scene_of_this_kernel(seed: int) -> Scene:
    """A scene where the kernel offers what a fresh namespace of this one does."""
    made = scene(seed, small=True)
    made.proxy = replace(made.proxy, counters=True, tcp_be_liberal=False)
    return made


def datapath_for(made: Scene, variant: str) -> IptablesDatapath:
    """The datapath with the scene's settings."""
    return datapath(product.options(made) | {"variant": variant})


def differing(node: Netns, variant: str, made: Scene) -> str:
    """Where the node's kernel differs from kube-proxy's rules, in either family."""
    found = ""
    for family in FAMILIES:
        saved = node.run([f"{product.TOOLS[family]}-{variant}-save"]).stdout
        wanted = {name: Table(chains) for name, chains in rules.tables(made, family).items()}
        found += difference(dumps.comparable(wanted), dumps.comparable(parse(saved)))
    return found


@pytest.mark.parametrize("seed", seeds(4))
def test_the_kernel_holds_kube_proxy_s_rules(node: Netns, variant: str, seed: int) -> None:
    made = scene_of_this_kernel(seed)
    datapath_for(made, variant).apply(node, product.proxier(made).plan, None)
    found = differing(node, variant, made)
    assert not found, f"seed {seed}: {found}"


@pytest.mark.parametrize("seed", seeds(3))
def test_deltas_end_where_a_full_pass_ends(node: Netns, variant: str, seed: int) -> None:
    made, rng = scene_of_this_kernel(seed), Random(seed)
    target, proxier = datapath_for(made, variant), product.proxier(made)
    target.apply(node, proxier.plan, None)
    for batch in range(BATCHES):
        delta = proxier.update(product.changes(change(made, rng)))
        full = bool(delta) and target.apply(node, proxier.plan, delta).full
        assert not full, f"seed {seed}, batch {batch}: the delta was refused"
        found = differing(node, variant, made)
        assert not found, f"seed {seed}, batch {batch}: {found}"
