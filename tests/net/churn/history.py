"""Which outcomes were right at which time: what the log of changes says, and nothing else. Pure.

A state begins to count when the store is told of it and counts until every node obeys the next one: from the
store's change to the nodes' obeying, both the old and the new state are right. A question that was under way
from `began` to `ended` may be answered by any state that counted in between.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LOCAL = "Local"
UNDER_WAY = 1.0  # seconds that a datagram and its answer may take on a busy machine
RESENT_AFTER = (
    1.0  # seconds after which a SYN is sent again (RFC 6298's first RTO); a lost one was sent before
)


@dataclass(frozen=True, slots=True)
class State:
    """A Service for a while: its endpoints, and its traffic policies."""

    pods: frozenset[str]
    internal: str = "Cluster"
    external: str = "Cluster"

    def usable(self, way: Way) -> frozenset[str]:
        """The endpoints for new connections that come this way."""
        policy = self.external if way.external else self.internal
        return self.pods & way.local if policy == LOCAL else self.pods


@dataclass(frozen=True, slots=True)
class Way:
    """How packets reach a Service: by which of its addresses, and which endpoints the first node has itself."""

    service: str
    external: bool
    local: frozenset[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one question; see `traffic.py`."""

    what: str
    way: Way
    began: float
    ended: float
    outcome: str
    pod: str
    note: str


@dataclass(slots=True)
class Timeline:
    """One Service's states in their order."""

    told: list[float] = field(default_factory=list)  # when the store was about to be told of each
    obeyed: list[float] = field(default_factory=list)  # when every node had obeyed it
    states: list[State] = field(default_factory=list)

    def add(self, told: float, obeyed: float, state: State) -> None:
        """The next state."""
        self.told.append(told)
        self.obeyed.append(obeyed)
        self.states.append(state)

    def during(self, began: float, ended: float) -> Sequence[int]:
        """The states that counted at some time in between, by number."""
        # State n counts from told[n] to obeyed[n + 1].
        first = max(0, bisect.bisect_left(self.obeyed, began) - 1)
        return range(first, max(first + 1, bisect.bisect_right(self.told, ended)))

    def forgetting(self, began: float, ended: float) -> bool:
        """True if nodes forgot flows in between: some endpoint went, and others stayed or came."""
        return any(
            self.told[n] <= ended
            and began <= self.obeyed[n]
            and self.states[n].pods
            and self.kept(n - 1) - self.states[n].pods
            for n in self.during(began, ended)
            if n > 0
        )

    def kept(self, number: int) -> frozenset[str]:
        """Where a UDP flow may be in a state: with its endpoints, or if there are none, where it was before."""
        while number > 0 and not self.states[number].pods:
            number -= 1
        return self.states[number].pods


def complaint(seen: Seen, timeline: Timeline) -> str:
    """What is wrong with it; empty if nothing is."""
    states = [(n, timeline.states[n]) for n in timeline.during(seen.began, seen.ended)]
    match seen.what, seen.outcome:
        case "long", outcome:
            return (
                "" if outcome == "answered" else f"a standing connection to {seen.pod}: {outcome} {seen.note}"
            )
        case _, "answered":
            return _answered(seen, timeline, states)
        case _, "refused":
            refusing = any(not state.pods for _, state in states)
            return "" if refusing else f"refused, with endpoints {_names(states)}"
        case what, "silent":
            # A datagram that was on its way to an endpoint that goes has no flow any more by which its answer
            # could come back. That is the price of freeing flows at once; the next datagram must arrive.
            excused = what != "tcp" and timeline.forgetting(
                seen.began, min(seen.ended, seen.began + UNDER_WAY)
            )
            return "" if excused or _drops(seen.way, states) else f"lost, with endpoints {_names(states)}"
    return f"{seen.outcome} {seen.note}"


def _answered(seen: Seen, timeline: Timeline, states: Sequence[tuple[int, State]]) -> str:
    allowed: set[str] = set()
    for number, state in states:
        allowed |= timeline.kept(number) if seen.what == "flow" else state.usable(seen.way)
    if seen.pod not in allowed:
        return f"delivered to {seen.pod}, endpoints were {_names(states)}"
    if seen.note:  # sent twice: so the first SYN was lost
        early = timeline.during(seen.began, seen.began + RESENT_AFTER)
        if not _drops(seen.way, [(n, timeline.states[n]) for n in early]):
            return f"answered at the second attempt only, with endpoints {_names(states)}"
    return ""


def _drops(way: Way, states: Sequence[tuple[int, State]]) -> bool:
    """True if policy Local let nothing through for a while."""
    return any(state.pods and not state.usable(way) for _, state in states)


def _names(states: Sequence[tuple[int, State]]) -> str:
    return " → ".join(
        f"{n}:{{{' '.join(sorted(state.pods))}}}{state.internal[0]}{state.external[0]}" for n, state in states
    )


def complaints(seen: Sequence[Seen], timelines: Mapping[str, Timeline]) -> list[str]:
    """Everything that is wrong, each with what it was and when."""
    found = []
    for one in seen:
        wrong = complaint(one, timelines[one.way.service])
        if wrong:
            way = f"{one.way.service} {'external' if one.way.external else 'internal'}"
            found.append(f"{one.began:.4f}-{one.ended:.4f} {one.what} {way}: {wrong}")
    return found
