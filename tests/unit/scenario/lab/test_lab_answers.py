"""What people type, held against what was seen."""

from __future__ import annotations

import pytest

from testbed.scenario.lab.answers import Compare, agrees

THIRDS = ("0.33333333349", "0.50000000000", "1")


@pytest.mark.parametrize(
    "answer",
    ["1/3 1/2 1", "0.33 0.5 1", "33.3%, 50%, 100%", "0.333333 0.5 1.0", "0.33333333349 0.50000000000 1"],
)
def test_one_number_is_spelled_in_many_ways(answer: str) -> None:
    assert agrees(answer, THIRDS, Compare.NUMBERS)


@pytest.mark.parametrize(
    "answer", ["0.3 0.5 1", "1/2 1/3 1", "1/3 1/2", "1/3 1/2 one", "1/0 1/2 1", "", "1/3 1/2 1 1"]
)
def test_other_numbers_are_others(answer: str) -> None:
    assert not agrees(answer, THIRDS, Compare.NUMBERS)


@pytest.mark.parametrize(
    "answer", ["web-1 web-2", "web-2, web-1", "pod/web-1 pod/web-2", "WEB-2; web-1", "web-1 web-1 web-2"]
)
def test_a_set_has_no_order(answer: str) -> None:
    assert agrees(answer, ("web-1", "web-2"), Compare.SET)


@pytest.mark.parametrize("answer", ["web-1", "web-1 web-2 web-3", "none", "web-12"])
def test_a_set_is_whole(answer: str) -> None:
    assert not agrees(answer, ("web-1", "web-2"), Compare.SET)


@pytest.mark.parametrize(
    ("answer", "right"),
    [("kube-svc-abc", True), ("'KUBE-SVC-ABC'", True), ("KUBE-SVC-ABD", False), ("KUBE-SVC-ABC x", False)],
)
def test_a_word_is_that_word(answer: str, right: bool) -> None:
    assert agrees(answer, ("KUBE-SVC-ABC",), Compare.WORDS) is right


@pytest.mark.parametrize("compare", Compare)
@pytest.mark.parametrize(
    ("answer", "right"), [("none", True), ("Nobody", True), ("web-1", False), ("none none", False)]
)
def test_nothing_is_an_answer_too(compare: Compare, answer: str, right: bool) -> None:
    assert agrees(answer, (), compare) is right
