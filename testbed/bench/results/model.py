"""What a result file says: one run, its arms, its blocks of samples, its syncs. Schema 1.

An *arm* is one thing that is compared (a datapath's variant, a path, a number of Services). A *block* is one
probe's samples in one arm, one repeat, one background load. A *sync* is one pass of a node's agent.
Knows the shape of the data; knows neither files nor statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.bench.results.facts import Facts

if TYPE_CHECKING:
    from testbed.bench.results.samples import Samples

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """What was asked."""

    name: str
    title: str
    question: str


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing that is compared with others."""

    id: str
    datapath: str  # "iptables", or "none" where no Service rule is in the kernel
    variant: str  # "legacy", "nft", or empty
    path: str  # "direct" to the pod's address, or "service" through the cluster IP
    services: int
    endpoints: int  # of the Service that the probes talk to
    rules: Mapping[str, int] = field(default_factory=dict)  # by table, read back from the kernel
    label: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One probe's samples in one arm and repeat.

    Whoever measures fills in the first six; the rest comes from the samples when the block is added to a
    RunFolder. `canary` is the median of a path that no arm touches, in ns, taken beside the block.
    """

    arm: str  # an Arm's id
    repeat: int  # counts from 0; blocks of one repeat belong together (they were measured next to each other)
    order: int  # position in the run, counts from 0
    load_pps: float  # background load asked for, packets per second; 0 is idle
    load_achieved: float
    canary: float | None = None
    probe: str = ""
    unit: str = ""
    samples: str = ""  # the .npz file, relative to the run's folder
    sent: int = 0
    seen_out: int = 0
    matched: int = 0
    unmatched: int = 0
    duplicates: int = 0
    tap_drops: int = 0
    warm_up: int = 0
    rate: float = 0.0
    achieved_rate: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sync:
    """One pass of a node's agent: seconds in each step, and how much was written to the kernel's tool."""

    arm: str
    kind: str  # "full" or "delta"
    plan_seconds: float
    render_seconds: float
    restore_seconds: float
    lines: int
    bytes: int
    repeat: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run as its folder holds it. The raw samples stay on disk until asked for."""

    scenario: Scenario
    command: tuple[str, ...]  # exactly as it was started
    started: str  # ISO 8601
    finished: str  # empty if the run was cut off
    partial: bool  # not everything that was planned is here
    facts_before: Facts
    facts_after: Facts | None
    arms: tuple[Arm, ...] = ()
    blocks: tuple[Block, ...] = ()
    syncs: tuple[Sync, ...] = ()
    notes: tuple[str, ...] = ()  # what the run itself wants a reader to know: skipped arms, deviations
    schema: int = SCHEMA
    folder: Path = Path()  # where it was read from; not in the file

    def arm(self, name: str) -> Arm:
        """The arm with this id. Raises KeyError."""
        return {arm.id: arm for arm in self.arms}[name]

    def samples(self, block: Block) -> Samples:
        """The raw samples of a block, read from disk at each call. MeasurementInvalid if they are gone."""
        from testbed.bench.results.files import read_samples

        return read_samples(self.folder, block)
