"""A running cluster moves between datapaths: rules gone, packets undisturbed; two at once only on purpose."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.net import manifests as m
from tests.net.command import Command, deployed
from tests.require import require

VARIANTS = ("legacy", "nft")


@pytest.fixture(scope="module")
def lab() -> Iterator[Command]:
    """Two nodes, a Service of two pods, iptables over nf_tables."""
    for variant in VARIANTS:
        require(f"iptables-{variant}")
    with deployed("switch", manifests=m.text(m.cluster(2), m.service(), m.pod("a"), m.pod("b"))) as made:
        yield made


def switched(lab: Command, *arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(lab.ok("datapath", "switch", *arguments, "-o", "json"))
    return told


def ours(lab: Command, variant: str) -> int:
    """Lines about kube-proxy's chains that the kernel of node1 holds."""
    return lab.ok("exec", "node1", "--", f"iptables-{variant}-save").count("KUBE-")


@pytest.mark.parametrize(("to", "other"), [VARIANTS, VARIANTS[::-1]], ids=VARIANTS)
def test_new_rules_stand_old_ones_are_gone_and_nobody_noticed(lab: Command, to: str, other: str) -> None:
    told = switched(lab, "iptables", "--option", f"variant={to}")
    assert ours(lab, to) > 0
    assert ours(lab, other) == 0
    assert [node["order"] for node in told["nodes"]] == ["new-first"] * 2
    assert set(told["met"]["heldConnections"]) == {"kept"}
    assert set(told["met"]["newConnections"]) == {"answered"}
    assert told["met"]["worstWaySeconds"] == 0


def test_inspect_and_list_tell_the_new_mode(lab: Command) -> None:
    switched(lab, "iptables", "--option", "variant=legacy", "--rate", "0")
    cluster = json.loads(lab.ok("inspect", "-o", "json"))["cluster"]
    assert cluster["kube_proxy"]["options"] == {"variant": "legacy"}
    listed = json.loads(lab.ok("datapath", "list", "-o", "json"))
    assert [each["options"] for each in listed if each["used"]] == [{"variant": "legacy"}]
    assert "KUBE-SERVICES" in lab.ok("datapath", "show", "-n", "node2")


def test_with_the_old_rules_out_first_some_connections_meet_none(lab: Command) -> None:
    switched(lab, "iptables", "--option", "variant=legacy", "--rate", "0")
    told = switched(lab, "iptables", "--option", "variant=nft", "--order", "old-first")
    assert [node["order"] for node in told["nodes"]] == ["old-first"] * 2
    assert told["met"]["worstWaySeconds"] > 0


def test_to_nftables_and_back(lab: Command) -> None:
    require("nftables")
    switched(lab, "iptables", "--option", "variant=nft", "--rate", "0")
    there = switched(lab, "nftables")
    assert ours(lab, "nft") == 0
    assert "table ip kube-proxy" in lab.ok("exec", "node1", "--", "nft", "list", "tables")
    back = switched(lab, "iptables")
    assert ours(lab, "nft") > 0
    assert "kube-proxy" not in lab.ok("exec", "node1", "--", "nft", "list", "tables")
    for told in (there, back):
        assert (set(told["met"]["heldConnections"]), told["met"]["worstWaySeconds"]) == ({"kept"}, 0)


def test_a_second_datapath_is_refused_unless_it_is_meant(lab: Command) -> None:
    require("nftables")
    switched(lab, "iptables", "--option", "variant=nft", "--rate", "0")
    refused = lab.run("datapath", "add", "nftables")
    assert (refused.returncode, "a second one would decide" in refused.stderr) == (2, True)
    assert "WARNING" not in lab.ok("inspect")
    lab.ok("datapath", "add", "nftables", "--beside")
    assert "WARNING: node1 holds rules of iptables nft and of nftables" in lab.ok("inspect")
    assert "nftables is there as well" in lab.run("datapath", "switch", "nftables").stderr
    lab.ok("datapath", "remove", "nftables", "--keep-rules")
    assert "WARNING: node2 holds rules of iptables nft and of nftables" in lab.ok("inspect")
    lab.ok("datapath", "remove", "nftables")
    assert "WARNING" not in lab.ok("inspect")


def test_what_is_there_already_is_said(lab: Command) -> None:
    switched(lab, "iptables", "--option", "variant=nft", "--rate", "0")
    again = lab.ok("datapath", "switch", "iptables", "--option", "variant=nft")
    assert again == "every node is at iptables nft already\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["switch"], "a NAME goes with `switch`"),
        (["switch", "carrier-pigeon"], "kubeProxyMode"),
        (["switch", "iptables", "--option", "variant"], "give KEY=VALUE"),
        (["switch", "iptables", "--option", "variant=bogus"], "kubeProxy.iptables.variant"),
        (["switch", "iptables", "--rate", "-1"], "--rate must not be below 0"),
        (["switch", "iptables", "--option", "variant=legacy", "--order", "both"], "no order 'both'"),
    ],
)
def test_wrong_usage_changes_nothing(lab: Command, arguments: list[str], message: str) -> None:
    before = lab.ok("datapath", "list")
    done = lab.run("datapath", *arguments)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert lab.ok("datapath", "list") == before
