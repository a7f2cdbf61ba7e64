"""Weights of pods: from the pod's annotation into the slices, which is all that a proxy reads."""

from __future__ import annotations

import pytest

from testbed.kube.objects import Manifest
from testbed.kube.objects.extensions import WEIGHT, WEIGHTS
from tests.unit.kube.api.builders import pod, service
from tests.unit.kube.controllers.playground import Playground

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def weighing(name: str, text: str) -> Manifest:
    """A pod with a weight."""
    made = pod(name)
    metadata = {**made.body["metadata"], "annotations": {WEIGHT: text}}
    return Manifest({**made.body, "metadata": metadata}, made.source)


@pytest.fixture
def play() -> Playground:
    """Two ready pods behind the dual-stack Service `web`; the first weighs 3."""
    ground = Playground()
    ground.apply(service(ipFamilyPolicy="RequireDualStack"), weighing("web-1", "3"), pod("web-2"))
    ground.all_ready()
    return ground


def written(play: Playground) -> list[str]:
    """What the slices say, IPv4 first."""
    slices = sorted(play.slices(), key=lambda piece: str(piece["addressType"]))
    return [piece["metadata"]["annotations"].get(WEIGHTS, "") for piece in slices]


def warned(play: Playground) -> list[tuple[str, str, int]]:
    """The events about the second pod's weight."""
    return [event for event in play.told("Pod", "web-2") if event[0] == "InvalidWeight"]


def test_the_slice_of_each_family_names_who_weighs_otherwise(play: Playground) -> None:
    assert written(play) == ["10.244.0.1=3", "fd00:10:244::1=3"]


def test_a_changed_weight_is_followed(play: Playground) -> None:
    play.apply(weighing("web-1", "0"))
    assert written(play) == ["10.244.0.1=0", "fd00:10:244::1=0"]


def test_a_weight_taken_back_leaves_nothing(play: Playground) -> None:
    play.apply(weighing("web-1", "1"))
    assert [set(piece["metadata"]["annotations"]) for piece in play.slices()] == [{TRIGGER_TIME}] * 2


def test_a_pod_that_is_gone_is_not_named(play: Playground) -> None:
    play.gone("web-1")
    assert written(play) == ["", ""]


def test_a_weight_that_is_none_is_told_and_counts_as_one(play: Playground) -> None:
    play.apply(weighing("web-2", "heavy"))
    assert written(play) == ["10.244.0.1=3", "fd00:10:244::1=3"]
    assert warned(play) == [
        ("InvalidWeight", "testbed.dev/weight: 'heavy' is no number from 0 to 65535; it counts as 1", 1)
    ]


def test_it_is_told_once_for_each_time_that_it_is_written(play: Playground) -> None:
    play.apply(weighing("web-2", "heavy"))
    play.report("web-2", ready=False)
    play.apply(weighing("web-2", "light"))
    assert len(warned(play)) == 2
