"""The iptables datapath on real kernels' tables: the dump of the real kube-proxy, others' rules, failures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from testbed.datapaths.iptables import CHOICES, datapath
from testbed.datapaths.iptables.datapath import IptablesDatapath
from testbed.datapaths.iptables.ruleset import Ruleset, parse
from testbed.errors import CommandFailed
from testbed.machine.netns import Netns
from testbed.proxier.plan import NodePlan
from testbed.proxier.proxier import Settings, node_plan
from tests.namespaces import fresh_namespace
from tests.require import require
from tests.unit.datapaths import dumps, golden_cases
from tests.unit.proxier.objects import FACTS, endpoint, endpoint_slice, service


@pytest.fixture(params=CHOICES, ids=lambda options: options["variant"])
def variant(request: pytest.FixtureRequest) -> str:
    """Each variant of the tool that this machine has."""
    found: str = request.param["variant"]
    require(f"iptables-{found}")
    return found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Netns]:
    """A fresh network namespace as a node."""
    with fresh_namespace(tmp_path) as made:
        yield made


@pytest.fixture
def target(variant: str) -> IptablesDatapath:
    """The datapath that a test is about."""
    return datapath({"variant": variant})


def held(node: Netns, variant: str, tool: str = "iptables") -> Ruleset:
    """What the node's kernel holds."""
    return parse(node.run([f"{tool}-{variant}-save"]).stdout)


@pytest.mark.parametrize("tool", dumps.TOOLS)
def test_the_kernel_holds_what_the_real_kube_proxy_put_there(
    node: Netns, target: IptablesDatapath, tool: str
) -> None:
    """Table by table, nothing left out but order where kube-proxy itself has none."""
    require("nfacct")
    target.apply(node, dumps.plan(), None)
    assert dumps.comparable(held(node, target.variant, tool)) == dumps.dump(tool)


def test_the_rendered_text_is_what_the_kernel_holds(node: Netns, target: IptablesDatapath) -> None:
    require("nfacct")
    plan = golden_cases.plan("dual-stack")
    target.apply(node, plan, None)
    v4, v6 = target.render(plan).split("# ip6tables\n")
    for tool, text in (("iptables", v4), ("ip6tables", v6)):
        assert dumps.comparable(held(node, target.variant, tool)) == dumps.comparable(parse(text))


@pytest.mark.parametrize(
    ("settings", "bit"),
    [
        (Settings(detect_local="BridgeInterface", interface="cbr0"), 14),
        (Settings(detect_local="InterfaceNamePrefix", interface="veth"), 14),
        (Settings(detect_local="None"), 0),
        (Settings(masquerade_all=True, localhost_node_ports=False), 31),
        (Settings(node_port_ranges=(ip_network("10.99.0.0/24"), ip_network("127.0.0.0/8"))), 14),
    ],
    ids=["bridge", "prefix", "no detector", "masquerade all", "node port addresses"],
)
def test_settings_are_spelled_as_the_kernel_prints_them(
    node: Netns, variant: str, settings: Settings, bit: int
) -> None:
    """So that a full sync finds nothing to mend."""
    require("nfacct")
    target, plan = datapath({"variant": variant, "masqueradeBit": bit}), dumps.plan(settings)
    assert target.apply(node, plan, None).lines
    assert target.apply(node, plan, None).lines == 0
    v4, v6 = target.render(plan).split("# ip6tables\n")
    for tool, text in (("iptables", v4), ("ip6tables", v6)):
        assert dumps.comparable(held(node, variant, tool)) == dumps.comparable(parse(text))


def add(node: Netns, variant: str, *rule: str) -> None:
    """Add a rule of somebody else."""
    node.run([f"iptables-{variant}", *rule])


@pytest.fixture
def shared(node: Netns, variant: str) -> Netns:
    """A node where somebody else has rules too."""
    add(node, variant, "-P", "FORWARD", "DROP")
    add(node, variant, "-N", "MINE")
    add(
        node,
        variant,
        "-A",
        "INPUT",
        "-s",
        "203.0.113.7",
        "-m",
        "comment",
        "--comment",
        "my own",
        "-j",
        "MINE",
    )
    add(node, variant, "-t", "nat", "-A", "POSTROUTING", "-s", "10.9.0.0/16", "-j", "MASQUERADE")
    return node


def test_beside_others_rules_ours_are_the_same_and_theirs_stay(
    shared: Netns, target: IptablesDatapath, tmp_path: Path
) -> None:
    plan = dumps.plan()
    target.apply(shared, plan, None)
    target.apply(shared, plan, None)
    with fresh_namespace(tmp_path, "alone") as alone:
        target.apply(alone, plan, None)
        expected = dumps.comparable(held(alone, target.variant))
    expected["filter"]["MINE"] = []
    expected["filter"]["INPUT"].append('-s 203.0.113.7/32 -m comment --comment "my own" -j MINE')
    expected["nat"]["POSTROUTING"].append("-s 10.9.0.0/16 -j MASQUERADE")
    assert dumps.comparable(held(shared, target.variant)) == expected


