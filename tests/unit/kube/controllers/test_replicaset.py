"""ReplicaSets: pods made, given up, adopted, released; what their status says."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.objects import Manifest
from testbed.kube.store import Object, terminating
from tests.unit.kube.api.builders import manifest, pod
from tests.unit.kube.controllers.playground import Playground


def replica_set(replicas: int = 3, **spec: Any) -> Manifest:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "x"}]},
    }
    whole = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template} | spec
    return manifest("ReplicaSet", "web", namespace="default", spec=whole)


@pytest.fixture
def play() -> Playground:
    """Three ready pods of the ReplicaSet `web`."""
    ground = Playground()
    ground.apply(replica_set())
    ground.all_ready()
    return ground


def owner(obj: Object) -> str:
    return ", ".join(reference["name"] for reference in obj["metadata"].get("ownerReferences", ()))


def test_pods_are_called_by_set_and_five_characters(play: Playground) -> None:
    assert len(play.living()) == 3
    assert all(len(name) == len("web-") + 5 and name.startswith("web-") for name in play.living())


def test_pod_is_owned(play: Playground) -> None:
    (reference,) = play.get("Pod", play.living()[0])["metadata"]["ownerReferences"]
    uid = play.get("ReplicaSet", "web")["metadata"]["uid"]
    assert (reference["kind"], reference["uid"], reference["controller"]) == ("ReplicaSet", uid, True)


def test_a_name_that_is_taken_is_passed_over(play: Playground) -> None:
    taken = play.living()[0]
    other = Playground()
    other.apply(pod(taken, labels={}))
    other.apply(replica_set())
    assert len(other.living()) == 4


def test_no_name_is_given_twice(play: Playground) -> None:
    first = play.living()
    for name in first:
        play.gone(name)
    assert not set(first) & set(play.living())
    assert len(play.living()) == 3


def test_deleted_pod_is_replaced_at_once(play: Playground) -> None:
    name = play.living()[0]
    play.delete("Pod", name)
    assert terminating(play.get("Pod", name))
    assert len(play.living()) == 3


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_pod_that_ended_is_replaced_and_stays(play: Playground, phase: str) -> None:
    play.report(play.living()[0], phase=phase)
    assert len(play.living()) == 4


def test_a_pod_without_owner_is_adopted() -> None:
    play = Playground()
    play.apply(pod("mine"), pod("other", labels={"app": "other"}))
    play.apply(replica_set(2))
    assert owner(play.get("Pod", "mine")) == "web"
    assert owner(play.get("Pod", "other")) == ""
    assert len(play.living()) == 3


def test_a_pod_that_comes_to_match_is_adopted_and_is_one_too_many(play: Playground) -> None:
    play.apply(pod("late"))
    assert len(play.living()) == 3
    assert terminating(play.store.get("Pod", "default", "late") or {"metadata": {"deletionTimestamp": ""}})


def test_a_pod_whose_label_changes_is_released_and_replaced(play: Playground) -> None:
    name = play.living()[0]
    play.change("Pod", name, metadata={**play.get("Pod", name)["metadata"], "labels": {"app": "debug"}})
    assert owner(play.get("Pod", name)) == ""
    assert len(play.living()) == 4


def test_scaling_down_gives_up_pods_that_are_not_ready_first(play: Playground) -> None:
    sick = play.living()[1]
    play.report(sick, ready=False)
    play.apply(replica_set(2))
    assert sick not in play.living()


def test_scaling_down_gives_up_cheap_pods_first(play: Playground) -> None:
    cheap = play.living()[2]
    metadata = play.get("Pod", cheap)["metadata"]
    cost = {"controller.kubernetes.io/pod-deletion-cost": "-1"}
    play.change("Pod", cheap, metadata={**metadata, "annotations": cost})
    play.apply(replica_set(2))
    assert cheap not in play.living()


def test_scaling_down_evens_out_the_nodes() -> None:
    play = Playground(nodes=2)
    play.apply(replica_set(3))
    play.all_ready()
    play.apply(replica_set(2))
    assert sorted(str(play.node_of(name)) for name in play.living()) == ["node1", "node2"]


def test_status(play: Playground) -> None:
    assert play.get("ReplicaSet", "web")["status"] == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "observedGeneration": 1,
    }


def test_available_after_min_ready_seconds() -> None:
    play = Playground()
    play.apply(replica_set(1, minReadySeconds=5))
    play.all_ready()
    assert play.get("ReplicaSet", "web")["status"]["availableReplicas"] == 0
    play.later(4)
    assert play.get("ReplicaSet", "web")["status"]["availableReplicas"] == 0
    play.later(1)
    assert play.get("ReplicaSet", "web")["status"]["availableReplicas"] == 1


def test_events(play: Playground) -> None:
    before = set(play.living())
    play.apply(replica_set(2))
    (gone,) = before - set(play.living())
    reasons = [(reason, message) for reason, message, _ in play.told("ReplicaSet", "web")]
    assert ("SuccessfulDelete", f"Deleted pod: {gone}") in reasons
    assert sum(reason == "SuccessfulCreate" for reason, _ in reasons) == 3


def test_a_deletion_cost_that_is_no_number_counts_as_none(play: Playground) -> None:
    odd = play.living()[0]
    metadata = play.get("Pod", odd)["metadata"]
    cost = {"controller.kubernetes.io/pod-deletion-cost": "cheap"}
    play.change("Pod", odd, metadata={**metadata, "annotations": cost})
    play.apply(replica_set(2))
    assert len(play.living()) == 2
