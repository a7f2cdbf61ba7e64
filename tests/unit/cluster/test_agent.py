"""When an agent writes: at once after a quiet time, else when its period is over; always all that has changed."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from testbed.cluster.agent import Agent
from testbed.datapaths.contract import Applied, Machine, Missing, Node, Observed
from testbed.errors import CommandFailed
from testbed.kube.controllers import create_nodes
from testbed.kube.objects import default_cluster
from testbed.kube.store import Store
from testbed.proxier.plan import NodePlan, PlanDelta
from tests.waiting import until

LONG = 3600.0  # a period whose end no test sees


class Notes:
    """A datapath that writes down what it is asked for, and refuses the first `refusals` times."""

    name = "notes"
    features: frozenset[str] = frozenset()

    def __init__(self, refusals: int = 0) -> None:
        self.applied: list[tuple[bool, list[str]]] = []  # full?, names of the Services in the plan
        self._refusals = refusals

    def missing(self, machine: Machine) -> tuple[Missing, ...]:
        return ()

    def render(self, plan: NodePlan) -> str:
        return ""

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        if self._refusals:
            self._refusals -= 1
            raise CommandFailed(["notes"], 1, "not today")
        self.applied.append((delta is None, sorted({key.name for key in plan.services})))
        return Applied(delta is None, 0.0, 0.0, 0, 0)

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
def running(datapath: Notes, period: float, store: Store) -> Iterator[Agent]:
    """An agent of the only node, whose minSyncPeriod is `period` seconds."""
    default = default_cluster()
    proxy = dataclasses.replace(default.kube_proxy, min_sync_period=period)
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
    with running(notes, 0.0, store) as agent:
        until(lambda: "not today" in agent.failure, "the failure to be told")
        obeyed(agent, store)
        assert agent.failure == ""
    assert notes.applied == [(True, ["web"])]
