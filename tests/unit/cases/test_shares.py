"""How connections are shared out: what passes, and every way of not passing."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.net.answer import Answer
from tests.net.case import Destination, Expect, Host, Outcome, Packet
from tests.net.judge import judge
from tests.net.shares import Row, met, row_complaints

PODS = ("pod/a", "pod/b", "pod/c")


def packet(expect: Expect, count: int, sender: str = "x", sources: int = 0, to: str = "web") -> Packet:
    return Packet(
        Host("client", sender), Destination("service", to), "TCP", "IPv4", count, expect, sources=sources
    )


def by(pods: str) -> list[Answer]:
    """Answers of the pods with these letters; `.` is a refusal."""
    identity = {"port": 8080, "clientAddress": "203.0.113.11:4711"}
    return [
        Answer("refused", {}) if pod == "." else Answer("answered", {"pod": pod, **identity}) for pod in pods
    ]


def counted(
    pods: str, *, ranks: Sequence[int] = (), counts: Sequence[tuple[str, int]] = (), within: int = 0
) -> str:
    expect = Expect(Outcome.ANSWERED, PODS, counts=tuple(counts), ranks=tuple(ranks), within=within)
    return "\n".join(judge(packet(expect, len(pods)), by(pods), {}))


@pytest.mark.parametrize(
    ("pods", "ranks", "within"),
    [
        ("aabab", (3, 2), 0),
        ("bbb", (3,), 0),
        ("aaabb", (2, 2), 1),
        ("abc", (1, 1, 1), 0),
        ("aab", (2, 1, 0), 0),
    ],
)
def test_ranks_that_are_met(pods: str, ranks: tuple[int, ...], within: int) -> None:
    assert counted(pods, ranks=ranks, within=within) == ""


@pytest.mark.parametrize(
    ("pods", "ranks", "within", "told"),
    [
        ("aaab", (2, 2), 0, "pod/a 3, pod/b 1, expected [2, 2] from the busiest on"),
        ("aaab", (4,), 0, "pod/a 3, pod/b 1, expected [4]"),
        ("aaaab", (2, 2), 1, "give or take 1"),
    ],
)
def test_ranks_that_are_not_met(pods: str, ranks: tuple[int, ...], within: int, told: str) -> None:
    assert told in counted(pods, ranks=ranks, within=within)


def test_counts_name_who_gets_how_many() -> None:
    wanted = (("pod/a", 1), ("pod/b", 2), ("pod/c", 0))
    assert counted("bab", counts=wanted) == ""
    assert "pod/a 2, pod/b 1, expected pod/a 1, pod/b 2, pod/c 0" in counted("aba", counts=wanted)


def test_a_count_may_be_off_by_what_it_says() -> None:
    assert counted("aba", counts=(("pod/a", 1), ("pod/b", 2)), within=1) == ""


def test_an_endpoint_that_is_not_named_is_told() -> None:
    expect = Expect(Outcome.ANSWERED, ("pod/a",), ranks=(2,))
    assert "answered by pod/b, expected pod/a" in "\n".join(judge(packet(expect, 3), by("aab"), {}))


def stuck(what: str, *rows: tuple[str, str, int, str]) -> str:
    """What is told of packets (sender, destination, sources, answers) that shall stick."""
    expect = Expect(Outcome.ANSWERED, PODS, sticks=what)
    row: Row = [(packet(expect, len(pods), who, n, to), by(pods)) for who, to, n, pods in rows]
    return "\n".join(row_complaints(row, {}))


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        ("source", [("x", "web", 0, "aaa"), ("y", "web", 0, "bb")]),
        ("source", [("x", "web", 3, "abcabc")]),
        ("source", [("x", "web", 0, "aa"), ("x", "api", 0, "aa"), ("y", "web", 0, "c")]),
        ("destination", [("x", "web", 2, "aaaa"), ("y", "web", 0, "a"), ("x", "api", 0, "b")]),
    ],
)
def test_who_sticks_as_it_should(what: str, rows: list[tuple[str, str, int, str]]) -> None:
    assert stuck(what, *rows) == ""


@pytest.mark.parametrize(
    ("what", "rows", "told"),
    [
        ("source", [("x", "web", 0, "aba"), ("y", "web", 0, "b")], "client/x 0 IPv4 met pod/a pod/b"),
        ("source", [("x", "web", 3, "abcabb")], "client/x 2 IPv4 met pod/b pod/c"),
        ("source", [("x", "web", 0, "aa"), ("y", "web", 0, "a")], "all 2 of a source met the same endpoint"),
        (
            "destination",
            [("x", "web", 0, "a"), ("y", "web", 0, "b"), ("x", "api", 0, "a")],
            "service/web TCP IPv4 met pod/a pod/b",
        ),
        ("destination", [("x", "web", 0, "a"), ("x", "api", 0, "a")], "all 2 of a destination met"),
    ],
)
def test_who_does_not_stick(what: str, rows: list[tuple[str, str, int, str]], told: str) -> None:
    assert told in stuck(what, *rows)


def moved(before: str, now: str, most: float = 0.25, left: tuple[str, ...] = PODS) -> str:
    """What is told when each of a client's addresses met one endpoint before and one now."""
    expect = Expect(Outcome.ANSWERED, left, moved=most, since="first")
    first = [(packet(expect, len(before), sources=len(before)), by(before))]
    later = [(packet(expect, len(now), sources=len(now)), by(now))]
    return "\n".join(row_complaints(later, {"first": met(first)}))


@pytest.mark.parametrize(
    ("before", "now", "left"),
    [
        ("abcabcab", "abcabcab", PODS),
        ("abcabcab", "abcabcbb", PODS),
        ("ccccaabb", "abababbb", ("pod/a", "pod/b")),
        ("aabb", "aab.", PODS),
    ],
)
def test_few_enough_moved(before: str, now: str, left: tuple[str, ...]) -> None:
    assert moved(before, now, left=left) == ""


def test_too_many_moved() -> None:
    assert "3 of 8 flows moved, expected at most 25%" in moved("abcabcab", "bcaabcab")


def test_moving_cannot_be_judged_where_nobody_is_left() -> None:
    assert "no flow of row first is left to compare" in moved("cc", "ab", left=("pod/a", "pod/b"))
