"""Verdicts: what passes, what does not, and what is said."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.scenario.lab.judge import Verdict, judge
from testbed.scenario.lab.running import Answer
from testbed.scenario.lab.spec import Fact, Solution, Task
from tests.unit.scenario.lab import scene

CHAIN: Fact = {"serviceChain": {"node": "node1", "service": "web"}}
HERE = {"node": "node1", "port": 30080}


def task(answer: Fact | None = None, *checks: Fact, **more: Any) -> Task:
    whole = {"wrong": (), "after": (), **more}
    return Task(
        name="one", number=1, title="One", text="Do it.", answer=answer, checks=checks, hints=("a", "b"),
        solution=Solution("so", ("testbed inspect",)), **whole,
    )  # fmt: skip


def said(verdict: Verdict) -> str:
    return verdict.findings[-1].text


def connections(arguments: dict[str, Any], *answers: Answer) -> Verdict:
    check = {"connections": {"from": "client1", "to": HERE, "count": 4, **arguments}}
    return judge(task(None, check), None, {}, scene.cluster(network=scene.in_turn(*answers)))


def answered(pod: str, source: str = "203.0.113.11") -> Answer:
    return Answer("answered", pod, source)


def test_a_right_answer_is_told_what_was_seen() -> None:
    verdict = judge(task(CHAIN), scene.SVC, {}, scene.cluster())
    assert verdict.passed
    assert said(verdict) == f"right: on node1 KUBE-SERVICES sends 10.96.0.80:80 to {scene.SVC}"


def test_a_wrong_answer_is_not_told_the_right_one() -> None:
    verdict = judge(task(CHAIN), "KUBE-SVC-NONE", {}, scene.cluster())
    assert not verdict.passed
    assert scene.SVC not in said(verdict)


def test_a_known_mistake_is_explained() -> None:
    verdict = judge(
        task(CHAIN, wrong=(("KUBE-SERVICES", "you begin there"),)), "kube-services", {}, scene.cluster()
    )
    assert said(verdict).endswith("you begin there")


def test_what_was_taken_for_it_is_explained() -> None:
    assert "10.96.0.70/32" in said(judge(task(CHAIN), "KUBE-SVC-API", {}, scene.cluster()))


def test_no_answer_is_none() -> None:
    assert said(judge(task(CHAIN), None, {}, scene.cluster())) == "no answer yet"


def test_a_task_waits_for_those_before_it() -> None:
    later = task(CHAIN, after=("first", "second"))
    assert said(judge(later, scene.SVC, {"first": []}, scene.cluster())) == "comes after second"
    assert judge(later, scene.SVC, {"first": [], "second": []}, scene.cluster()).passed


def test_what_must_be_so_comes_before_the_answer() -> None:
    number: Fact = {"fact": {"see": {"numberOfEndpoints": {"service": "web"}}, "is": "3"}}
    verdict = judge(task(CHAIN, number), scene.SVC, {}, scene.cluster())
    assert [finding.text for finding in verdict.findings] == ["Service web has 2 endpoints; expected 3"]


def test_what_is_not_there_is_a_finding() -> None:
    missing: Fact = {"serviceChain": {"node": "node1", "service": "nosuch"}}
    assert said(judge(task(missing), "KUBE-X", {}, scene.cluster())) == "there is no Service nosuch"


def test_connections_tell_who_answered_and_what_was_seen() -> None:
    verdict = connections({"pods": ["web-1"], "source": "client1"}, answered("web-1"))
    assert verdict.passed
    way = "4 of 4 connections from client1 to node1:30080"
    assert said(verdict) == f"{way}: answered by web-1 (4) with source 203.0.113.11"


@pytest.mark.parametrize(
    ("arguments", "answers", "words"),
    [
        ({"pods": ["web-1"]}, [answered("web-1"), answered("web-2")], "expected answers by web-1"),
        ({"pods": ["web-1", "web-2"]}, [answered("web-1")], "expected answers by web-1, web-2, by each"),
        ({"source": "client1"}, [answered("web-1", "192.168.0.1")], "expected source 203.0.113.11 (client1)"),
        ({"onePod": True}, [answered("web-1"), answered("web-2")], "expected one and the same pod each time"),
        ({"pods": ["web-1"]}, [Answer("refused")], "4 refused; expected all to be answered"),
        (
            {},
            [answered("web-1"), Answer("failed", note="reset")],
            "2 failed (reset); expected all to be answered",
        ),
        ({"outcome": "dropped"}, [answered("web-1")], "expected all to be dropped"),
    ],
)
def test_connections_that_meet_something_else(
    arguments: dict[str, Any], answers: list[Answer], words: str
) -> None:
    verdict = connections(arguments, *answers)
    assert not verdict.passed
    assert words in said(verdict)


def test_a_refusal_can_be_what_is_wanted() -> None:
    assert connections({"outcome": "refused"}, Answer("refused")).passed


def forgets(*answers: Answer) -> Verdict:
    check = {"forgets": {"from": ["client1"], "to": HERE, "rounds": 3, "pause": 2.5}}
    return judge(task(None, check), None, {}, scene.cluster(network=scene.in_turn(*answers)))


def test_who_meets_another_pod_after_a_pause_was_forgotten() -> None:
    verdict = forgets(answered("web-1"), answered("web-1"), answered("web-2"), answered("web-2"))
    assert verdict.passed
    assert "after 2.5 s of silence 2 of 2 connections met another pod" in said(verdict)


def test_who_meets_the_same_pod_for_ever_was_not() -> None:
    assert not forgets(answered("web-1")).passed


def test_to_forget_within_a_moment_is_no_affinity() -> None:
    assert "within one moment" in said(forgets(answered("web-1"), answered("web-2")))


def test_to_forget_is_nothing_without_an_answer() -> None:
    assert not forgets(Answer("dropped")).passed
