"""When an agent writes: at once after a quiet time, else when its period is over; always all that has changed."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from testbed.cluster.agent import Agent
from testbed.datapaths.contract import Applied, Machine, Missing, Node, Observed
from testbed.errors import CommandFailed
from testbed.kube.controllers import create_nodes
from testbed.kube.objects import default_cluster
from testbed.kube.store import Store
from testbed.proxier.plan import IPNetwork, NodeFacts, NodePlan, PlanDelta
from tests.waiting import until

LONG = 3600.0  # a period whose end no test sees


class Notes:
    """A datapath that writes down what it is asked for, and refuses the first `refusals` times."""

    name = "notes"
    features: frozenset[str] = frozenset()
    ground: frozenset[str] = frozenset({"notes"})

    def __init__(self, refusals: int = 0, large: bool = False) -> None:
        self.applied: list[tuple[bool, list[str]]] = []  # full?, names of the Services in the plan
        self.facts: list[NodeFacts] = []
        self.flushed = False
        self._refusals, self._large = refusals, large

    def missing(self, machine: Machine) -> tuple[Missing, ...]:
        return ()

    def render(self, plan: NodePlan) -> str:
        return ""

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        if self._refusals:
            self._refusals -= 1
            raise CommandFailed(["notes"], 1, "not today")
        self.flushed = self.flushed and delta is not None
        self.facts.append(plan.facts)
        self.applied.append((delta is None, sorted({key.name for key in plan.services})))
        return Applied(delta is None, 0.0, 0.0, 0, 0)

    def spares_full_passes(self, plan: NodePlan) -> bool:
        return self._large

    def intact(self, node: Node) -> bool:
        return not self.flushed

    def present(self, node: Node) -> bool:
        return bool(self.applied)

    def alarm(self, node: Node) -> None:
        return None

    def observe(self, node: Node) -> Observed:
        return Observed((), {})

    def show(self, node: Node) -> str:
        return ""

    def remove(self, node: Node) -> None:
        return


def service(name: str, number: int) -> dict[str, Any]:
    ip = f"10.96.0.{number}"
    ports = [{"port": 80, "protocol": "TCP"}]
    spec = {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ports": ports}
    return {"kind": "Service", "metadata": {"namespace": "default", "name": name}, "spec": spec}


@contextlib.contextmanager
def running(datapath: Notes, period: float, store: Store, **settings: Any) -> Iterator[Agent]:
    """An agent of the only node, whose minSyncPeriod is `period` seconds."""
    default = default_cluster()
    proxy = dataclasses.replace(default.kube_proxy, min_sync_period=period, **settings)
    cluster = dataclasses.replace(default, nodes=default.nodes[:1], kube_proxy=proxy)
    create_nodes(store, cluster)
    agent = Agent(store, store.list("Node")[0], cluster, datapath)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()


def obeyed(agent: Agent, store: Store) -> None:
    until(lambda: agent.synced_version == store.version, "the agent to obey")


def test_the_first_round_is_a_full_one_of_all_that_is_there() -> None:
    store, notes = Store(), Notes()
    store.create(service("web", 10))
    with running(notes, LONG, store) as agent:
        obeyed(agent, store)
    assert notes.applied == [(True, ["web"])]


def test_without_a_period_each_change_is_written_at_once() -> None:
    store, notes = Store(), Notes()
    with running(notes, 0.0, store) as agent:
        obeyed(agent, store)
        for number, name in enumerate("abc", 10):
            store.create(service(name, number))
            obeyed(agent, store)
    assert notes.applied == [(True, []), (False, ["a"]), (False, ["a", "b"]), (False, ["a", "b", "c"])]


def test_changes_within_the_period_are_one_round_at_its_end() -> None:
    store, notes = Store(), Notes()
    with running(notes, 0.3, store) as agent:
        obeyed(agent, store)
        for number, name in enumerate("abc", 10):
            store.create(service(name, number))
        obeyed(agent, store)
    assert notes.applied == [(True, []), (False, ["a", "b", "c"])]


def test_an_agent_that_waits_does_not_say_that_it_obeys() -> None:
    store, notes = Store(), Notes()
    with running(notes, LONG, store) as agent:
        obeyed(agent, store)
        before = store.version
        store.create(service("web", 10))
        assert agent.synced_version == before
    assert notes.applied == [(True, [])]


def test_a_full_pass_that_somebody_asks_for_does_not_wait() -> None:
    store, notes = Store(), Notes()
    with running(notes, LONG, store) as agent:
        obeyed(agent, store)
        store.create(service("web", 10))
        agent.resync_and_wait()
        obeyed(agent, store)
    assert notes.applied == [(True, []), (True, ["web"])]


def test_a_deleted_service_is_waited_for() -> None:
    store, notes = Store(), Notes()
    store.create(service("web", 10))
    with running(notes, 0.0, store) as agent:
        obeyed(agent, store)
        store.delete("Service", "default", "web")
        assert store.latest(["Service"]) == store.version
        obeyed(agent, store)
    assert notes.applied == [(True, ["web"]), (False, [])]


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_refused_round_is_tried_again_as_a_full_one(refusals: int) -> None:
    store, notes = Store(), Notes(refusals)
    store.create(service("web", 10))
    with running(notes, 0.0, store, sync_period=0.3) as agent:
        until(lambda: "not today" in agent.failure, "the failure to be told")
        obeyed(agent, store)
        assert agent.failure == ""
    assert notes.applied == [(True, ["web"])]


def test_a_refused_round_is_not_tried_again_before_its_time() -> None:
    store, notes = Store(), Notes(refusals=1)
    store.create(service("web", 10))
    with running(notes, 0.0, store) as agent:
        until(lambda: "not today" in agent.failure, "the failure to be told")
        assert notes.applied == []
        store.create(service("api", 11))  # but a change is
        obeyed(agent, store)
    assert notes.applied == [(True, ["api", "web"])]


@pytest.mark.parametrize("period", [0.05, LONG], ids=["by its own look", "by an alarm"])
def test_rules_that_somebody_flushed_are_written_again(period: float) -> None:
    store, notes = Store(), Notes()
    with running(notes, 0.0, store, sync_period=period) as agent:
        obeyed(agent, store)
        notes.flushed = True
        if period == LONG:
            agent.look()
        until(lambda: not notes.flushed, "the rules to be written again")
    assert notes.applied == [(True, []), (True, [])]


def test_an_alarm_for_nothing_writes_nothing() -> None:
    store, notes = Store(), Notes()
    with running(notes, 0.0, store) as agent:
        obeyed(agent, store)
        agent.look()
        store.create(service("web", 10))
        obeyed(agent, store)
    assert notes.applied == [(True, []), (False, ["web"])]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", {"addresses": [{"type": "InternalIP", "address": "192.168.0.99"}]}),
        ("spec", {"podCIDRs": ["10.99.0.0/24"]}),
    ],
)
def test_a_node_with_other_addresses_or_ranges_begins_anew(field: str, value: dict[str, Any]) -> None:
    store, notes = Store(), Notes()
    with running(notes, 0.0, store, detect_local_mode="NodeCIDR") as agent:
        obeyed(agent, store)
        (node,) = store.list("Node")
        store.update({**node, field: {**node[field], **value}})
        obeyed(agent, store)
    assert notes.applied == [(True, []), (True, [])]
    assert notes.facts[0] != notes.facts[1]


def test_a_node_s_status_otherwise_writes_nothing() -> None:
    store, notes = Store(), Notes()
    with running(notes, 0.0, store) as agent:
        obeyed(agent, store)
        (node,) = store.list("Node")
        store.update({**node, "status": {**node["status"], "conditions": []}})
        obeyed(agent, store)
    assert notes.applied == [(True, [])]


V4, V6 = ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/56")
MINE = (ip_network("10.244.0.0/24"), ip_network("fd00:10:244::/64"))


@pytest.mark.parametrize(
    ("settings", "ranges", "device", "prefix"),
    [
        ({}, (V4, V6), "", ""),
        ({"cluster_cidr": "10.244.0.0/16"}, (V4,), "", ""),  # the other family cannot tell pods
        ({"cluster_cidr": "10.244.0.0/16,10.1.0.0/16"}, (V4,), "", ""),
        ({"cluster_cidr": ""}, (), "", ""),
        ({"detect_local_mode": "NodeCIDR"}, MINE, "", ""),
        ({"detect_local_mode": "BridgeInterface", "detect_local_interface": "cbr0"}, (), "cbr0", ""),
        ({"detect_local_mode": "InterfaceNamePrefix", "detect_local_interface": "veth"}, (), "", "veth"),
    ],
)
def test_how_a_node_tells_pods(
    settings: dict[str, Any], ranges: tuple[IPNetwork, ...], device: str, prefix: str
) -> None:
    store, notes = Store(), Notes()
    with running(notes, 0.0, store, **settings) as agent:
        obeyed(agent, store)
    (found,) = notes.facts
    assert (found.pod_ranges, found.pod_device, found.pod_device_prefix) == (ranges, device, prefix)


class Tending(Notes):
    """Notes of a datapath that has work which takes its time."""

    tend_seconds = 0.01

    def __init__(self) -> None:
        super().__init__()
        self.tended = 0

    def tend(self, node: Node) -> None:
        self.tended += 1


def test_a_datapath_is_let_carry_on_though_nothing_changes() -> None:
    store, notes = Store(), Tending()
    with running(notes, 0.0, store):
        until(lambda: notes.tended >= 2, "the datapath to be called twice")
    assert notes.applied == [(True, [])]
