"""Where pods may go: taints, host ports, other pods, spreading; and who must leave."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.controllers.placement import tolerates
from testbed.kube.objects import Manifest
from tests.unit.kube.api.builders import manifest, pod
from tests.unit.kube.controllers.playground import Playground

ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


@pytest.fixture
def play() -> Playground:
    """Three nodes, the first two in zone a, the third in zone b."""
    ground = Playground()
    for node, zone in (("node1", "a"), ("node2", "a"), ("node3", "b")):
        ground.apply(manifest("Node", node, metadata={"labels": {ZONE: zone}}))
    return ground


def taint(play: Playground, node: str, effect: str, key: str = "own") -> None:
    play.change(
        "Node", node, spec={**play.get("Node", node, "")["spec"], "taints": [{"key": key, "effect": effect}]}
    )


def near(key: str, app: str, field: str = "podAffinity") -> dict[str, Any]:
    """A required term about pods labelled app=<app>."""
    wanted = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    return {field: {"requiredDuringSchedulingIgnoredDuringExecution": [wanted]}}


def labelled(name: str, app: str, **spec: Any) -> Manifest:
    return pod(name, labels={"app": app}, **spec)


def why_not(play: Playground, name: str) -> str:
    conditions = play.get("Pod", name)["status"]["conditions"]
    return str(
        next(c["message"] for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False")
    )


@pytest.mark.parametrize(
    ("toleration", "found"),
    [
        ({"key": "own", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "own", "value": "x", "effect": "NoSchedule"}, True),
        ({"key": "own", "value": "y"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "own", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_toleration(toleration: dict[str, Any], found: bool) -> None:
    assert tolerates(toleration, {"key": "own", "value": "x", "effect": "NoSchedule"}) is found


def test_tainted_nodes_are_avoided_unless_tolerated(play: Playground) -> None:
    for node in ("node1", "node2", "node3"):
        taint(play, node, "NoSchedule")
    play.apply(pod("a"), pod("b", tolerations=[{"operator": "Exists"}]))
    assert why_not(play, "a") == "0/3 nodes are available: 3 node(s) had untolerated taint(s)."
    assert play.node_of("b") == "node1"


def test_prefer_no_schedule_is_a_wish(play: Playground) -> None:
    taint(play, "node1", "PreferNoSchedule")
    play.apply(pod("a"))
    assert play.node_of("a") == "node2"


def test_preferred_node_affinity(play: Playground) -> None:
    expression = {"key": ZONE, "operator": "In", "values": ["b"]}
    term = {"weight": 10, "preference": {"matchExpressions": [expression]}}
    wish = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}}
    play.apply(pod("a", affinity=wish))
    assert play.node_of("a") == "node3"


def test_a_host_port_is_taken_once_on_a_node(play: Playground) -> None:
    ports = [{"containerPort": 80, "hostPort": 8080}]
    for name in "abcd":
        play.apply(pod(name, containers=[{"name": "main", "ports": ports}]))
    assert [play.node_of(name) for name in "abcd"] == ["node1", "node2", "node3", None]
    ports_taken = "node(s) didn't have free ports for the requested pod ports"
    assert why_not(play, "d") == f"0/3 nodes are available: 3 {ports_taken}."


def test_near_others(play: Playground) -> None:
    play.apply(labelled("db", "db", nodeName="node3"), labelled("web", "web", affinity=near(ZONE, "db")))
    assert play.node_of("web") == "node3"


def test_near_others_that_come_later(play: Playground) -> None:
    play.apply(labelled("web", "web", affinity=near(HOST, "db")))
    assert play.node_of("web") is None
    play.apply(labelled("db", "db", nodeName="node2"))
    assert play.node_of("web") == "node2"


def test_the_first_of_a_group_goes_anywhere(play: Playground) -> None:
    play.apply(labelled("a", "web", affinity=near(ZONE, "web")))
    play.apply(labelled("b", "web", affinity=near(ZONE, "web")))
    assert [play.node_of("a"), play.node_of("b")] == ["node1", "node2"]


def test_apart_from_its_like(play: Playground) -> None:
    for name in "abc":
        play.apply(labelled(name, "web", affinity=near(ZONE, "web", "podAntiAffinity")))
    assert [play.node_of(name) for name in "abc"] == ["node1", "node3", None]
    assert "node(s) didn't match pod anti-affinity rules" in why_not(play, "c")


def test_others_keep_it_away(play: Playground) -> None:
    play.apply(labelled("loner", "loner", affinity=near(ZONE, "web", "podAntiAffinity")))
    play.apply(labelled("a", "web"), labelled("b", "web"))
    assert [play.node_of("a"), play.node_of("b")] == ["node3", "node3"]


def test_spread_over_zones(play: Playground) -> None:
    spread = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"}
    constraint = spread | {"labelSelector": {"matchLabels": {"app": "web"}}}
    for name in "abcd":
        play.apply(labelled(name, "web", topologySpreadConstraints=[constraint]))
    assert [play.node_of(name) for name in "abcd"] == ["node1", "node3", "node2", "node3"]


def test_a_gated_pod_waits(play: Playground) -> None:
    play.apply(pod("a", schedulingGates=[{"name": "not-yet"}]))
    assert play.node_of("a") is None


def test_scheduling_is_told(play: Playground) -> None:
    play.apply(pod("a"))
    assert play.told("Pod", "a") == [("Scheduled", "Successfully assigned default/a to node1", 1)]


def test_a_pod_that_fits_nowhere_is_told_with_a_count(play: Playground) -> None:
    play.apply(pod("a", nodeSelector={"disk": "none"}))
    play.apply(manifest("Node", "node1", metadata={"labels": {"rack": "1"}}))
    message = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."
    assert play.told("Pod", "a") == [("FailedScheduling", message, 2)]


@pytest.mark.parametrize(
    ("tolerations", "after", "stays"),
    [
        pytest.param([], 0, False, id="none"),
        pytest.param([{"operator": "Exists"}], 1000, True, id="for ever"),
        pytest.param(
            [{"operator": "Exists", "tolerationSeconds": 60}], 59, True, id="for a minute: still there"
        ),
        pytest.param([{"operator": "Exists", "tolerationSeconds": 60}], 60, False, id="for a minute: over"),
    ],
)
def test_no_execute(play: Playground, tolerations: list[dict[str, Any]], after: int, stays: bool) -> None:
    play.apply(pod("a", nodeName="node1", tolerations=tolerations))
    taint(play, "node1", "NoExecute")
    play.later(after)
    assert ("a" in play.living()) is stays


def test_a_taint_that_goes_in_time_ends_nothing(play: Playground) -> None:
    play.apply(pod("a", nodeName="node1", tolerations=[{"operator": "Exists", "tolerationSeconds": 60}]))
    taint(play, "node1", "NoExecute")
    play.later(30)
    play.change("Node", "node1", spec={})
    play.later(60)
    assert play.living() == ["a"]
