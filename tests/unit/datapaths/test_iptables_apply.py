"""Applying plans on a node made of dictionaries: full passes, deltas, failures, others' rules, removal."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.datapaths.iptables import datapath
from testbed.datapaths.iptables.datapath import IptablesDatapath
from testbed.datapaths.iptables.fake import FakeNode
from testbed.datapaths.iptables.ruleset import BUILT_IN, Ruleset, Table
from testbed.errors import CommandFailed, UsageError
from testbed.proxier.plan import NodePlan
from testbed.proxier.proxier import Change, Proxier
from tests.contract import wanted
from tests.unit.datapaths.dumps import Comparable, comparable
from tests.unit.proxier.objects import (
    FACTS,
    NODE,
    Object,
    Step,
    World,
    changes,
    endpoint,
    endpoint_slice,
    port,
    service,
    steps,
)
from tests.unit.proxier.test_incremental import plans

WEB = service(
    ports=[port(node_port=30080)],
    type="LoadBalancer",
    ingress=[{"ip": "198.51.100.1"}],
    loadBalancerSourceRanges=["203.0.113.0/24"],
)
BOTH = endpoint_slice([endpoint("10.244.0.5", NODE), endpoint("10.244.1.5")])
ONE = endpoint_slice([endpoint("10.244.0.5", NODE)])
FOREIGN = '-s 203.0.113.7/32 -p tcp -m comment --comment "mine" -m tcp --dport 22 -j DROP'


class Lab:
    """A node, a datapath and a proxier, kept in step."""

    def __init__(self, node: FakeNode | None = None) -> None:
        self.node = node or FakeNode()
        self.datapath: IptablesDatapath = datapath({})
        self.proxier = Proxier(FACTS, {})

    def full(self) -> Lab:
        """A full pass."""
        self.datapath.apply(self.node, self.proxier.plan, None)
        return self

    def change(self, *batch: Change) -> bool:
        """Apply a batch of changes as a delta; returns whether it came to a full pass."""
        delta = self.proxier.update(batch)
        return self.datapath.apply(self.node, self.proxier.plan, delta).full

    @property
    def state(self) -> dict[str, Comparable]:
        """What the node holds."""
        return held(self.node)


def held(node: FakeNode) -> dict[str, Comparable]:
    """A node's rules by tool, ready to be compared."""
    return {tool: comparable(ruleset) for tool, ruleset in node.rulesets.items()}


def lab(*objects: Object, node: FakeNode | None = None) -> Lab:
    """A lab after a full pass with some objects."""
    made = Lab(node)
    made.proxier.update((o["kind"], None, o) for o in objects)
    return made.full()


@given(steps(max_size=6), st.booleans())
def test_deltas_end_where_a_full_pass_ends(batches: list[Step], nfacct: bool) -> None:
    world, slow = World(), lab(node=FakeNode(has_nfacct=nfacct))
    for step in batches:
        assert slow.change(*changes(world, step)) is False
    quick = lab(*world.objects.values(), node=FakeNode(has_nfacct=nfacct))
    assert slow.state == quick.state


@given(steps(max_size=4))
def test_a_second_full_pass_changes_nothing(batches: list[Step]) -> None:
    world = World()
    for step in batches:
        changes(world, step)
    made = lab(*world.objects.values())
    before = made.state
    assert made.full().state == before


@given(plans)
def test_observe_tells_the_plan_s_frontends(plan: NodePlan) -> None:
    made = Lab()
    made.datapath.apply(made.node, plan, None)
    assert made.datapath.observe(made.node).frontends == wanted.frontends(plan, "iptables")


def test_one_changed_endpoint_touches_only_its_own_chains() -> None:
    others = [service(f"svc-{i}", clusterIP=f"10.96.1.{i}") for i in range(20)]
    ends = [endpoint_slice([endpoint("10.244.1.9")], of=f"svc-{i}") for i in range(20)]
    made = lab(WEB, BOTH, *others, *ends)
    made.node.inputs.clear()
    made.change(("EndpointSlice", BOTH, ONE))
    (written,) = made.node.inputs
    assert written.splitlines()[0] == "*nat"
    assert not any("KUBE-SERVICES" in line or "svc-" in line for line in written.splitlines())
    assert (
        len(written.splitlines()) == 7
    )  # table, 2 chains, 2 rules, deletion of the endpoint's chain, COMMIT