def test_removal_leaves_others_rules_and_policies(shared: Netns, target: IptablesDatapath) -> None:
    before = held(shared, target.variant)
    target.apply(shared, dumps.plan(), None)
    target.remove(shared)
    after = held(shared, target.variant)
    assert dumps.comparable(after) == dumps.comparable(before)
    assert after["filter"].policies["FORWARD"] == "DROP"


def test_removal_leaves_no_counter_and_no_open_loopback(node: Netns, target: IptablesDatapath) -> None:
    require("nfacct")
    target.apply(node, dumps.plan(), None)
    target.remove(node)
    assert node.run(["nfacct", "list"]).stdout == ""
    assert node.run(["sysctl", "-n", "net.ipv4.conf.all.route_localnet"]).stdout.strip() == "0"


def broken(plan: NodePlan) -> NodePlan:
    """The plan with a port that iptables refuses, which no API server would let through."""
    key = max(plan.services)
    service = plan.services[key]
    frontends = tuple(frontend._replace(port=70000) for frontend in service.frontends)
    return NodePlan(plan.facts, {**plan.services, key: service._replace(frontends=frontends)})


def test_a_refused_pass_changes_nothing_and_names_the_line(node: Netns, target: IptablesDatapath) -> None:
    target.apply(node, golden_cases.plan("node-port"), None)
    before = held(node, target.variant)
    with pytest.raises(CommandFailed) as caught:
        target.apply(node, broken(dumps.plan()), None)
    assert held(node, target.variant) == before
    assert "70000" in caught.value.input_line


def test_a_refused_first_pass_leaves_nothing(node: Netns, target: IptablesDatapath) -> None:
    with pytest.raises(CommandFailed):
        target.apply(node, broken(dumps.plan()), None)
    assert dumps.comparable(held(node, target.variant)) == {}


def test_chains_of_an_earlier_run_go_with_the_first_pass(node: Netns, target: IptablesDatapath) -> None:
    target.apply(node, dumps.plan(), None)
    again = datapath({"variant": target.variant})
    again.apply(node, golden_cases.plan("cluster-ip"), None)
    chains = held(node, target.variant)["nat"].chains
    assert sum(chain.startswith(("KUBE-SVC-", "KUBE-SEP-")) for chain in chains) == 3


def gone(target: IptablesDatapath, node: Netns, table: str) -> None:
    """Somebody flushes a table."""
    for verb in ("-F", "-X"):
        add(node, target.variant, "-t", table, verb)


@pytest.mark.parametrize("table", ["mangle", "filter", "nat"])
def test_a_flush_is_seen_and_mended(node: Netns, target: IptablesDatapath, table: str) -> None:
    plan = dumps.plan()
    target.apply(node, plan, None)
    before = dumps.comparable(held(node, target.variant))
    assert target.intact(node)
    gone(target, node, table)
    assert not target.intact(node)
    target.apply(node, plan, None)
    assert target.intact(node)
    assert dumps.comparable(held(node, target.variant)) == before


@pytest.mark.parametrize("table", ["mangle", "filter", "nat"])
def test_with_nft_the_kernel_tells_of_a_flush_at_once(
    node: Netns, target: IptablesDatapath, table: str
) -> None:
    alarm = target.alarm(node)
    if alarm is None:
        assert target.variant == "legacy"
        return
    with contextlib.closing(alarm):
        target.apply(node, golden_cases.plan("node-port"), None)
        target.apply(node, golden_cases.plan("cluster-ip"), None)
        assert not alarm.rang()
        gone(target, node, table)
        assert alarm.rang()
        assert not alarm.rang()


def many(services: int) -> NodePlan:
    """More chains than one input of nft names."""
    objects = [service(f"svc-{i}", clusterIP=f"10.96.{1 + i // 200}.{i % 200}") for i in range(services)]
    ends = [endpoint("10.244.0.5", "node1"), endpoint("10.244.1.5")]
    slices = [endpoint_slice(ends, of=f"svc-{i}") for i in range(services)]
    return node_plan(FACTS, Settings(), objects, slices)


def test_many_services_come_and_go_whole_beside_others_rules(shared: Netns, target: IptablesDatapath) -> None:
    before, plan = dumps.comparable(held(shared, target.variant)), many(1200)
    target.apply(shared, plan, None)
    assert target.apply(shared, plan, None).lines == 0
    assert len(target.observe(shared).frontends) == 1200
    target.remove(shared)
    assert dumps.comparable(held(shared, target.variant)) == before
