"""Deployments: their ReplicaSets, roll-outs, going back, scaling, status."""

from __future__ import annotations

import pytest

from testbed.kube.controllers.deployment import HASH
from testbed.kube.controllers.revisionhistory import REVISION, annotated
from testbed.kube.store import Object, end, terminating
from tests.unit.kube.api.builders import deployment
from tests.unit.kube.controllers.playground import Playground


@pytest.fixture
def play() -> Playground:
    """Three ready pods of the Deployment `web`."""
    ground = Playground()
    ground.apply(deployment())
    ground.all_ready()
    return ground


def sizes(play: Playground) -> list[int]:
    """The replicas that each set is to have, in the order of their revisions."""
    sets = sorted(play.store.list("ReplicaSet"), key=lambda each: revision(each))
    return [each["spec"]["replicas"] for each in sets]


def revision(obj: Object) -> int:
    return int(obj["metadata"]["annotations"][REVISION])


def images(play: Playground) -> set[str]:
    return {play.get("Pod", name)["spec"]["containers"][0]["image"] for name in play.living()}


def condition(play: Playground, kind: str) -> tuple[str, str]:
    conditions = play.get("Deployment", "web")["status"]["conditions"]
    return next((c["status"], c["reason"]) for c in conditions if c["type"] == kind)


def test_its_set_is_called_by_the_hash_of_the_template(play: Playground) -> None:
    (found,) = play.store.list("ReplicaSet")
    label = found["metadata"]["labels"][HASH]
    assert found["metadata"]["name"] == f"web-{label}"
    assert found["spec"]["selector"]["matchLabels"] == {"app": "web", HASH: label}
    assert found["spec"]["template"]["metadata"]["labels"] == {"app": "web", HASH: label}


def test_equal_input_gives_equal_names(play: Playground) -> None:
    again = Playground()
    again.apply(deployment())
    assert again.living() == play.living()


def test_first_revision_is_one(play: Playground) -> None:
    (found,) = play.store.list("ReplicaSet")
    assert (revision(found), revision(play.get("Deployment", "web"))) == (1, 1)


def test_annotations_of_the_template_are_the_pods(play: Playground) -> None:
    metadata = {"labels": {"app": "web"}, "annotations": {"note": "yes"}}
    play.apply(deployment("web", template={"metadata": metadata, "spec": {"containers": [{"name": "main"}]}}))
    new = [play.get("Pod", name)["metadata"].get("annotations") for name in play.living()]
    assert {"note": "yes"} in new


def test_why_it_came_may_be_told_later(play: Playground) -> None:
    """`kubectl annotate` after the change (`SetNewReplicaSetAnnotations`)."""
    play.store.mutate(
        "Deployment", "default", "web", lambda obj: annotated(obj, {"kubernetes.io/change-cause": "so"})
    )
    play.settle()
    (found,) = play.store.list("ReplicaSet")
    assert found["metadata"]["annotations"]["kubernetes.io/change-cause"] == "so"


@pytest.mark.parametrize("replicas", [5, 1, 0])
def test_scaling_keeps_the_set(play: Playground, replicas: int) -> None:
    play.apply(deployment(replicas=replicas))
    assert (len(play.living()), sizes(play)) == (replicas, [replicas])


def test_new_template_rolls_through(play: Playground) -> None:
    play.apply(deployment(image="x:2"))
    assert (len(play.living()), sizes(play)) == (4, [3, 1]), "one pod more while the others serve"
    play.all_ready()
    assert (images(play), sizes(play)) == ({"x:2"}, [0, 3])


def test_a_roll_out_keeps_the_least_number_ready(play: Playground) -> None:
    play.apply(deployment(image="x:2"))
    while waiting := [p for p in play.living() if not play.get("Pod", p)["status"].get("podIPs")]:
        play.report(waiting[0])
        assert len(play.ready_pods()) >= 3


def test_going_back_takes_the_old_set_with_a_new_revision(play: Playground) -> None:
    (first,) = play.names("ReplicaSet")
    play.apply(deployment(image="x:2"))
    play.all_ready()
    play.apply(deployment(image="x:1"))
    play.all_ready()
    found = play.get("ReplicaSet", first)
    assert (images(play), sizes(play), revision(found)) == ({"x:1"}, [0, 3], 3)
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"


def test_turning_back_amid_a_roll_out(play: Playground) -> None:
    before = play.living()
    play.apply(deployment(image="x:2"))
    play.apply(deployment(image="x:1"))
    assert play.living() == before


