"""DaemonSets: one pod on each node that fits, and its roll-outs."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.objects import Manifest
from tests.unit.kube.api.builders import manifest
from tests.unit.kube.controllers.playground import Playground


def daemon_set(image: str = "x:1", pod: dict[str, Any] | None = None, **spec: Any) -> Manifest:
    containers = [{"name": "main", "image": image}]
    template = {"metadata": {"labels": {"app": "logs"}}, "spec": {"containers": containers} | (pod or {})}
    whole = {"selector": {"matchLabels": {"app": "logs"}}, "template": template} | spec
    return manifest("DaemonSet", "logs", namespace="default", spec=whole)


@pytest.fixture
def play() -> Playground:
    """Three ready pods of the DaemonSet `logs`."""
    ground = Playground()
    ground.apply(daemon_set())
    ground.all_ready()
    return ground


def nodes(play: Playground) -> list[str]:
    return sorted(str(play.node_of(name)) for name in play.living())


def images(play: Playground) -> list[str]:
    return sorted(play.get("Pod", name)["spec"]["containers"][0]["image"] for name in play.living())


def taint(play: Playground, node: str, effect: str) -> None:
    play.change(
        "Node",
        node,
        spec={**play.get("Node", node, "")["spec"], "taints": [{"key": "own", "effect": effect}]},
    )


def test_one_on_each_node(play: Playground) -> None:
    assert nodes(play) == ["node1", "node2", "node3"]


def test_only_where_the_selector_fits(play: Playground) -> None:
    play.apply(manifest("Node", "node2", metadata={"labels": {"disk": "ssd"}}))
    play.apply(daemon_set(pod={"nodeSelector": {"disk": "ssd"}}))
    play.all_ready()
    assert nodes(play) == ["node2"]


def test_a_cordoned_node_keeps_and_gets_its_pod(play: Playground) -> None:
    play.change("Node", "node2", spec={**play.get("Node", "node2", "")["spec"], "unschedulable": True})
    (there,) = [name for name in play.living() if play.node_of(name) == "node2"]
    play.gone(there)
    play.all_ready()
    assert nodes(play) == ["node1", "node2", "node3"]


def test_a_tainted_node_gets_none_but_keeps_its_own(play: Playground) -> None:
    taint(play, "node2", "NoSchedule")
    assert nodes(play) == ["node1", "node2", "node3"]
    play.gone(next(name for name in play.living() if play.node_of(name) == "node2"))
    assert nodes(play) == ["node1", "node3"]


def test_no_execute_drives_it_away(play: Playground) -> None:
    taint(play, "node2", "NoExecute")
    assert nodes(play) == ["node1", "node3"]


def test_a_pod_that_ended_is_made_anew(play: Playground) -> None:
    play.report(play.living()[0], phase="Failed")
    play.all_ready()
    assert nodes(play) == ["node1", "node2", "node3"]


def test_a_new_template_goes_node_by_node(play: Playground) -> None:
    play.apply(daemon_set("x:2"))
    assert len(play.living()) == 2
    for _ in range(3):
        assert len(play.ready_pods()) >= 2
        for pod in [p for p in play.names("Pod") if p not in play.living()]:
            play.gone(pod)
        for pod in play.living():
            if not play.get("Pod", pod)["status"].get("podIPs"):
                play.report(pod)
    assert images(play) == ["x:2"] * 3


def test_with_surge_the_new_one_comes_first(play: Playground) -> None:
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    play.apply(daemon_set("x:2", updateStrategy={"type": "RollingUpdate", "rollingUpdate": rolling}))
    assert images(play) == ["x:1"] * 3 + ["x:2"]
    play.all_ready()
    assert images(play) == ["x:2"] * 3


def test_on_delete_waits_for_the_user(play: Playground) -> None:
    play.apply(daemon_set("x:2", updateStrategy={"type": "OnDelete"}))
    assert images(play) == ["x:1"] * 3
    play.delete("Pod", play.living()[0])
    play.all_ready()
    assert images(play) == ["x:1", "x:1", "x:2"]


def test_status(play: Playground) -> None:
    assert play.get("DaemonSet", "logs")["status"] == {
        "observedGeneration": 1,
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 3,
        "numberMisscheduled": 0,
        "updatedNumberScheduled": 3,
        "numberReady": 3,
        "numberAvailable": 3,
        "numberUnavailable": 0,
    }


def test_deleted_with_its_pods(play: Playground) -> None:
    play.delete("DaemonSet", "logs")
    assert play.living() == []
