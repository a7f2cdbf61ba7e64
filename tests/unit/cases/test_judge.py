"""Verdicts over recorded answers: what passes, and every way of not passing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from tests.net.answer import Answer
from tests.net.case import Destination, Expect, Host, Outcome, Packet
from tests.net.judge import is_even, judge

OWNERS = {"10.244.0.5": "pod/a", "192.168.0.1": "node/node1", "fd00:10:244::5": "pod/a"}
BOTH = ("pod/web-1", "pod/web-2")
SILENT, REFUSED = Answer("silent", {}), Answer("refused", {})


def packet(expect: Expect, count: int) -> Packet:
    return Packet(Host("pod", "a"), Destination("service", "web"), "TCP", "IPv4", count, expect)


def by(pod: str, client: str = "10.244.0.5:4711", port: int = 8080, again: bool = False) -> Answer:
    return Answer("answered", {"pod": pod, "port": port, "clientAddress": client}, again)


def told(expect: Expect, *answers: Answer) -> str:
    """What the judge says of these answers, in one text; empty if they pass."""
    return "\n".join(judge(packet(expect, len(answers)), answers, OWNERS))


def http(status: int, **body: object) -> Answer:
    return Answer("answered", {"status": status, "body": body})


ANSWERED = Expect(Outcome.ANSWERED, BOTH)
LOCAL = Expect(Outcome.ANSWERED, ("pod/web-1",))
PORT = Expect(Outcome.ANSWERED, ("pod/web-1:8080",))
SENDER = Expect(Outcome.ANSWERED, ("pod/web-1",), source="sender")
NODE = Expect(Outcome.ANSWERED, ("pod/web-1",), source="node/node1")
AFFINE = Expect(Outcome.ANSWERED, BOTH, affinity="kept")
EXPIRES = Expect(Outcome.ANSWERED, BOTH, affinity="expires")
HEALTHY = Expect(Outcome.ANSWERED, status=200, local_endpoints=2)
REFUSE, DROP = Expect(Outcome.REFUSED), Expect(Outcome.DROPPED)


@pytest.mark.parametrize(
    ("expect", "answers"),
    [
        (ANSWERED, [by("web-1"), by("web-2"), by("web-1")]),
        (LOCAL, [by("web-1")]),
        (PORT, [by("web-1")]),
        (SENDER, [by("web-1")]),
        (SENDER, [by("web-1", "[fd00:10:244:0::5]:4711")]),
        (NODE, [by("web-1", "192.168.0.1:4711")]),
        (AFFINE, [by("web-2"), by("web-2")]),
        (EXPIRES, [by("web-1"), by("web-1"), by("web-2")]),
        (HEALTHY, [http(200, localEndpoints=2)]),
        (REFUSE, [REFUSED]),
        (DROP, [SILENT, SILENT]),
    ],
)
def test_what_passes(expect: Expect, answers: Sequence[Answer]) -> None:
    assert told(expect, *answers) == ""


@pytest.mark.parametrize(
    ("expect", "answers", "message"),
    [
        (ANSWERED, [by("web-1"), by("web-1")], "never answered by pod/web-2"),
        (LOCAL, [by("web-1"), by("web-2")], "answered by pod/web-2, expected pod/web-1"),
        (LOCAL, [by("web-1"), SILENT], "but 1 of 2: silent"),
        (LOCAL, [REFUSED], "but 1 of 1: refused"),
        (LOCAL, [Answer("broken", {}, note="ENETUNREACH")], "broken (ENETUNREACH)"),
        (LOCAL, [by("web-1", again=True)], "1 of 1 answered only after a segment was lost and sent again"),
        (PORT, [by("web-1", port=9090)], "answered by pod/web-1:9090, expected pod/web-1:8080"),
        (SENDER, [by("web-1", "192.168.0.1:4711")], "saw 192.168.0.1 (node/node1), expected pod/a"),
        (NODE, [by("web-1")], "saw 10.244.0.5 (pod/a), expected node/node1"),
        (NODE, [by("web-1", "203.0.113.77:4711")], "saw 203.0.113.77 (nobody known)"),
        (AFFINE, [by("web-1"), by("web-2")], "affinity was not kept: pod/web-1 pod/web-2"),
        (AFFINE, [by("web-3"), by("web-3")], "answered by pod/web-3"),
        (EXPIRES, [by("web-1"), by("web-1")], "affinity has not expired: 2 times pod/web-1"),
        (EXPIRES, [by("web-1"), by("web-3")], "answered by pod/web-3"),
        (HEALTHY, [http(503, localEndpoints=2)], "status 503, expected 200"),
        (HEALTHY, [http(200, localEndpoints=1)], "1 local endpoints, expected 2"),
        (HEALTHY, [http(200)], "None local endpoints, expected 2"),
        (HEALTHY, [by("web-1")], "status None, expected 200"),
        (HEALTHY, [REFUSED], "1 of 1: refused"),
        (REFUSE, [http(200)], "expected to be refused, but 1 of 1: status 200"),
        (REFUSE, [SILENT], "expected to be refused, but 1 of 1: silent"),
        (REFUSE, [by("web-1")], "expected to be refused, but 1 of 1: pod/web-1:8080 saw 10.244.0.5:4711"),
        (DROP, [REFUSED], "expected to be dropped, but 1 of 1: refused"),
        (DROP, [by("web-1")], "expected to be dropped, but 1 of 1: pod/web-1:8080"),
        (DROP, [Answer("broken", {}, note="cannot be judged")], "broken (cannot be judged)"),
    ],
)
def test_what_does_not_pass(expect: Expect, answers: Sequence[Answer], message: str) -> None:
    assert message in told(expect, *answers)


@pytest.mark.parametrize("answers", [[], [by("web-1")], [REFUSED]])
def test_too_few_answers(answers: Sequence[Answer]) -> None:
    told = f"pod/a -> service/web TCP IPv4 x 3: {len(answers)} answers to 3 packets"
    assert judge(packet(ANSWERED, 3), answers, OWNERS) == [told]


def test_where_affinity_expired_nothing_more_is_sent() -> None:
    assert judge(packet(EXPIRES, 20), [by("web-1"), by("web-2")], OWNERS) == []


def test_after_silence_nothing_more_is_expected() -> None:
    [complaint] = judge(packet(LOCAL, 3), [by("web-1"), SILENT], OWNERS)
    assert "but 1 of 2: silent" in complaint


def shares(*counts: int) -> list[Answer]:
    return list(itertools.chain(*([by(f"web-{i + 1}")] * count for i, count in enumerate(counts))))


@pytest.mark.parametrize(
    ("counts", "even"),
    [
        ((100, 100), True),
        ((115, 85), True),  # chi-square 4.5, p 0.034
        ((130, 70), False),  # chi-square 18, p 2e-5
        ((200, 0), False),
    ],
)
def test_equal_shares(counts: tuple[int, int], even: bool) -> None:
    answers = shares(*counts)
    assert is_even(packet(Expect(Outcome.ANSWERED, BOTH, even=True), len(answers)), answers) is even


def test_unequal_shares_are_told() -> None:
    assert "uneven: web-1 130, web-2 70" in told(Expect(Outcome.ANSWERED, BOTH, even=True), *shares(130, 70))
