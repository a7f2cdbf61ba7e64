"""An agent: what it plans it hands over, once for each change, again after a failure. The datapath is a fake."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from testbed.cluster.agent import Agent, datapath_options, facts, settings
from testbed.datapaths.fake import FakeDatapath
from testbed.kube.controllers import create_nodes
from testbed.kube.objects import ClusterConfig, KubeProxy, default_cluster
from testbed.kube.store import Store
from testbed.machine.netns import Netns
from testbed.proxier.plan import Family
from tests.unit.proxier import objects
from tests.waiting import until

CLUSTER = dataclasses.replace(default_cluster(), kube_proxy=KubeProxy(min_sync_period=0.0))
NODE = Netns("node1")


@pytest.fixture
def store() -> Store:
    made = Store()
    create_nodes(made, CLUSTER)
    return made


@pytest.fixture
def datapath() -> FakeDatapath:
    return FakeDatapath()


Start = Callable[[], Agent]


@pytest.fixture
def start(store: Store, datapath: FakeDatapath) -> Iterator[Start]:
    agents: list[Agent] = []

    def started() -> Agent:
        [node] = [n for n in store.list("Node") if n["metadata"]["name"] == NODE.name]
        agents.append(Agent(store, node, CLUSTER, datapath))
        agents[-1].start()
        return agents[-1]

    yield started
    datapath.gate.set()
    for agent in agents:
        agent.stop()


def add(store: Store, *names: str) -> int:
    """Services without endpoints; the store's version then."""
    with store.transaction():
        for number, name in enumerate(names):
            store.create(objects.service(name, clusterIP=f"10.96.0.{10 + number}"))
    return store.version


def obeys(agent: Agent, version: int) -> bool:
    return agent.synced_version >= version


def held(datapath: FakeDatapath) -> set[str]:
    """The Services that the node's kernel would hold."""
    return {frontend.key.partition(":")[0] for frontend in datapath.observe(NODE).frontends}


def test_the_first_round_is_a_full_pass(store: Store, datapath: FakeDatapath, start: Start) -> None:
    version = add(store, "a", "b")
    agent = start()
    until(lambda: obeys(agent, version), "the first round")
    assert [call.delta for call in datapath.calls] == [None]
    assert held(datapath) == {"default/a", "default/b"}


def test_a_change_is_a_delta_of_its_service(store: Store, datapath: FakeDatapath, start: Start) -> None:
    version = add(store, "a", "b")
    agent = start()
    until(lambda: obeys(agent, version), "the first round")
    store.delete("Service", "default", "a")
    until(lambda: obeys(agent, store.version), "the second round")
    delta = datapath.calls[-1].delta
    assert delta is not None
    assert {key.name for key in delta.removed} == {"a"}
    assert not delta.changed
    assert held(datapath) == {"default/b"}


def test_a_transaction_is_one_round(store: Store, datapath: FakeDatapath, start: Start) -> None:
    agent = start()
    until(lambda: datapath.calls, "the first round")
    version = add(store, *(f"s{number}" for number in range(20)))
    until(lambda: obeys(agent, version), "the second round")
    assert len(datapath.calls) == 2
    assert agent.syncs[-1].changed == 20


def test_what_comes_during_a_round_waits_for_the_next(
    store: Store, datapath: FakeDatapath, start: Start
) -> None:
    agent = start()
    until(lambda: datapath.calls, "the first round")
    datapath.gate.clear()
    add(store, "a")
    store.create(objects.service("b", clusterIP="10.96.0.20"))
    version = store.version
    assert not obeys(agent, version)
    datapath.gate.set()
    until(lambda: obeys(agent, version), "the rounds")
    assert held(datapath) == {"default/a", "default/b"}


def test_what_concerns_no_service_reaches_no_kernel(
    store: Store, datapath: FakeDatapath, start: Start
) -> None:
    agent = start()
    until(lambda: datapath.calls, "the first round")
    store.mutate("Node", "", "node2", lambda node: {**node, "status": {**node["status"], "phase": "x"}})
    until(lambda: obeys(agent, store.version), "the change to be seen")
    assert len(datapath.calls) == 1


