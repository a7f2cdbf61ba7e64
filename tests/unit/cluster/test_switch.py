"""From one datapath to another: in which order rules come and go, who is in office then, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from testbed.cluster.agent import Agent
from testbed.cluster.beside import Beside
from testbed.cluster.posts import Posts, check_options
from testbed.cluster.switch import Switcher, order_of
from testbed.datapaths.contract import Applied, Node
from testbed.datapaths.fake import FakeDatapath
from testbed.errors import Conflict, KernelStateError, NotFound, UsageError
from testbed.kube.controllers import create_nodes
from testbed.kube.objects import ClusterConfig, KubeProxy, default_cluster
from testbed.kube.store import Store
from testbed.proxier.plan import NodePlan, PlanDelta
from tests.unit.proxier.objects import endpoint, endpoint_slice, service
from tests.waiting import until

GROUNDS = {"old": {"a"}, "new": {"b"}, "akin": {"a", "b"}}


class Kernel:
    """What the nodes hold: the names of datapaths by node; and the story of who came and went."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.held: dict[str, set[str]] = {}
        self.broken: set[str] = set()  # nodes where `new` is refused
        self.sticky = False  # nothing can be removed


@dataclass(slots=True)
class Written(FakeDatapath):
    """A datapath whose rules stay in a kernel that outlives it."""

    kernel: Kernel = field(default_factory=Kernel)

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        self.refuses = "no such rule" if self.name == "new" and node.name in self.kernel.broken else ""
        applied = FakeDatapath.apply(self, node, plan, delta)
        if self.name not in self.kernel.held.setdefault(node.name, set()):
            self.kernel.story.append(f"{node.name} +{self.name}")
        self.kernel.held[node.name].add(self.name)
        return applied

    def present(self, node: Node) -> bool:
        return self.name in self.kernel.held.get(node.name, ())

    def remove(self, node: Node) -> None:
        if self.present(node) and not self.kernel.sticky:
            self.kernel.story.append(f"{node.name} -{self.name}")
            self.kernel.held[node.name].discard(self.name)


@dataclass
class World:
    """Two nodes with a Service, at `old`."""

    kernel: Kernel = field(default_factory=Kernel)
    store: Store = field(default_factory=Store)
    agents: dict[str, Agent] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    gates: list[FakeDatapath] = field(default_factory=list)

    def __post_init__(self) -> None:
        default = default_cluster()
        cluster = replace(default, nodes=default.nodes[:2], kube_proxy=KubeProxy(min_sync_period=0.0))
        create_nodes(self.store, cluster)
        self.store.create(service())
        self.store.create(endpoint_slice([endpoint("10.244.0.5")]))
        posts = Posts(self.store, self.load, bare=True)
        self.switcher = Switcher(self.store, posts, self.agents)
        self.beside = Beside(self.store, posts, self.agents)
        self.cluster = cluster.with_mode("old", {})
        self.switcher.man(self.cluster)
        self.switcher.start()
        self.obeyed()
        self.kernel.story.clear()

    def load(self, cluster: ClusterConfig) -> Written:
        name = cluster.networking.kube_proxy_mode
        made = Written(name, ground=frozenset(GROUNDS[name]), kernel=self.kernel)
        self.gates.append(made)
        return made

    def obeyed(self) -> None:
        latest = self.store.version
        until(lambda: all(a.synced_version >= latest for a in self.agents.values()), "the agents to obey")

    def switch(self, mode: str, order: str = "", **options: Any) -> list[str]:
        """The orders in which the nodes were moved."""
        wanted = self.cluster.with_mode(mode, options)
        return [moved.order for moved in self.switcher.switch(wanted, order, self.told.append)]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    for agent in made.agents.values():
        agent.stop()


def test_new_rules_come_before_the_old_ones_go_node_by_node(world: World) -> None:
    assert world.switch("new") == ["new-first"] * 2
    assert world.kernel.story == ["node1 +new", "node1 -old", "node2 +new", "node2 -old"]
    assert world.told[-1] == {"node": "", "step": "done", "done": 2, "nodes": 2}


def test_the_other_order_can_be_asked_for(world: World) -> None:
    assert world.switch("new", "old-first") == ["old-first"] * 2
    assert world.kernel.story == ["node1 -old", "node1 +new", "node2 -old", "node2 +new"]


def test_on_common_ground_the_old_rules_go_first(world: World) -> None:
    assert world.switch("akin") == ["old-first"] * 2
    assert world.kernel.story[:2] == ["node1 -old", "node1 +akin"]


def test_on_common_ground_no_other_order_is_possible(world: World) -> None:
    with pytest.raises(UsageError, match="old and akin both write to a: the old rules must go first"):
        world.switch("akin", "new-first")
    assert world.kernel.story == []


def test_other_options_change_the_rules_in_place(world: World) -> None:
    assert world.switch("old", masqueradeBit=15) == ["in-place"] * 2
    assert world.kernel.story == []
    assert all(agent.syncs[0].full for agent in world.agents.values())


