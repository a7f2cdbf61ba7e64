"""The second telling of kube-proxy's rules is held against the real one, and knows nothing of the product."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from testbed.datapaths.iptables.ruleset import Ruleset, Table
from tests.generated.oracle import rules
from tests.generated.oracle.printed import printed
from tests.generated.scene import FAMILIES, Scene
from tests.generated.scenes import scene
from tests.unit.datapaths import dumps

GENERATED = Path(__file__).parents[2] / "generated"
BLIND = sorted({*(GENERATED / "oracle").glob("*.py"), *GENERATED.glob("s*.py"), GENERATED / "addresses.py"})
TOOLS = dict(zip(FAMILIES, dumps.TOOLS, strict=True))


def dumped() -> Scene:
    """The objects and settings that the dumps' README tells."""
    objects = json.loads((dumps.FOLDER / "objects.json").read_text())["items"]
    return Scene(0, node="kp-node", addresses=("10.99.0.2",), pod_cidrs=("10.244.0.0/16",), objects=objects)


def as_ruleset(tables: rules.Tables) -> Ruleset:
    """The oracle's tables in the form that the dumps are compared in."""
    return {name: Table(chains) for name, chains in tables.items()}


@pytest.mark.parametrize("table", ["mangle", "filter", "nat"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_oracle_s_rules_are_the_real_kube_proxy_s(family: str, table: str) -> None:
    told = dumps.comparable(as_ruleset(rules.tables(dumped(), family)))
    assert told[table] == dumps.dump(TOOLS[family])[table]


@pytest.mark.parametrize("path", BLIND, ids=lambda path: str(path.relative_to(GENERATED)))
def test_who_tells_it_a_second_time_knows_nothing_of_the_first(path: Path) -> None:
    tree = ast.parse(path.read_text())
    froms = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [each for each in froms + names if each.split(".")[0] == "testbed"]


def test_a_number_is_always_the_same_scene() -> None:
    assert scene(17) == scene(17)
    assert scene(17) != scene(18)


CASES = [
    ("-m tcp -p tcp -d 10.0.0.1 --dport 80 -j X", "-d 10.0.0.1/32 -p tcp -m tcp --dport 80 -j X"),
    ('-m comment --comment "a b" ! -s 10.0.0.0/8 -j X', '! -s 10.0.0.0/8 -m comment --comment "a b" -j X'),
    ("-i br+ -s 10.0.0.1 -j X", "-s 10.0.0.1/32 -i br+ -j X"),
    ("-j MARK --or-mark 0x00004000", "-j MARK --set-xmark 0x4000/0x4000"),
    ("-j MARK --xor-mark 0x00004000", "-j MARK --set-xmark 0x4000/0x0"),
    ("-m recent --name A --set -j X", "-m recent --set --name A --mask 255.255.255.255 --rsource -j X"),
    ("-p udp -j REJECT", "-p udp -j REJECT --reject-with icmp-port-unreachable"),
]


@pytest.mark.parametrize(("typed", "saved"), CASES)
def test_what_iptables_save_prints(typed: str, saved: str) -> None:
    assert printed(typed, "IPv4") == saved


KINDS = {"Service/ExternalName", "Service/LoadBalancer", "Service/NodePort", "EndpointSlice/FQDN"}
LEAST = {"KUBE-SVC-": 300, "KUBE-SVL-": 100, "KUBE-EXT-": 150, "KUBE-FW-": 20, "KUBE-SEP-": 800}
WORDS = (
    "has no endpoints",
    "has no local endpoints",
    "--rcheck",
    "-p sctp",
    "health check node",
    "external IP",
)


def test_the_scenes_hold_what_they_are_meant_to_cover() -> None:
    """Guards the comparison itself: a generator that makes nothing would find nothing."""
    made = [scene(seed, small=True) for seed in range(200)]
    found = [rules.tables(each, "IPv4") for each in made]
    objects = [obj for each in made for obj in each.objects]
    assert {f"{o['kind']}/{o.get('spec', o).get('type', o.get('addressType'))}" for o in objects} >= KINDS
    chains = [chain for tables in found for chain in tables["nat"]]
    counts = {prefix: sum(chain.startswith(prefix) for chain in chains) for prefix in LEAST}
    assert {prefix: min(counts[prefix], least) for prefix, least in LEAST.items()} == LEAST
    assert [word for word in WORDS if word not in str(found)] == []