def test_a_failure_is_told_and_mended_by_a_full_pass(
    store: Store, datapath: FakeDatapath, start: Start
) -> None:
    agent = start()
    until(lambda: datapath.calls, "the first round")
    datapath.refuses = "no such chain"
    version = add(store, "a")
    until(lambda: agent.failure, "the failure")
    assert "no such chain" in agent.describe()["failure"]
    assert not obeys(agent, version)
    assert held(datapath) == set()
    datapath.refuses = ""
    until(lambda: obeys(agent, version), "the repair")
    assert agent.failure == ""
    assert datapath.calls[-1].delta is None
    assert held(datapath) == {"default/a"}


def test_a_resync_is_a_full_pass_of_the_same_plan(store: Store, datapath: FakeDatapath, start: Start) -> None:
    version = add(store, "a")
    agent = start()
    until(lambda: obeys(agent, version), "the first round")
    agent.resync_and_wait()
    assert [call.delta for call in datapath.calls] == [None, None]
    assert datapath.calls[0].plan == datapath.calls[1].plan
    assert [sync.full for sync in agent.syncs] == [True, True]


def test_rounds_are_counted_and_measured(store: Store, datapath: FakeDatapath, start: Start) -> None:
    agent = start()
    until(lambda: datapath.calls, "the first round")
    version = add(store, "a", "b", "c")
    until(lambda: obeys(agent, version), "the second round")
    last = agent.describe()["lastSync"]
    assert (last["number"], last["services"], last["changed"], last["full"]) == (2, 3, 3, False)
    assert last["plan_seconds"] > 0


def test_stopped_it_does_nothing_more(store: Store, datapath: FakeDatapath, start: Start) -> None:
    agent = start()
    until(lambda: datapath.calls, "the first round")
    agent.stop()
    add(store, "a")
    assert held(datapath) == set()
    assert len(datapath.calls) == 1


def test_facts_are_the_nodes_addresses_and_the_clusters_pod_ranges(store: Store) -> None:
    node = store.list("Node")[1]
    found = facts(node, CLUSTER)
    assert found.node == "node2"
    assert found.addresses == (ip_address("192.168.0.2"), ip_address("fd00:10:192::2"))
    assert found.pod_ranges == (ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/56"))


def with_proxy(**fields: Any) -> ClusterConfig:
    return dataclasses.replace(CLUSTER, kube_proxy=KubeProxy(**fields))


@pytest.mark.parametrize(
    ("given", "ranges"),
    [
        ((), ()),
        (("192.168.0.0/24",), (ip_network("192.168.0.0/24"),)),
        (("primary",), (ip_network("192.168.0.1/32"), ip_network("fd00:10:192::1/128"))),
    ],
)
def test_node_port_addresses(store: Store, given: tuple[str, ...], ranges: tuple[object, ...]) -> None:
    cluster = with_proxy(node_port_addresses=given)
    assert settings(cluster, facts(store.list("Node")[0], cluster)).node_port_ranges == ranges


@pytest.mark.parametrize(
    ("subnets", "families"),
    [
        (("10.96.0.0/16",), (Family.IPV4,)),
        (("fd00:10:96::/112", "10.96.0.0/16"), (Family.IPV4, Family.IPV6)),
    ],
)
def test_families_are_those_of_the_service_ranges(
    store: Store, subnets: tuple[str, ...], families: tuple[Family, ...]
) -> None:
    networking = dataclasses.replace(CLUSTER.networking, service_subnets=tuple(map(ip_network, subnets)))
    cluster = dataclasses.replace(CLUSTER, networking=networking)
    assert settings(cluster, facts(store.list("Node")[0], cluster)).families == families


def test_the_datapaths_own_options_are_what_kube_proxy_does_not_name() -> None:
    proxy = KubeProxy(options={"variant": "legacy", "masqueradeAll": True, "minSyncPeriod": "1s"})
    assert datapath_options(proxy) == {"variant": "legacy"}