def test_nobody_moves_if_all_is_as_wanted(world: World) -> None:
    before = dict(world.agents)
    assert world.switch("old") == []
    assert world.agents == before


def test_an_unknown_order_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="no order 'both'; there are: new-first, old-first"):
        order_of(FakeDatapath(), FakeDatapath("other"), "both")


def test_changes_reach_the_new_datapath(world: World) -> None:
    world.switch("new")
    world.store.create(service("other", clusterIP="10.96.0.77"))
    world.obeyed()
    plans = [agent.plan for agent in world.agents.values()]
    assert [sorted({key.name for key in plan.services}) for plan in plans] == [["other", "web"]] * 2
    assert {agent.datapath.name for agent in world.agents.values()} == {"new"}


def test_a_failed_switch_goes_back_everywhere_and_says_so(world: World) -> None:
    world.kernel.broken = {"node2"}
    with pytest.raises(
        KernelStateError, match=r"(?s)the switch to new failed: node2: .*no such rule.*\n.*is back at old"
    ):
        world.switch("new")
    world.obeyed()
    assert world.kernel.held == {"node1": {"old"}, "node2": {"old"}}
    assert {agent.datapath.name for agent in world.agents.values()} == {"old"}
    assert world.switch("old") == []


def test_rules_that_stay_are_a_failure(world: World) -> None:
    world.kernel.sticky = True
    with pytest.raises(KernelStateError, match="node1: rules of old are there still after their removal"):
        world.switch("new")


def test_a_second_switch_meanwhile_is_refused(world: World) -> None:
    refusals = []

    def told(step: dict[str, Any]) -> None:
        if not refusals:
            with pytest.raises(Conflict) as raised:
                world.switch("akin")
            refusals.append(str(raised.value))

    world.switcher.switch(world.cluster.with_mode("new", {}), "", told)
    assert refusals == ["a switch of this cluster's datapath is under way already"]


def test_a_second_datapath_follows_the_objects_beside_the_first(world: World) -> None:
    world.beside.add(world.cluster.with_mode("new", {}))
    assert world.beside.there == "new"
    assert world.kernel.held == {"node1": {"old", "new"}, "node2": {"old", "new"}}
    assert {agent.datapath.name for agent in world.agents.values()} == {"old"}
    world.beside.remove("new", keep_rules=False)
    assert world.kernel.held == {"node1": {"old"}, "node2": {"old"}}


def test_a_second_datapath_may_leave_its_rules_to_nobody(world: World) -> None:
    world.beside.add(world.cluster.with_mode("new", {}))
    world.beside.remove("new", keep_rules=True)
    assert (world.beside.there, world.kernel.held["node2"]) == ("new", {"old", "new"})
    world.beside.remove("new", keep_rules=False)
    assert (world.beside.there, world.kernel.held["node2"]) == ("", {"old"})


def test_a_second_datapath_on_common_ground_is_refused(world: World) -> None:
    with pytest.raises(Conflict, match="akin cannot stand beside old: both write to a"):
        world.beside.add(world.cluster.with_mode("akin", {}))
    assert world.kernel.story == []


def test_no_third_one(world: World) -> None:
    world.beside.add(world.cluster.with_mode("new", {}))
    with pytest.raises(Conflict, match="new is there already"):
        world.beside.add(world.cluster.with_mode("new", {}))
    world.beside.remove("new", keep_rules=False)


def test_a_second_one_that_cannot_be_programmed_leaves_nothing(world: World) -> None:
    world.kernel.broken = {"node2"}
    with pytest.raises(KernelStateError, match="node2: .*no such rule"):
        world.beside.add(world.cluster.with_mode("new", {}))
    assert (world.beside.there, world.kernel.held["node1"]) == ("", {"old"})


def test_what_is_not_there_cannot_be_removed(world: World) -> None:
    with pytest.raises(NotFound, match="no new beside this cluster's own datapath; there is none"):
        world.beside.remove("new", keep_rules=False)


def test_a_cluster_without_a_datapath_cannot_be_switched() -> None:
    store = Store()
    switcher = Switcher(store, Posts(store, bare=True), {})
    switcher.start()
    with pytest.raises(UsageError, match="deployed without a datapath"):
        switcher.switch(default_cluster(), "", print)


@pytest.mark.parametrize(
    ("mode", "options", "message"),
    [
        ("carrier-pigeon", {}, "kubeProxyMode"),
        ("iptables", {"variant": "bogus"}, "kubeProxy.iptables.variant"),
        ("iptables", {"masqueradeBit": "x"}, "kubeProxy.iptables.masqueradeBit"),
        ("nftables", {"syncPeriod": 5}, "kubeProxy.nftables.syncPeriod"),
    ],
)
def test_options_are_held_against_the_cluster_document(mode: str, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_options(mode, options)