def test_an_empty_delta_writes_nothing() -> None:
    made = lab(WEB, BOTH)
    made.node.inputs.clear()
    assert made.change(("Service", WEB, WEB)) is False
    assert made.node.inputs == []


def test_the_first_delta_is_a_full_pass() -> None:
    assert Lab().change(("Service", None, WEB)) is True


def test_changed_facts_of_the_node_are_a_full_pass() -> None:
    made = lab(WEB, BOTH)
    delta = made.proxier.update([("EndpointSlice", BOTH, ONE)])
    plan = made.proxier.plan
    moved = type(plan)(type(plan.facts)(NODE, plan.facts.addresses, ()), plan.services)
    assert made.datapath.apply(made.node, moved, delta).full


def test_a_delta_that_the_kernel_refuses_becomes_a_full_pass() -> None:
    made = lab(WEB, BOTH)
    flush(made.node, "nat")  # behind our back
    assert made.change(("EndpointSlice", BOTH, ONE)) is True
    assert made.state == lab(WEB, ONE).state


def flush(node: FakeNode, table: str) -> None:
    """What `iptables -F; iptables -X` does to a table."""
    chains = node.rulesets["iptables"][table].chains
    node.rulesets["iptables"][table].chains = {c: [] for c in chains if c in BUILT_IN[table]}


@pytest.mark.parametrize(
    "word", [":KUBE-PROXY-CANARY", "-A KUBE-FORWARD", "-A KUBE-SEP-", "-A KUBE-SERVICES", "-I POSTROUTING"]
)
def test_a_refused_full_pass_changes_nothing(word: str) -> None:
    """Whichever table is refused, also if others of the same input were written before it."""
    made = lab(WEB, BOTH)
    for table in BUILT_IN:
        flush(made.node, table)
    made.node.rulesets["iptables"]["filter"].chains |= {"KUBE-FORWARD": ["-j ACCEPT"]}
    before = made.state
    made.node.refuses = _once(word)
    with pytest.raises(CommandFailed):
        made.full()
    assert made.state == before


def test_a_refused_first_pass_leaves_nothing() -> None:
    node = FakeNode()
    node.refuses = _once("-A KUBE-SEP-")
    with pytest.raises(CommandFailed) as caught:
        lab(WEB, BOTH, node=node)
    assert held(node) == {"iptables": {}, "ip6tables": {}}
    assert "-A KUBE-SEP-" in caught.value.input_line


def test_after_a_refused_pass_the_next_one_is_full() -> None:
    made = lab(WEB, BOTH)
    flush(made.node, "nat")
    made.node.refuses = _once("-A KUBE-SERVICES")
    with pytest.raises(CommandFailed):
        made.full()
    assert made.change(("EndpointSlice", BOTH, ONE)) is True


def _once(word: str) -> Callable[[str], bool]:
    """Refuses the first line that begins with a word."""
    left = [word]

    def refuses(line: str) -> bool:
        hit = bool(left) and line.startswith(left[0])
        if hit:
            left.clear()
        return hit

    return refuses


@pytest.mark.parametrize("with_endpoints", [True, False])
@pytest.mark.parametrize("gone", [50, 150])
def test_many_services_that_go_at_once_end_where_a_full_pass_ends(gone: int, with_endpoints: bool) -> None:
    """Whether their rules are taken out of the shared chains one by one, or these are written anew."""
    some = [service(f"svc-{i}", clusterIP=f"10.96.1.{i}") for i in range(200)]
    ends = [endpoint_slice([endpoint("10.244.1.9")] * with_endpoints, of=f"svc-{i}") for i in range(200)]
    made = lab(WEB, BOTH, *some, *ends)
    left: list[Change] = [("EndpointSlice", BOTH, ONE), ("Service", None, API)]
    assert made.change(*(("Service", each, None) for each in some[:gone]), *left) is False
    assert made.state == lab(WEB, ONE, API, *some[gone:], *ends).state


