"""Generated objects through a whole cluster: API, controllers, agents, kernel; each node holds kube-proxy's rules.

The objects are read back from the API, with all its defaults, and given to the second telling of kube-proxy's
rules in tests/generated; so this is also a test that no default and no controller's write is lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from testbed.datapaths.iptables.ruleset import Table, parse
from tests.generated import product
from tests.generated.judge import difference
from tests.generated.oracle import rules
from tests.generated.scene import FAMILIES, NODE, OTHER_NODES, Scene
from tests.generated.scenes import scene
from tests.generated.seeds import seeds
from tests.generated.tidy import tidied
from tests.net import manifests as m
from tests.net.command import Command, deployed
from tests.require import require
from tests.unit.datapaths import dumps

NODES = {NODE: "za", OTHER_NODES[0]: "zb"}
ZONE = "topology.kubernetes.io/zone"
SECONDS = 60.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Command]:
    """Two nodes in two zones, in both families."""
    require("iptables-nft", "nfacct")
    cluster = m.cluster(family="dual")
    cluster["nodes"] = [{"role": "worker", "labels": {ZONE: zone}} for zone in NODES.values()]
    with deployed("generated", manifests=m.text(cluster)) as made:
        yield made


def obeyed(lab: Command) -> None:
    """Wait until every node's kernel obeys."""
    with lab.client() as client:
        client.call("wait", timeout=SECONDS)


def views(lab: Command) -> Iterator[Scene]:
    """The cluster's objects, from the API, as each node sees them."""
    objects = [each for kind in ("services", "endpointslices") for each in lab.get(kind, "-A")]
    for node in lab.get("nodes"):
        addresses = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
        yield Scene(
            0,
            node=node["metadata"]["name"],
            zone=node["metadata"]["labels"][ZONE],
            addresses=tuple(addresses),
            objects=objects,
        )


def differing(lab: Command, seen: Scene, family: str) -> str:
    """Where a node's kernel differs from kube-proxy's rules."""
    saved = lab.ok("exec", seen.node, "--", f"{product.TOOLS[family]}-nft-save")
    wanted = {name: Table(chains) for name, chains in rules.tables(seen, family).items()}
    return difference(dumps.comparable(wanted), dumps.comparable(parse(saved)))


@pytest.mark.parametrize("seed", seeds(4))
def test_every_node_holds_kube_proxy_s_rules(lab: Command, seed: int) -> None:
    objects: list[Any] = tidied(scene(seed, small=True))
    lab.ok("apply", "-f", "-", stdin=m.text(*objects))
    obeyed(lab)
    found = [told for seen in views(lab) for family in FAMILIES if (told := differing(lab, seen, family))]
    assert not found, f"seed {seed}: {found[0]}"
    lab.ok("delete", "-f", "-", stdin=m.text(*objects))
