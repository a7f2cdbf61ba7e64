"""StatefulSets: ordinals, order, roll-outs with a partition, adoption, status."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.controllers.revisions import HASH
from testbed.kube.objects import Manifest
from tests.unit.kube.api.builders import manifest, pod
from tests.unit.kube.controllers.playground import Playground


def stateful_set(replicas: int = 3, image: str = "x:1", **spec: Any) -> Manifest:
    containers = [{"name": "main", "image": image}]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}
    whole = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template} | spec
    return manifest("StatefulSet", "web", namespace="default", spec={"serviceName": "peers"} | whole)


@pytest.fixture
def play() -> Playground:
    """Three ready pods of the StatefulSet `web`."""
    ground = Playground()
    ground.apply(stateful_set())
    ground.all_ready()
    return ground


def images(play: Playground) -> list[str]:
    return [play.get("Pod", name)["spec"]["containers"][0]["image"] for name in play.living()]


def test_pods_come_one_after_the_other() -> None:
    play = Playground()
    play.apply(stateful_set())
    assert play.living() == ["web-0"]
    play.report("web-0")
    assert play.living() == ["web-0", "web-1"]


def test_in_parallel_all_come_at_once() -> None:
    play = Playground()
    play.apply(stateful_set(podManagementPolicy="Parallel"))
    assert play.living() == ["web-0", "web-1", "web-2"]


def test_ordinals_may_start_higher() -> None:
    play = Playground()
    play.apply(stateful_set(2, podManagementPolicy="Parallel", ordinals={"start": 5}))
    assert play.living() == ["web-5", "web-6"]


def test_a_pod_knows_who_it_is(play: Playground) -> None:
    found = play.get("Pod", "web-1")
    labels = found["metadata"]["labels"]
    assert labels["statefulset.kubernetes.io/pod-name"] == "web-1"
    assert labels["apps.kubernetes.io/pod-index"] == "1"
    assert labels[HASH] == play.get("StatefulSet", "web")["status"]["updateRevision"]
    assert (found["spec"]["hostname"], found["spec"]["subdomain"]) == ("web-1", "peers")


def test_scaling_down_ends_the_highest_first(play: Playground) -> None:
    play.apply(stateful_set(1))
    assert play.living() == ["web-0", "web-1"]
    play.gone("web-2")
    assert play.living() == ["web-0"]


def test_a_pod_that_is_gone_comes_back_under_its_name(play: Playground) -> None:
    before = play.get("Pod", "web-1")["metadata"]["uid"]
    play.delete("Pod", "web-1")
    assert play.living() == ["web-0", "web-2"]
    play.gone("web-1")
    assert play.get("Pod", "web-1")["metadata"]["uid"] != before


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_ended_is_made_anew(play: Playground, phase: str) -> None:
    before = play.get("Pod", "web-1")["metadata"]["uid"]
    play.report("web-1", phase=phase)
    assert play.get("Pod", "web-1")["metadata"]["uid"] != before


def test_a_new_template_rolls_from_the_highest_down(play: Playground) -> None:
    play.apply(stateful_set(image="x:2"))
    assert play.living() == ["web-0", "web-1"]
    play.gone("web-2")
    assert images(play) == ["x:1", "x:1", "x:2"]
    play.report("web-2")
    assert play.living() == ["web-0", "web-2"]
    play.all_ready()
    status = play.get("StatefulSet", "web")["status"]
    assert images(play) == ["x:2"] * 3
    assert status["currentRevision"] == status["updateRevision"]


def test_below_the_partition_the_old_template_stays(play: Playground) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    play.apply(stateful_set(image="x:2", updateStrategy=strategy))
    play.all_ready()
    assert images(play) == ["x:1", "x:1", "x:2"]
    play.delete("Pod", "web-0")
    play.all_ready()
    assert images(play) == ["x:1", "x:1", "x:2"]


def test_on_delete_replaces_only_what_is_deleted(play: Playground) -> None:
    play.apply(stateful_set(image="x:2", updateStrategy={"type": "OnDelete"}))
    assert images(play) == ["x:1"] * 3
    play.delete("Pod", "web-1")
    play.all_ready()
    assert images(play) == ["x:1", "x:2", "x:1"]


def test_going_back_renews_the_revision(play: Playground) -> None:
    first = play.get("StatefulSet", "web")["status"]["updateRevision"]
    play.apply(stateful_set(image="x:2"))
    play.all_ready()
    play.apply(stateful_set(image="x:1"))
    play.all_ready()
    assert play.get("StatefulSet", "web")["status"]["updateRevision"] == first
    assert play.get("ControllerRevision", first)["revision"] == 3


def test_old_revisions_beyond_the_limit_are_dropped(play: Playground) -> None:
    for number in range(2, 6):
        play.apply(stateful_set(image=f"x:{number}", revisionHistoryLimit=1))
        play.all_ready()
    assert sorted(each["revision"] for each in play.store.list("ControllerRevision")) == [4, 5]


def test_only_pods_with_a_name_of_the_set_are_adopted() -> None:
    play = Playground()
    play.apply(pod("web-0"), pod("stranger"))
    play.apply(stateful_set(1))
    owners = {name: play.get("Pod", name)["metadata"].get("ownerReferences") for name in play.living()}
    assert owners["stranger"] is None
    assert owners["web-0"] is not None


def test_a_name_that_somebody_has_is_told() -> None:
    play = Playground()
    play.apply(pod("web-0", labels={}))
    play.apply(stateful_set(1))
    reasons = {(reason, message) for reason, message, _ in play.told("StatefulSet", "web")}
    assert (
        "FailedCreate",
        'create Pod web-0 in StatefulSet web failed error: pods "web-0" already exists',
    ) in reasons


def test_claims_that_are_not_made_are_told() -> None:
    play = Playground()
    play.apply(stateful_set(1, volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": {}}]))
    assert "VolumesIgnored" in {reason for reason, _, _ in play.told("StatefulSet", "web")}


def test_status(play: Playground) -> None:
    status = dict(play.get("StatefulSet", "web")["status"])
    assert status.pop("currentRevision") == status.pop("updateRevision")
    assert status == {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "currentReplicas": 3,
        "updatedReplicas": 3,
        "collisionCount": 0,
    }


def test_min_ready_seconds_hold_the_next_pod_back() -> None:
    play = Playground()
    play.apply(stateful_set(2, minReadySeconds=5))
    play.report("web-0")
    assert play.living() == ["web-0"]
    play.later(5)
    assert play.living() == ["web-0", "web-1"]