def test_old_sets_beyond_the_limit_are_dropped(play: Playground) -> None:
    for number in range(2, 6):
        play.apply(deployment(image=f"x:{number}", revisionHistoryLimit=2))
        play.all_ready()
    assert sorted(revision(each) for each in play.store.list("ReplicaSet")) == [3, 4, 5]


def test_recreate_waits_until_the_old_pods_are_gone(play: Playground) -> None:
    play.apply(deployment(image="x:2", strategy={"type": "Recreate"}))
    old = [p["metadata"]["name"] for p in play.store.list("Pod")]
    assert play.living() == []
    for name in old[:-1]:
        play.gone(name)
    assert play.living() == []
    play.gone(old[-1])
    assert len(play.living()) == 3


def test_a_paused_one_does_not_roll_but_scales(play: Playground) -> None:
    play.apply(deployment(image="x:2", replicas=4, paused=True))
    assert (images(play), sizes(play)) == ({"x:1"}, [4])
    assert condition(play, "Progressing") == ("Unknown", "DeploymentPaused")


def test_scaling_amid_a_roll_out_is_shared_out(play: Playground) -> None:
    play.apply(deployment(image="x:2"))
    play.apply(deployment(image="x:2", replicas=6))
    assert sum(sizes(play)) == 8, "with maxSurge 25 % of 6"
    assert min(sizes(play)) >= 2


def test_min_ready_seconds_hold_the_roll_out_up(play: Playground) -> None:
    play.apply(deployment(image="x:2", minReadySeconds=10))
    play.all_ready()
    assert sizes(play) == [3, 1]
    play.later(10)
    assert sizes(play) == [2, 2]


def test_too_slow_a_roll_out_is_told(play: Playground) -> None:
    play.apply(deployment(image="x:2", progressDeadlineSeconds=60))
    assert condition(play, "Progressing") == ("True", "ReplicaSetUpdated")
    play.later(62)
    assert condition(play, "Progressing") == ("False", "ProgressDeadlineExceeded")
    play.all_ready()
    assert condition(play, "Progressing") == ("True", "NewReplicaSetAvailable")


def test_events_tell_of_each_scaling(play: Playground) -> None:
    (name,) = play.names("ReplicaSet")
    play.apply(deployment(replicas=1))
    assert play.told("Deployment", "web") == [
        ("ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 3", 1),
        ("ScalingReplicaSet", f"Scaled down replica set {name} from 3 to 1", 1),
    ]


def test_deployment_of_nothing() -> None:
    play = Playground()
    play.apply(deployment(replicas=0))
    assert (play.living(), sizes(play)) == ([], [0])


def test_status_when_all_is_well(play: Playground) -> None:
    status = dict(play.get("Deployment", "web")["status"])
    del status["conditions"]
    assert status == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "unavailableReplicas": 0,
    }
    assert condition(play, "Available") == ("True", "MinimumReplicasAvailable")
    assert condition(play, "Progressing") == ("True", "NewReplicaSetAvailable")


def test_status_while_pods_start() -> None:
    play = Playground()
    play.apply(deployment())
    status = play.get("Deployment", "web")["status"]
    assert (status["replicas"], status["readyReplicas"], status["unavailableReplicas"]) == (3, 0, 3)
    assert condition(play, "Available") == ("False", "MinimumReplicasUnavailable")
    assert condition(play, "Progressing") == ("True", "ReplicaSetUpdated")


def test_status_follows_the_generation(play: Playground) -> None:
    play.apply(deployment(replicas=4))
    assert play.get("Deployment", "web")["status"]["observedGeneration"] == 2


def test_condition_keeps_its_time_while_its_status_stays(play: Playground) -> None:
    def available() -> str:
        conditions = play.get("Deployment", "web")["status"]["conditions"]
        return next(c["lastTransitionTime"] for c in conditions if c["type"] == "Available")

    before = available()
    play.later(100)
    play.apply(deployment(replicas=4, minReadySeconds=0))
    play.all_ready()
    assert available() == before


def test_one_that_is_told_to_end_makes_nothing_more(play: Playground) -> None:
    end(play.store, play.get("Deployment", "web"), finalizers=("held",))
    play.settle()
    assert terminating(play.get("Deployment", "web"))
    end(play.store, play.store.list("ReplicaSet")[0])
    play.settle()
    assert play.names("ReplicaSet") == []


def test_two_deployments_do_not_meet() -> None:
    play = Playground()
    play.apply(deployment("a", 2), deployment("b", 2))
    play.apply(deployment("a", 1))
    assert sorted(name.partition("-")[0] for name in play.living()) == ["a", "b", "b"]


def test_rest_makes_no_new_version(play: Playground) -> None:
    version = play.store.version
    play.change("Pod", play.living()[0])
    assert play.store.version == version
