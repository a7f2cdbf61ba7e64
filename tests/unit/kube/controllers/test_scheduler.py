"""The scheduler: filters, spreading, and pods that fit nowhere."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from testbed.kube.controllers.metadata import condition_true
from tests.unit.kube.api.builders import deployment, manifest, pod
from tests.unit.kube.controllers.playground import Playground


def label(play: Playground, node: str, **labels: str) -> None:
    play.apply(manifest("Node", node, metadata={"labels": labels}))


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def term(operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "disk", "operator": operator, "values": list(values)}]}


def test_pods_go_where_fewest_are_then_by_name() -> None:
    play = Playground()
    for name in "abcd":
        play.apply(pod(name))
    assert [play.node_of(name) for name in "abcd"] == ["node1", "node2", "node3", "node1"]


def test_pod_that_has_a_node_keeps_it() -> None:
    play = Playground()
    play.apply(pod("a", nodeName="node3"))
    assert play.node_of("a") == "node3"


def test_pods_of_one_owner_are_spread_before_all_pods_are() -> None:
    play = Playground()
    play.apply(*(pod(f"on-{node}-{n}", nodeName=node) for node in ("node1", "node2") for n in range(5)))
    play.apply(deployment(replicas=6))
    nodes = Counter(p["spec"]["nodeName"] for p in play.store.list("Pod") if "web" in p["metadata"]["name"])
    assert nodes == {"node1": 2, "node2": 2, "node3": 2}


def test_pods_that_ended_do_not_count() -> None:
    play = Playground(nodes=2)
    play.apply(pod("a"), pod("b"))
    play.report("a", phase="Succeeded")
    play.apply(pod("c"))
    assert play.node_of("c") == "node1"


def test_pods_that_are_gone_do_not_count() -> None:
    play = Playground(nodes=2)
    play.apply(pod("a"), pod("b"))
    play.gone("a")
    play.apply(pod("c"))
    assert play.node_of("c") == "node1"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"nodeSelector": {"disk": "ssd"}}, "node2", id="selector"),
        pytest.param({"affinity": affinity(term("In", "ssd"))}, "node2", id="In"),
        pytest.param({"affinity": affinity(term("NotIn", "ssd", "hdd"))}, "node1", id="NotIn"),
        pytest.param({"affinity": affinity(term("In", "tape"), term("In", "hdd"))}, "node3", id="any term"),
        pytest.param(
            {"nodeSelector": {"disk": "hdd"}, "affinity": affinity(term("In", "ssd"))}, None, id="both"
        ),
        pytest.param({"nodeSelector": {"disk": "tape"}}, None, id="nowhere"),
    ],
)
def test_filters(spec: dict[str, Any], expected: str | None) -> None:
    play = Playground()
    label(play, "node2", disk="ssd")
    label(play, "node3", disk="hdd")
    play.apply(pod("a", **spec))
    assert play.node_of("a") == expected


def test_placed_pod_is_marked() -> None:
    play = Playground()
    play.apply(pod("a"))
    assert condition_true(play.get("Pod", "a"), "PodScheduled")


def test_pod_that_fits_nowhere_says_why() -> None:
    play = Playground()
    play.apply(manifest("Node", "node1", spec={"unschedulable": True}))
    play.apply(pod("a", nodeSelector={"disk": "ssd"}))
    (condition,) = play.get("Pod", "a")["status"]["conditions"]
    del condition["lastTransitionTime"]
    assert condition == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 1 node(s) were unschedulable, "
        "2 node(s) didn't match Pod's node affinity/selector.",
    }


def test_cluster_without_nodes_says_so() -> None:
    play = Playground(nodes=0)
    play.apply(pod("a"))
    (condition,) = play.get("Pod", "a")["status"]["conditions"]
    assert condition["message"] == "no nodes available to schedule pods"


def small(*names: str, pods: int) -> Playground:
    """Three nodes, of which these alone take pods, and not many."""
    play = Playground()
    for name in play.names("Node"):
        spec = {} if name in names else {"unschedulable": True}
        play.store.mutate("Node", "", name, lambda old, spec=spec: {**old, "spec": {**old["spec"], **spec}})
        room = {"allocatable": {"pods": str(pods)}}
        play.store.mutate("Node", "", name, lambda old, room=room: {**old, "status": old["status"] | room})
    play.settle()
    return play


def test_a_full_node_gets_no_more() -> None:
    play = small("node1", "node2", pods=2)
    play.apply(*(pod(name) for name in "abcde"))
    assert [play.node_of(name) for name in "abcde"] == ["node1", "node2", "node1", "node2", None]
    (condition,) = play.get("Pod", "e")["status"]["conditions"]
    wanted = "0/3 nodes are available: 1 node(s) were unschedulable, 2 Too many pods."
    assert condition["message"] == wanted


def test_pods_bound_by_hand_take_room() -> None:
    play = small("node1", pods=1)
    play.apply(pod("a", nodeName="node1"), pod("b"))
    assert play.node_of("b") is None


def test_room_is_given_when_a_pod_has_gone_and_not_before() -> None:
    play = small("node1", pods=1)
    play.apply(pod("a"), pod("b"))
    play.delete("Pod", "a")
    assert play.node_of("b") is None
    play.gone("a")
    assert play.node_of("b") == "node1"


def test_a_pod_that_ended_gives_its_room() -> None:
    play = small("node1", pods=1)
    play.apply(pod("a"), pod("b"))
    play.report("a", phase="Succeeded")
    assert play.node_of("b") == "node1"


def test_pod_is_placed_when_a_node_comes_to_fit() -> None:
    play = Playground()
    play.apply(pod("a", nodeSelector={"disk": "ssd"}))
    label(play, "node3", disk="ssd")
    assert play.node_of("a") == "node3"
    assert condition_true(play.get("Pod", "a"), "PodScheduled")


def test_same_objects_same_places() -> None:
    places = []
    for _ in range(2):
        play = Playground()
        play.apply(deployment("a", 4), pod("b"), deployment("c", 3))
        places.append({p["metadata"]["name"]: p["spec"]["nodeName"] for p in play.store.list("Pod")})
    assert places[0] == places[1]


def test_a_thousand_pods_are_spread_evenly() -> None:
    play = Playground(nodes=10)
    pods = [pod(f"p{n}") for n in range(1000)]
    play.registry.apply(pods)
    play.settle()
    assert set(Counter(p["spec"]["nodeName"] for p in play.store.list("Pod")).values()) == {100}
