"""Events: told, counted, forgotten."""

from __future__ import annotations

import pytest

from testbed.kube.controllers import events
from testbed.kube.controllers.events import record, warn
from tests.unit.kube.api.builders import namespace, pod
from tests.unit.kube.controllers.playground import Playground


@pytest.fixture
def play() -> Playground:
    """One pod that nobody schedules."""
    ground = Playground()
    ground.apply(pod("a", schedulingGates=[{"name": "no"}]))
    return ground


def test_what_an_event_says(play: Playground) -> None:
    warn(play.store, "kubelet", play.get("Pod", "a"), "Unhealthy", "no answer")
    (event,) = play.store.list("Event")
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Unhealthy", "no answer")
    assert event["involvedObject"]["uid"] == play.get("Pod", "a")["metadata"]["uid"]
    assert event["source"] == {"component": "kubelet"}
    assert event["metadata"]["name"].startswith("a.")


def test_the_same_again_is_counted(play: Playground) -> None:
    for _ in range(3):
        record(play.store, "kubelet", play.get("Pod", "a"), "Killing", "bye")
        play.later(10)
    (event,) = play.store.list("Event")
    assert event["count"] == 3
    assert event["firstTimestamp"] < event["lastTimestamp"]


def test_an_object_made_anew_starts_anew(play: Playground) -> None:
    record(play.store, "kubelet", play.get("Pod", "a"), "Killing", "bye")
    play.delete("Pod", "a")
    play.apply(pod("a", schedulingGates=[{"name": "no"}]))
    record(play.store, "kubelet", play.get("Pod", "a"), "Killing", "bye")
    assert play.told("Pod", "a") == [("Killing", "bye", 1)]


def test_nothing_is_told_into_a_namespace_that_ends(play: Playground) -> None:
    play.apply(namespace("team"))
    play.apply(pod("b", namespace="team"))
    obj = play.get("Pod", "b", "team")
    play.store.mutate("Namespace", "", "team", lambda old: {
        **old, "metadata": {**old["metadata"], "deletionTimestamp": "2027-01-01T00:00:00Z"}})  # fmt: skip
    before = len(play.store.list("Event"))
    record(play.store, "kubelet", obj, "Killing", "bye")
    assert len(play.store.list("Event")) == before


def test_after_an_hour_it_is_forgotten(play: Playground) -> None:
    record(play.store, "kubelet", play.get("Pod", "a"), "Killing", "bye")
    play.settle()
    play.later(events.KEPT_SECONDS - 1)
    assert play.told("Pod", "a")
    play.later(2)
    assert not play.told("Pod", "a")


def test_what_happens_again_is_kept_from_its_last_time(play: Playground) -> None:
    for _ in range(2):
        record(play.store, "kubelet", play.get("Pod", "a"), "Killing", "bye")
        play.later(events.KEPT_SECONDS - 1)
    assert play.told("Pod", "a") == [("Killing", "bye", 2)]


def test_the_oldest_of_too_many_are_forgotten(play: Playground) -> None:
    for number in range(events.KEPT_IN_NAMESPACE + 5):
        record(play.store, "kubelet", play.get("Pod", "a"), "Killing", str(number))
    play.settle()
    told = {message for _, message, _ in play.told("Pod", "a")}
    assert len(told) == events.KEPT_IN_NAMESPACE
    assert "0" not in told


def test_an_event_with_a_time_that_is_none_is_forgotten(play: Playground) -> None:
    metadata = {"name": "odd", "namespace": "default"}
    play.store.create({"kind": "Event", "metadata": metadata, "involvedObject": {"kind": "Pod", "name": "a"},
                       "lastTimestamp": "yesterday"})  # fmt: skip
    play.settle()
    assert "odd" not in play.names("Event")
