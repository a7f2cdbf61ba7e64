"""When a cluster counts as ready, and what is said when it does not get there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from testbed.cluster.agent import Agent
from testbed.cluster.readiness import Readiness, is_ready
from testbed.datapaths.fake import FakeDatapath
from testbed.errors import TestbedError
from testbed.kube.controllers import Manager, create_nodes
from testbed.kube.objects import KubeProxy, default_cluster
from testbed.kube.store import Object, Store
from tests.unit.proxier import objects
from tests.waiting import until

CLUSTER = dataclasses.replace(default_cluster(), kube_proxy=KubeProxy(min_sync_period=0.0))


def pod(name: str, ready: bool | None = None, **status: Any) -> dict[str, Any]:
    """A pod; with `ready` None the kubelet has not told anything yet."""
    condition = {"type": "Ready", "status": str(ready), "message": "containers with unready status: [app]"}
    told = {} if ready is None else {"phase": "Running", "conditions": [condition]}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {},
        "status": told | status,
    }


def deployment(replicas: int) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "default"}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}


def owned(body: dict[str, Any]) -> dict[str, Any]:
    """The same pod as a Deployment's."""
    return {**body, "metadata": {**body["metadata"], "ownerReferences": [{"kind": "ReplicaSet"}]}}


def ending(body: dict[str, Any]) -> dict[str, Any]:
    """The same pod, told to end."""
    return {**body, "metadata": {**body["metadata"], "deletionTimestamp": "2026-11-22T10:00:00Z"}}


@pytest.fixture
def store() -> Store:
    made = Store()
    create_nodes(made, CLUSTER)
    return made


@pytest.fixture
def datapath() -> FakeDatapath:
    return FakeDatapath()


@pytest.fixture
def agents(store: Store, datapath: FakeDatapath) -> Iterator[dict[str, Agent]]:
    made = {n["metadata"]["name"]: Agent(store, n, CLUSTER, datapath) for n in store.list("Node")}
    for agent in made.values():
        agent.start()
    yield made
    datapath.gate.set()
    for agent in made.values():
        agent.stop()


@pytest.fixture
def readiness(store: Store, agents: dict[str, Agent]) -> Readiness:
    return Readiness(store, Manager(store, ()), agents)


def silent(step: Mapping[str, Any]) -> None:
    """Progress that nobody looks at."""


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (pod("a"), False),
        (pod("a", False), False),
        (pod("a", True), True),
        (pod("a", False, phase="Succeeded"), True),
        (pod("a", False, phase="Failed"), False),
    ],
)
def test_a_pod_is_ready(seen: Object, verdict: bool) -> None:
    assert is_ready(seen) is verdict


@pytest.mark.parametrize(
    ("there", "ready", "wanted"),
    [
        ([], 0, 0),
        ([pod("a", True), pod("b", False)], 1, 2),
        ([deployment(3)], 0, 3),
        ([deployment(2), owned(pod("a", True))], 1, 2),
        ([deployment(1), owned(pod("a", True)), owned(pod("b", True))], 2, 2),
        ([ending(pod("a", True))], 0, 0),
        ([deployment(1), owned(pod("a", True)), ending(owned(pod("b", True)))], 1, 1),
    ],
)
def test_pods_are_counted(
    store: Store, readiness: Readiness, there: list[dict[str, Any]], ready: int, wanted: int
) -> None:
    for obj in there:
        store.create(obj)
    state = readiness.state()
    assert (state["ready"], state["pods"]) == (ready, wanted)


def test_ready_means_that_all_nodes_obey(store: Store, readiness: Readiness, datapath: FakeDatapath) -> None:
    store.create(pod("a", True))
    assert readiness.wait(10.0, silent)["synced"] == 3
    datapath.gate.clear()
    store.create(objects.service("web"))
    with pytest.raises(TestbedError, match="not ready after 0 s"):
        readiness.wait(0.0, silent)
    datapath.gate.set()
    assert readiness.wait(10.0, silent)["synced"] == 3
    assert {call.node for call in datapath.calls if call.plan.services} == {"node1", "node2", "node3"}


def test_without_agents_only_pods_count(store: Store) -> None:
    readiness = Readiness(store, Manager(store, ()), {})
    store.create(pod("a", True))
    assert readiness.wait(10.0, silent)["nodes"] == 0


def test_what_is_not_ready_is_named_with_the_reason(store: Store, readiness: Readiness) -> None:
    store.create(pod("good", True))
    store.create(pod("bad", False))
    store.create(pod("young"))
    with pytest.raises(TestbedError) as raised:
        readiness.wait(0.0, silent)
    assert str(raised.value).splitlines() == [
        "not ready after 0 s: 1 of 3 pods",
        "    pod default/bad: containers with unready status: [app]",
        "    pod default/young: Pending",
    ]


def ended(code: int, **more: Any) -> dict[str, Any]:
    """A container's end as its status has it."""
    return {"terminated": {"reason": "Error", "exitCode": code, **more}}


CREATING = {"waiting": {"reason": "ContainerCreating"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}


@pytest.mark.parametrize(
    ("state", "last", "said"),
    [
        (CREATING, {}, []),
        (BACK_OFF, {}, ["app: CrashLoopBackOff: back-off 10s"]),
        (
            BACK_OFF,
            ended(1, message="80/TCP: Address already in use"),
            [
                "app: CrashLoopBackOff: back-off 10s",
                "app: Error, exit code 1: 80/TCP: Address already in use",
            ],
        ),
        (CREATING, ended(127), ["app: Error, exit code 127"]),
        ({"running": {}}, ended(0), []),
        (ended(127), {}, ["app: Error, exit code 127"]),
    ],
)
def test_a_containers_trouble_is_told_once(
    store: Store, readiness: Readiness, state: Object, last: Object, said: list[str]
) -> None:
    message = "containers with unready status: [app]"
    conditions = [{"type": t, "status": "False", "message": message} for t in ("Ready", "ContainersReady")]
    container = {"name": "app", "state": state, "lastState": last}
    store.create(pod("a", False, conditions=conditions, containerStatuses=[container]))
    with pytest.raises(TestbedError) as raised:
        readiness.wait(0.0, silent)
    assert str(raised.value).splitlines()[1].strip() == "; ".join([f"pod default/a: {message}", *said])


def test_of_many_ten_are_named(store: Store, readiness: Readiness) -> None:
    for number in range(25):
        store.create(pod(f"p{number}"))
    with pytest.raises(TestbedError, match=r"\.\.\. and 15 more$"):
        readiness.wait(0.0, silent)


def test_an_agents_failure_is_told(store: Store, readiness: Readiness, datapath: FakeDatapath) -> None:
    readiness.wait(10.0, silent)
    datapath.refuses = "no such chain"
    store.create(objects.service("web"))
    until(lambda: len(readiness.state()["failures"]) == 3, "all agents to fail")
    with pytest.raises(TestbedError, match="no such chain"):
        readiness.wait(0.0, silent)


def test_progress_is_told_at_the_end(store: Store, readiness: Readiness) -> None:
    steps: list[Mapping[str, Any]] = []
    told: Callable[[Mapping[str, Any]], None] = steps.append
    store.create(pod("a", True))
    state = readiness.wait(10.0, told)
    assert steps[-1] == state


@pytest.mark.parametrize(("ready", "verdict"), [(True, True), (False, False)])
def test_pods_may_be_waited_for_alone(
    store: Store, readiness: Readiness, datapath: FakeDatapath, ready: bool, verdict: bool
) -> None:
    datapath.gate.clear()
    store.create(pod("a", ready))
    assert readiness.wait_for_pods(0.05) is verdict
