"""The verdict over a packet: what its senders saw, held against what the case expects. Pure.

Knows cases and answers; knows no lab, no datapath and no clock. A packet that was lost and sent again by the
kernel is never taken for an answered one: a retransmission is a drop that TCP mended.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from scipy import stats

from tests.net.answer import Answer
from tests.net.case import Outcome, Packet
from tests.net.shares import count_complaints

P_VALUE = 0.001  # below it, equal shares are not believed

Owners = Mapping[str, str]
"""Address (canonical text) -> host that has it, e.g. `{"10.244.0.2": "pod/web-1"}`."""


def judge(packet: Packet, answers: Sequence[Answer], owners: Owners) -> list[str]:
    """Everything in which the answers differ from what the case expects; empty if they agree.

    There is one answer for every time the packet was sent; after silence it is not sent again.
    """
    if not answers or (len(answers) < packet.count and answers[-1].outcome in _said(packet)):
        return [f"{packet}: {len(answers)} answers to {packet.count} packets"]
    if packet.expect.outcome is not Outcome.ANSWERED:
        return [*_other_than(packet, answers)]
    if not packet.expect.status and not packet.expect.endpoints:
        return [*_unanswered(packet, answers)]
    if packet.expect.status:
        return [*_unanswered(packet, answers)] or [*_statuses(packet, answers)]
    return [*_unanswered(packet, answers)] or [
        *_endpoints(packet, answers),
        *_sources(packet, answers, owners),
        *count_complaints(packet, answers),
        *(
            [f"{packet}: {spread_text(answers)}"]
            if packet.expect.even and not is_even(packet, answers)
            else ()
        ),
    ]


def _said(packet: Packet) -> tuple[str, ...]:
    """Outcomes after which a packet is sent again; where affinity expires, it is not once that is seen."""
    return ("refused",) if packet.expect.affinity == "expires" else ("answered", "refused")


def is_even(packet: Packet, answers: Sequence[Answer]) -> bool:
    """True unless a chi-square test rejects equal shares of the expected endpoints at P_VALUE."""
    taken = Counter(f"pod/{answer.identity['pod']}" for answer in answers)
    counts = [taken[endpoint.partition(":")[0]] for endpoint in packet.expect.endpoints]
    return bool(stats.chisquare(counts).pvalue > P_VALUE)


def spread_text(answers: Sequence[Answer]) -> str:
    """The shares that were seen, for a message."""
    taken = Counter(str(answer.identity["pod"]) for answer in answers)
    return "uneven: " + ", ".join(f"{pod} {count}" for pod, count in sorted(taken.items()))


def _other_than(packet: Packet, answers: Sequence[Answer]) -> Iterator[str]:
    """Answers to packets that should have been refused, or dropped."""
    for text, count in _summary(answers, _FINE[packet.expect.outcome]):
        yield f"{packet}: expected to be {packet.expect.outcome}, but {count} of {len(answers)}: {text}"


_FINE = {
    Outcome.REFUSED: {"refused"},
    Outcome.DROPPED: {"silent"},
    Outcome.UNTOUCHED: {"silent", "unreachable"},
}


def _unanswered(packet: Packet, answers: Sequence[Answer]) -> Iterator[str]:
    for text, count in _summary(answers, {"answered"}):
        yield f"{packet}: expected {' '.join(packet.expect.endpoints)}, but {count} of {len(answers)}: {text}"
    again = sum(answer.retransmitted for answer in answers)
    if again:
        yield f"{packet}: {again} of {packet.count} answered only after a segment was lost and sent again"


def _summary(answers: Sequence[Answer], fine: set[str]) -> list[tuple[str, int]]:
    return Counter(str(answer) for answer in answers if answer.outcome not in fine).most_common(3)


def _endpoints(packet: Packet, answers: Sequence[Answer]) -> Iterator[str]:
    """Pods that answered though none expected them, or were expected and never answered."""
    with_port = {endpoint for endpoint in packet.expect.endpoints if ":" in endpoint}
    seen = {_endpoint(answer, with_port) for answer in answers}
    expected = set(packet.expect.endpoints)
    if packet.expect.affinity == "kept" and len(seen) > 1:
        yield f"{packet}: affinity was not kept: {' '.join(sorted(seen))}"
    if packet.expect.affinity == "expires" and len(seen) < 2:
        yield f"{packet}: affinity has not expired: {len(answers)} times {' '.join(seen)}"
    if seen - expected:
        wanted = " ".join(sorted(expected))
        yield f"{packet}: answered by {' '.join(sorted(seen - expected))}, expected {wanted}"
    if expected - seen and not packet.expect.affinity and not _by_shares(packet):
        yield f"{packet}: never answered by {' '.join(sorted(expected - seen))}"


def _by_shares(packet: Packet) -> bool:
    """True where a scheduler is asked, which may leave endpoints out."""
    expect = packet.expect
    return bool(expect.counts or expect.ranks or expect.sticks or expect.since)


def _endpoint(answer: Answer, with_port: set[str]) -> str:
    """The endpoint's name, with its port where the case names ports of that pod."""
    pod = f"pod/{answer.identity['pod']}"
    if any(endpoint.startswith(f"{pod}:") for endpoint in with_port):
        return f"{pod}:{answer.identity['port']}"
    return pod


def _statuses(packet: Packet, answers: Sequence[Answer]) -> Iterator[str]:
    """Answers over HTTP with another status than the case says, or another count of local endpoints."""
    expect = packet.expect
    for answer in answers:
        status, told = answer.identity.get("status"), answer.identity.get("body", {}).get("localEndpoints")
        if status != expect.status:
            yield f"{packet}: status {status}, expected {expect.status}"
        if expect.local_endpoints is not None and told != expect.local_endpoints:
            yield f"{packet}: {told} local endpoints, expected {expect.local_endpoints}"


def _sources(packet: Packet, answers: Sequence[Answer], owners: Owners) -> Iterator[str]:
    """Endpoints that saw somebody else's address than the case says."""
    if not packet.expect.source:
        return
    wanted = str(packet.sender) if packet.expect.source == "sender" else packet.expect.source
    for (owner, address), count in Counter(_seen_source(a, owners) for a in answers).items():
        if owner != wanted:
            yield f"{packet}: {count} of {packet.count} saw {address} ({owner}), expected {wanted}"


def _seen_source(answer: Answer, owners: Owners) -> tuple[str, str]:
    address = str(ipaddress.ip_address(str(answer.identity["clientAddress"]).rpartition(":")[0].strip("[]")))
    return owners.get(address, "nobody known"), address
