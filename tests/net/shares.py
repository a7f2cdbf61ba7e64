"""How connections are shared out: counts, and what holds for all packets of a row together. Pure.

Knows cases and answers, and of schedulers only what can be seen from outside: how many an endpoint gets, who always
meets the same one, who meets another one than before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.net.answer import Answer
from tests.net.case import Packet


class Flow(NamedTuple):
    """What tells packets of a row apart: who sends, from which of its addresses, where to."""

    sender: str
    number: int
    destination: str
    protocol: str
    family: str


Row = Sequence[tuple[Packet, Sequence[Answer]]]
Met = Mapping[Flow, str]
"""The endpoint that the first packet of each flow met, wherever it went."""


def count_complaints(packet: Packet, answers: Sequence[Answer]) -> Iterator[str]:
    """Endpoints that got more or fewer than the case says."""
    expect, taken = packet.expect, Counter(pod_of(answer) for answer in answers)
    wanted = dict(expect.counts)
    if any(abs(taken[pod] - count) > expect.within for pod, count in wanted.items()):
        yield f"{packet}: {_shares(taken)}, expected {_shares(wanted)}{_margin(packet)}"
    ranks = sorted((taken[pod.partition(":")[0]] for pod in expect.endpoints), reverse=True)
    if expect.ranks and not _near(ranks, expect.ranks, expect.within):
        yield f"{packet}: {_shares(taken)}, expected {[*expect.ranks]} from the busiest on{_margin(packet)}"


def row_complaints(row: Row, before: Mapping[str, Met]) -> Iterator[str]:
    """Where packets of one row, taken together, went otherwise than the case says; `before` are rows with names."""
    packet, _ = row[0]
    if packet.expect.sticks:
        yield from _sticks(row)
    if packet.expect.since:
        yield from _moved(packet, before[packet.expect.since], met(row))


def met(row: Row) -> Met:
    """Whom each flow of a row met first."""
    found: dict[Flow, str] = {}
    for packet, answers in row:
        for number, answer in enumerate(answers):
            if answer.outcome == "answered":
                found.setdefault(_flow(packet, number)._replace(destination=""), pod_of(answer))
    return found


def pod_of(answer: Answer) -> str:
    """Who answered, as cases write it."""
    return f"pod/{answer.identity['pod']}"


def _flow(packet: Packet, number: int) -> Flow:
    source = number % packet.sources if packet.sources else 0
    return Flow(str(packet.sender), source, str(packet.destination), packet.protocol, packet.family)


def _near(found: Sequence[int], wanted: Sequence[int], within: int) -> bool:
    """True if the counts agree in order; what is not mentioned at the end is 0."""
    padded = [*wanted, *[0] * (len(found) - len(wanted))]
    pairs = zip(found, padded, strict=False)
    return len(found) >= len(wanted) and all(abs(a - b) <= within for a, b in pairs)


def _shares(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{pod} {count}" for pod, count in sorted(counts.items())) or "nobody"


def _margin(packet: Packet) -> str:
    return f" give or take {packet.expect.within}" if packet.expect.within else ""


def _sticks(row: Row) -> Iterator[str]:
    """Groups that met several endpoints; or one endpoint for all groups, which proves nothing."""
    packet, _ = row[0]
    groups: dict[tuple[object, ...], set[str]] = {}
    for each, answers in row:
        for number, answer in enumerate(answers):
            if answer.outcome == "answered":
                group = _group(_flow(each, number), each.expect.sticks)
                groups.setdefault(group, set()).add(pod_of(answer))
    for group, pods in groups.items():
        if len(pods) > 1:
            yield f"{packet}: {' '.join(map(str, group))} met {' '.join(sorted(pods))}"
    if len(set().union(*groups.values())) < 2:
        yield f"{packet}: all {len(groups)} of a {packet.expect.sticks} met the same endpoint"


def _group(flow: Flow, what: str) -> tuple[object, ...]:
    mine = (flow.sender, flow.number) if what == "source" else (flow.destination, flow.protocol)
    return (*mine, flow.family)


def _moved(packet: Packet, before: Met, now: Met) -> Iterator[str]:
    """More flows that met another endpoint than before, though their own is still there."""
    stays = {flow: pod for flow, pod in before.items() if pod in packet.expect.endpoints and flow in now}
    moved = sum(now[flow] != pod for flow, pod in stays.items())
    if not stays:
        yield f"{packet}: no flow of row {packet.expect.since} is left to compare"
    elif moved > packet.expect.moved * len(stays):
        yield f"{packet}: {moved} of {len(stays)} flows moved, expected at most {packet.expect.moved:.0%}"
