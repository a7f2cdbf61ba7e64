"""The judge of churn: which outcome is right depends on the log of changes alone."""

from __future__ import annotations

import pytest

from tests.net.churn.history import Seen, State, Timeline, Way, complaint

INSIDE = Way("web", external=False, local=frozenset({"a"}))
OUTSIDE = Way("web", external=True, local=frozenset({"a"}))


def state(pods: str, internal: str = "Cluster", external: str = "Cluster") -> State:
    return State(frozenset(pods), internal, external)


@pytest.fixture
def timeline() -> Timeline:
    """a and b; from 10 b alone (obeyed at 11); from 20 none (21); from 30 c (31); from 40 c by Local only (41)."""
    made = Timeline()
    made.add(0.0, 1.0, state("ab"))
    made.add(10.0, 11.0, state("b"))
    made.add(20.0, 21.0, state(""))
    made.add(30.0, 31.0, state("c"))
    made.add(40.0, 41.0, state("c", internal="Local"))
    return made


def seen(what: str, began: float, outcome: str, pod: str = "", way: Way = INSIDE) -> Seen:
    return Seen(what, way, began, began + 0.1, outcome, pod, "")


RIGHT = [
    pytest.param(seen("tcp", 5.0, "answered", "a"), id="an endpoint"),
    pytest.param(seen("tcp", 10.5, "answered", "a"), id="the old one while the change is on its way"),
    pytest.param(seen("tcp", 10.5, "answered", "b"), id="the new one while the change is on its way"),
    pytest.param(seen("udp", 20.5, "refused"), id="refused while the last endpoint goes"),
    pytest.param(seen("udp", 25.0, "refused"), id="refused without endpoints"),
    pytest.param(seen("udp", 30.5, "refused"), id="refused while the first one comes"),
    pytest.param(
        seen("flow", 25.0, "answered", "b"), id="a flow stays where it was if there is no other place"
    ),
    pytest.param(
        seen("flow", 10.5, "silent"), id="a flow's datagram that was on its way when the flow was forgotten"
    ),
    pytest.param(
        seen("udp", 10.5, "silent"), id="a new exchange that was on its way to the endpoint that goes"
    ),
    pytest.param(
        seen("flow", 30.5, "silent"), id="a flow that was kept is forgotten when another endpoint comes"
    ),
    pytest.param(seen("flow", 50.0, "answered", "c"), id="a flow goes on across nodes under policy Local"),
    pytest.param(seen("tcp", 50.0, "silent"), id="dropped where policy Local leaves none"),
    pytest.param(seen("tcp", 50.0, "answered", "c", OUTSIDE), id="the other policy is not concerned"),
    pytest.param(
        seen("long", 25.0, "answered", "a"), id="a standing connection to a pod that is no endpoint"
    ),
]

WRONG = [
    pytest.param(seen("tcp", 10.5, "silent"), "lost, with", id="a connection lost while an endpoint goes"),
    pytest.param(
        seen("flow", 20.5, "silent"), "lost, with", id="a flow's datagram lost though no flow was forgotten"
    ),
    pytest.param(seen("tcp", 5.0, "answered", "c"), "delivered to c", id="never an endpoint so far"),
    pytest.param(seen("tcp", 11.5, "answered", "a"), "delivered to a", id="no endpoint any more"),
    pytest.param(seen("flow", 11.5, "answered", "a"), "delivered to a", id="a flow that was not moved"),
    pytest.param(seen("flow", 31.5, "answered", "b"), "delivered to b", id="a flow that was kept too long"),
    pytest.param(seen("udp", 25.0, "answered", "b"), "delivered to b", id="a new exchange without endpoints"),
    pytest.param(seen("tcp", 5.0, "refused"), "refused, with", id="refused with endpoints"),
    pytest.param(seen("tcp", 10.5, "refused"), "refused, with", id="refused between two sets of endpoints"),
    pytest.param(seen("tcp", 20.5, "silent"), "lost, with", id="lost while the last endpoint goes"),
    pytest.param(seen("tcp", 30.5, "silent"), "lost, with", id="lost while the first one comes"),
    pytest.param(
        seen("flow", 5.0, "silent"), "lost, with", id="a flow's datagram lost with nothing going on"
    ),
    pytest.param(seen("tcp", 50.0, "answered", "c"), "delivered to c", id="policy Local disobeyed"),
    pytest.param(seen("tcp", 50.0, "silent", way=OUTSIDE), "lost, with", id="dropped by the other policy"),
    pytest.param(
        seen("long", 25.0, "broken", "a"), "a standing connection to a", id="a standing connection broke"
    ),
    pytest.param(seen("udp", 5.0, "broken"), "broken", id="anything else"),
]


@pytest.mark.parametrize("one", RIGHT)
def test_right(timeline: Timeline, one: Seen) -> None:
    assert complaint(one, timeline) == ""


@pytest.mark.parametrize(("one", "words"), WRONG)
def test_wrong(timeline: Timeline, one: Seen, words: str) -> None:
    assert words in complaint(one, timeline)


@pytest.mark.parametrize(("began", "wrong"), [(5.0, True), (50.0, False)])
def test_an_answer_to_the_second_syn_tells_that_the_first_was_lost(
    timeline: Timeline, began: float, wrong: bool
) -> None:
    """At 50 policy Local drops, and at 51.5 it does so no more."""
    timeline.add(51.5, 51.6, state("ac"))
    one = Seen("tcp", INSIDE, began, began + 2.0, "answered", "a", "sent again")
    assert bool(complaint(one, timeline)) is wrong