@pytest.mark.parametrize("count", [50, 150])
def test_many_services_that_get_their_first_endpoint_at_once(count: int) -> None:
    some = [service(f"svc-{i}", clusterIP=f"10.96.1.{i}") for i in range(200)]
    ends = [endpoint_slice([endpoint("10.244.1.9")], of=f"svc-{i}") for i in range(200)]
    made = lab(*some)
    made.node.inputs.clear()
    assert made.change(*(("EndpointSlice", None, each) for each in ends[:count])) is False
    written = "".join(made.node.inputs)
    assert written.index("*nat") < written.index("*filter")
    assert made.state == lab(*some, *ends[:count]).state


# Others' rules


def foreign() -> Ruleset:
    """What somebody else has on a node."""
    chains = {"INPUT": [FOREIGN], "FORWARD": [], "OUTPUT": ["-j MINE"], "MINE": ["-j ACCEPT"]}
    return {"filter": Table(chains, {"INPUT": "ACCEPT", "FORWARD": "DROP", "OUTPUT": "ACCEPT"})}


def shared_node() -> FakeNode:
    """A node that somebody else uses too."""
    node = FakeNode()
    node.rulesets["iptables"] = foreign()
    return node


def test_others_rules_stay_below_ours() -> None:
    chains = lab(WEB, BOTH, node=shared_node()).node.rulesets["iptables"]["filter"].chains
    assert chains["INPUT"][-1] == FOREIGN
    assert chains["MINE"] == ["-j ACCEPT"]
    assert [rule for rule in chains["INPUT"] if rule != FOREIGN] == _jumps("INPUT")


def test_beside_others_the_rules_are_the_same() -> None:
    ours = lab(WEB, BOTH).state["iptables"]["nat"]
    assert lab(WEB, BOTH, node=shared_node()).state["iptables"]["nat"] == ours


def test_a_full_pass_beside_others_may_be_repeated() -> None:
    made = lab(WEB, BOTH, node=shared_node())
    before = made.state
    assert made.full().state == before


def test_removal_leaves_others_rules_alone() -> None:
    node = shared_node()
    made = lab(WEB, BOTH, node=node)
    made.datapath.remove(node)
    assert held(node)["iptables"] == comparable(foreign())


def _jumps(chain: str) -> list[str]:
    return lab().node.rulesets["iptables"]["filter"].chains[chain]


def test_chains_of_an_earlier_run_go_with_the_first_pass() -> None:
    node = lab(WEB, BOTH).node
    assert lab(ONE, node=node).state == lab().state


def test_chains_of_an_earlier_run_go_beside_others_too() -> None:
    node = lab(WEB, BOTH, node=shared_node()).node
    assert lab(node=node).state == lab(node=shared_node()).state


# The node's settings


def test_route_localnet_is_opened_and_set_back() -> None:
    made = lab(WEB, BOTH)
    during = dict(made.node.sysctls)
    made.full().datapath.remove(made.node)
    name = "net.ipv4.conf.all.route_localnet"
    assert (during[name], made.node.sysctls[name]) == ("1", "0")


def test_a_node_that_had_route_localnet_keeps_it() -> None:
    node = FakeNode()
    node.sysctls["net.ipv4.conf.all.route_localnet"] = "1"
    made = lab(WEB, node=node)
    made.datapath.remove(node)
    assert node.sysctls["net.ipv4.conf.all.route_localnet"] == "1"


def test_counters_are_made_and_removed() -> None:
    made = lab(WEB, BOTH)
    during = copy.copy(made.node.counters)
    made.datapath.remove(made.node)
    assert (len(during or ()), made.node.counters) == (2, set())


