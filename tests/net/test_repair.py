"""A running cluster whose rules somebody damages: its agent notices a flush, and a full sync mends the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.datapaths.iptables.ruleset import Ruleset, parse
from tests.net import manifests as m
from tests.net.command import Command, deployed
from tests.require import require
from tests.waiting import until

FLUSHES = {"nat": ("nat",), "everything": ("nat", "filter", "mangle")}
DAMAGES = {
    "a-chain-flushed": "-t nat -F KUBE-SERVICES",
    "a-jump-deleted": '-t nat -D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    "a-stranger-s-rule-in-ours": "-t nat -I KUBE-SERVICES 1 -j RETURN",
}
STRANGE = "-s 203.0.113.99/32 -j DROP"
NOTICED_SECONDS = 20.0  # below syncPeriod's default of 30 s, at which legacy would look by itself
PERIODS = {"nft": "10m", "legacy": "1s"}  # nft hears of a flush, legacy has to look


@pytest.fixture(scope="module", params=PERIODS)
def variant(request: pytest.FixtureRequest) -> str:
    """Each variant of the tool that this machine has."""
    require(f"iptables-{request.param}")
    return str(request.param)


@pytest.fixture(scope="module")
def lab(variant: str) -> Iterator[Command]:
    """A node with a Service of two pods."""
    cluster = m.cluster()
    cluster["kubeProxy"] = {"iptables": {"variant": variant, "syncPeriod": PERIODS[variant]}}
    with deployed(
        f"repair-{variant}", manifests=m.text(cluster, m.service(), m.pod("a"), m.pod("b"))
    ) as made:
        ask(made, "wait", timeout=60.0)
        yield made


def ask(lab: Command, verb: str, **arguments: Any) -> None:
    """Ask the daemon."""
    with lab.client() as client:
        client.call(verb, **arguments)


def held(lab: Command, variant: str) -> Ruleset:
    """What the node's kernel holds."""
    return parse(lab.ok("exec", "node1", "--", f"iptables-{variant}-save"))


def does(lab: Command, variant: str, *lines: str) -> None:
    """What somebody does on the node."""
    for line in lines:
        lab.ok("exec", "node1", "--", f"iptables-{variant}", *shlex.split(line))


@pytest.mark.parametrize("tables", FLUSHES.values(), ids=FLUSHES)
def test_a_flush_is_noticed_and_mended(lab: Command, variant: str, tables: tuple[str, ...]) -> None:
    """Each table is emptied at once: between `-F` and `-X` the agent might mend, and `-X` would be refused."""
    before = held(lab, variant)
    empty = "".join(f"*{table}\nCOMMIT\n" for table in tables)
    lab.ok("exec", "node1", "--", f"iptables-{variant}-restore", stdin=empty)
    until(lambda: held(lab, variant) == before, "the rules to be there again", NOTICED_SECONDS)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_full_sync_mends_what_no_canary_tells(lab: Command, variant: str, damage: str) -> None:
    before = held(lab, variant)
    does(lab, variant, damage)
    assert held(lab, variant) != before
    ask(lab, "resync", node="node1")
    assert held(lab, variant) == before


def test_strangers_rules_live_through_changes_and_full_syncs(lab: Command, variant: str) -> None:
    does(lab, variant, f"-I FORWARD 2 {STRANGE}", f"-t nat -A PREROUTING {STRANGE.replace('DROP', 'ACCEPT')}")
    before = held(lab, variant)
    lab.ok("apply", "-f", "-", stdin=m.text(m.service("other", clusterIP="10.96.0.11")))
    ask(lab, "wait", timeout=60.0)
    during = held(lab, variant)
    lab.ok("delete", "service", "other")
    ask(lab, "wait", timeout=60.0)
    ask(lab, "resync", node="node1")
    assert during["nat"].chains["KUBE-SERVICES"] != before["nat"].chains["KUBE-SERVICES"]
    assert during["filter"].chains["FORWARD"] == before["filter"].chains["FORWARD"]
    assert held(lab, variant) == before
