"""What a packet case says, as frozen records. `case_file.py` tells the format and reads it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


class Outcome(enum.StrEnum):
    """What becomes of a packet, as its sender sees it."""

    ANSWERED = "answered"
    REFUSED = "refused"
    DROPPED = "dropped"
    UNTOUCHED = "untouched"


@dataclass(frozen=True, slots=True)
class Host:
    """Somebody who sends or answers: a pod, a node, or a client outside."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a packet is sent; `port` is a service port's name or number, empty where there is only one.

    `via` is the node that it goes to or by, or `localhost`; `second` says that the node's second address is meant.
    """

    kind: str
    name: str
    port: str = ""
    via: str = ""
    second: str = ""

    def __str__(self) -> str:
        port, via = f":{self.port}" if self.port else "", f"@{self.via}" if self.via else ""
        return f"{self.kind}/{self.name}{port}{via}{self.second}"


@dataclass(frozen=True, slots=True)
class Expect:
    """What must become of a packet. `endpoints` are pods, each with or without a port.

    `affinity` is empty, `kept` or `expires`; `status` an HTTP status, 0 if none is asked for. `counts` says how
    many each endpoint gets, `ranks` how many the busiest gets, the next one and so on, both give or take `within`.
    What holds for all packets of a row together: `sticks` (to one endpoint for each `source` or `destination`, and
    not to the same for all), and `moved`, at most that share of the answers that the row called `since` got.
    """

    outcome: Outcome
    endpoints: tuple[str, ...] = ()
    source: str = ""
    even: bool = False
    affinity: str = ""
    status: int = 0
    local_endpoints: int | None = None
    counts: tuple[tuple[str, int], ...] = ()
    ranks: tuple[int, ...] = ()
    within: int = 0
    sticks: str = ""
    moved: float = 1.0
    since: str = ""


@dataclass(frozen=True, slots=True)
class Unlike:
    """What a packet meets under one datapath where kube-proxy's modes differ by design, and who says so."""

    expect: Expect
    because: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Packet:
    """`count` packets (connections, for TCP) from one sender to one destination, each a new flow.

    `size` is what is sent in bytes, 0 for one line; `path` what is asked for by HTTP. With `source_port` they are
    one flow, if the kernel still knows it. `every` is the least time between two of them in seconds. `sources` is
    how many addresses the sender takes in turn, 0 for its own; with `hold` connections stay open until the case
    ends. `row` is the number of its row in the step, `name` what later rows call it. `unlike` has what is expected
    under datapaths that do otherwise by design.
    """

    sender: Host
    destination: Destination
    protocol: str
    family: str
    count: int
    expect: Expect
    size: int = 0
    path: str = ""
    source_port: int = 0
    every: float = 0.0
    sources: int = 0
    hold: bool = False
    row: int = 0
    name: str = ""
    unlike: Mapping[str, Unlike] = field(default_factory=dict)

    def under(self, datapath: str) -> Packet:
        """The packet with what is expected under that datapath."""
        other = self.unlike.get(datapath)
        return replace(self, expect=other.expect, count=other.count) if other else self

    def __str__(self) -> str:
        times = f" x {self.count}" if self.count > 1 else ""
        return f"{self.sender} -> {self.destination} {self.protocol} {self.family}{times}"


@dataclass(frozen=True, slots=True)
class Step:
    """Something changes, then packets are sent. The first step of a case only applies."""

    apply: str = ""
    delete: tuple[str, ...] = ()
    rejected: str = ""
    lose: tuple[str, ...] = ()
    resync: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    packets: tuple[Packet, ...] = ()

    def under(self, datapath: str) -> Step:
        """The step with what is expected under that datapath."""
        return replace(self, packets=tuple(packet.under(datapath) for packet in self.packets))


@dataclass(frozen=True, slots=True)
class Case:
    """One case file. `cluster` is what its Cluster document has besides what all have."""

    name: str
    title: str
    e2e: tuple[str, ...] = ()
    features: frozenset[str] = frozenset()
    cluster: Mapping[str, Any] = field(default_factory=dict)
    secondary: tuple[Host, ...] = ()
    steps: tuple[Step, ...] = ()

    def under(self, datapath: str) -> Case:
        """The case with what is expected under that datapath."""
        return replace(self, steps=tuple(step.under(datapath) for step in self.steps))

    def __str__(self) -> str:
        return self.name