def test_removal_leaves_nothing_and_may_be_repeated() -> None:
    made = lab(WEB, BOTH)
    made.datapath.remove(made.node)
    made.datapath.remove(made.node)
    assert made.state == {"iptables": {}, "ip6tables": {}}


def test_applied_tells_what_was_written() -> None:
    made = Lab()
    applied = made.datapath.apply(made.node, made.proxier.plan, None)
    assert applied.lines == sum(text.count("\n") for text in made.node.inputs)
    assert applied.bytes == sum(map(len, made.node.inputs))


@pytest.mark.parametrize(
    "options", [{"variant": "bpf"}, {"varient": "nft"}, {"masqueradeBit": 32}, {"masqueradeBit": "14"}]
)
def test_wrong_options_are_told(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        datapath(options)


class NoIptables:
    """A machine without any feature."""

    def has(self, _: str) -> bool:
        """Nothing is there."""
        return False

    def why_not(self, feature: str) -> str:
        """The reason."""
        return f"no program {feature}"


@pytest.mark.parametrize("variant", ["nft", "legacy"])
def test_what_a_machine_lacks_is_told_with_its_fix(variant: str) -> None:
    first, *_ = datapath({"variant": variant}).missing(NoIptables())
    assert (first.feature, first.fix) == (f"iptables-{variant}", "apt-get install iptables")
    assert first.reason == f"no program iptables-{variant}"


# Large clusters


def crowd(count: int) -> Object:
    """A slice of another Service, with so many endpoints."""
    return endpoint_slice([endpoint(f"10.244.{i // 200}.{i % 200}") for i in range(count)], of="crowd")


def spelled(made: Lab, of: str) -> set[bool]:
    """Whether the rules of a Service's endpoints have comments."""
    nat = made.node.rulesets["iptables"]["nat"].chains
    policy = next(
        rule.split()[-1] for rule in nat["KUBE-SERVICES"] if f"default/{of}:http cluster IP" in rule
    )
    ends = [rule.split()[-1] for rule in nat[policy] if rule.split()[-1].startswith("KUBE-SEP-")]
    return {"--comment" in rule for end in ends for rule in nat[end]}


CROWD = service("crowd", clusterIP="10.96.0.99")
API = service("api", clusterIP="10.96.0.20")
API_BOTH = endpoint_slice([endpoint("10.244.0.7", NODE), endpoint("10.244.1.7")], of="api")


def test_a_cluster_that_becomes_large_leaves_what_does_not_change_as_it_is() -> None:
    """As kube-proxy, which decides at each sync, and writes only what has changed."""
    made = lab(WEB, ONE, API, API_BOTH, CROWD, crowd(900))
    assert made.change(("EndpointSlice", crowd(900), crowd(1100))) is False
    assert (spelled(made, "api"), spelled(made, "web"), spelled(made, "crowd")) == ({True}, {True}, {False})
    assert made.change(("EndpointSlice", ONE, BOTH)) is False
    assert (spelled(made, "api"), spelled(made, "web"), spelled(made, "crowd")) == ({True}, {False}, {False})


def test_a_full_sync_spells_a_large_cluster_alike() -> None:
    made = lab(WEB, ONE, CROWD, crowd(900))
    made.change(("EndpointSlice", crowd(900), crowd(1100)))
    assert made.full().state == lab(WEB, ONE, CROWD, crowd(1100)).state


def test_a_large_cluster_that_becomes_small_again() -> None:
    made = lab(WEB, ONE, CROWD, crowd(1100))
    made.change(("EndpointSlice", crowd(1100), crowd(900)))
    assert (spelled(made, "web"), spelled(made, "crowd")) == ({False}, {True})


@pytest.mark.parametrize(("endpoints", "spared"), [(1000, False), (1001, True)])
def test_large_clusters_are_spared_the_hourly_full_sync(endpoints: int, spared: bool) -> None:
    made = lab(CROWD, crowd(endpoints))
    assert made.datapath.spares_full_passes(made.proxier.plan) is spared
