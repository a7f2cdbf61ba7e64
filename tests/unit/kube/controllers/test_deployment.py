"""Deployments: names, owners, scaling, replacing, status."""

from __future__ import annotations

import pytest

from testbed.kube.controllers.deployment import HASH
from testbed.kube.store import terminating
from tests.unit.kube.api.builders import deployment, pod
from tests.unit.kube.controllers.playground import Playground


def living(play: Playground) -> list[str]:
    return [p["metadata"]["name"] for p in play.store.list("Pod") if not terminating(p)]


@pytest.fixture
def play() -> Playground:
    """Three ready pods of the Deployment `web`."""
    ground = Playground()
    ground.apply(deployment())
    ground.all_ready()
    return ground


def test_pods_are_numbered_from_one(play: Playground) -> None:
    assert living(play) == ["web-1", "web-2", "web-3"]


def test_pod_is_made_from_the_template(play: Playground) -> None:
    found = play.get("Pod", "web-1")
    assert found["metadata"]["labels"] == {"app": "web", HASH: found["metadata"]["labels"][HASH]}
    assert found["spec"]["containers"][0]["image"] == "x:1"


def test_pod_is_owned(play: Playground) -> None:
    (owner,) = play.get("Pod", "web-1")["metadata"]["ownerReferences"]
    uid = play.get("Deployment", "web")["metadata"]["uid"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Deployment", uid, True)


def test_annotations_of_the_template_are_taken_over() -> None:
    play = Playground()
    metadata = {"labels": {"app": "web"}, "annotations": {"note": "yes"}}
    play.apply(deployment(replicas=1, template={"metadata": metadata, "spec": {"containers": []}}))
    assert play.get("Pod", "web-1")["metadata"]["annotations"] == {"note": "yes"}


def test_names_that_are_taken_are_passed_over() -> None:
    play = Playground()
    play.apply(pod("web-2", labels={}), deployment(replicas=2))
    assert living(play) == ["web-1", "web-2", "web-3"]
    assert play.get("Deployment", "web")["status"]["replicas"] == 2


def test_scale_up_fills_the_lowest_numbers(play: Playground) -> None:
    play.apply(deployment(replicas=5))
    assert living(play) == ["web-1", "web-2", "web-3", "web-4", "web-5"]


def test_scale_down_ends_the_highest_numbers(play: Playground) -> None:
    play.apply(deployment(replicas=1))
    assert living(play) == ["web-1"]


def test_scale_down_ends_pods_that_are_not_ready_first(play: Playground) -> None:
    play.report("web-1", ready=False)
    play.apply(deployment(replicas=2))
    assert living(play) == ["web-2", "web-3"]


def test_ended_gracefully(play: Playground) -> None:
    play.apply(deployment(replicas=2))
    assert terminating(play.get("Pod", "web-3"))


def test_deleted_pod_is_replaced_at_once_under_a_free_name(play: Playground) -> None:
    play.delete("Pod", "web-2")
    assert living(play) == ["web-1", "web-3", "web-4"]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_pod_that_ended_is_replaced(play: Playground, phase: str) -> None:
    before = play.get("Pod", "web-2")["metadata"]["uid"]
    play.report("web-2", phase=phase)
    assert living(play) == ["web-1", "web-2", "web-3"]
    assert play.get("Pod", "web-2")["metadata"]["uid"] != before


def test_pod_that_is_gone_is_replaced(play: Playground) -> None:
    play.gone("web-2")
    assert living(play) == ["web-1", "web-2", "web-3"]


def test_new_template_rolls_through(play: Playground) -> None:
    play.apply(deployment(image="x:2"))
    assert len(living(play)) == 4, "one pod more while the others serve"
    play.all_ready()
    images = {p["spec"]["containers"][0]["image"] for p in play.store.list("Pod")}
    assert images == {"x:2"}
    assert len(living(play)) == 3


def test_roll_out_keeps_the_least_number_ready(play: Playground) -> None:
    play.apply(deployment(image="x:2"))
    while waiting := [p for p in living(play) if not play.get("Pod", p)["status"].get("podIPs")]:
        play.report(waiting[0])
        assert len(play.ready_pods()) >= 3


def test_back_to_the_old_template_ends_the_new_pods(play: Playground) -> None:
    play.apply(deployment(image="x:2"))
    play.apply(deployment(image="x:1"))
    assert living(play) == ["web-1", "web-2", "web-3"]


def test_recreate_ends_all_first(play: Playground) -> None:
    play.apply(deployment(image="x:2", strategy={"type": "Recreate"}))
    assert living(play) == ["web-4", "web-5", "web-6"]
    assert all(terminating(play.get("Pod", f"web-{n}")) for n in (1, 2, 3))


def test_deployment_of_nothing() -> None:
    play = Playground()
    play.apply(deployment(replicas=0))
    assert living(play) == []


def test_status_when_all_is_well(play: Playground) -> None:
    status = dict(play.get("Deployment", "web")["status"])
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status.pop("conditions")}
    assert status == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 0,
    }
    assert conditions == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_status_while_pods_start() -> None:
    play = Playground()
    play.apply(deployment())
    status = play.get("Deployment", "web")["status"]
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert (status["replicas"], status["readyReplicas"], status["unavailableReplicas"]) == (3, 0, 3)
    assert conditions == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "ReplicaSetUpdated"),
    }


def test_status_follows_the_generation(play: Playground) -> None:
    play.apply(deployment(replicas=4))
    assert play.get("Deployment", "web")["status"]["observedGeneration"] == 2


def test_condition_keeps_its_time_while_its_status_stays(play: Playground) -> None:
    def available() -> str:
        conditions = play.get("Deployment", "web")["status"]["conditions"]
        return next(c["lastTransitionTime"] for c in conditions if c["type"] == "Available")

    old = [{**c, "lastTransitionTime": "2020-01-01T00:00:00Z"}
           for c in play.get("Deployment", "web")["status"]["conditions"]]  # fmt: skip
    play.change("Deployment", "web", status={**play.get("Deployment", "web")["status"], "conditions": old})
    play.apply(deployment(replicas=4))
    play.all_ready()
    assert available() == "2020-01-01T00:00:00Z"


def test_two_deployments_do_not_meet() -> None:
    play = Playground()
    play.apply(deployment("a", 2), deployment("b", 2))
    play.apply(deployment("a", 1))
    assert living(play) == ["a-1", "b-1", "b-2"]


def test_rest_makes_no_new_version(play: Playground) -> None:
    version = play.store.version
    play.change("Pod", "web-1")
    assert play.store.version == version
