"""Everything that a report says about a run, as figures: cells, growth over Services, spread, syncs.

Knows results and the other files here. Knows no unit to print in and no picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from testbed.bench.results.model import Arm, Run, Sync
from testbed.bench.stats.cells import Cell, cells_of, paired
from testbed.bench.stats.fit import Line, fit_line
from testbed.bench.stats.interval import Comparison, Interval, median_interval
from testbed.bench.stats.spread import Spread, spread


@dataclass(frozen=True, slots=True)
class Series:
    """Arms that differ in nothing but the number of Services: one line in a plot."""

    datapath: str
    variant: str
    path: str
    endpoints: int


@dataclass(frozen=True, slots=True)
class Growth:
    """One probe of one series under one load over the number of Services; medians in ns, N in Services."""

    series: Series
    probe: str
    load_pps: float
    cells: tuple[Cell, ...]  # by Services, ascending
    line: Line | None  # None with a single number of Services
    ends: Comparison | None  # most Services against fewest


@dataclass(frozen=True, slots=True)
class SpreadOfArm:
    """Connections per endpoint in one arm under one load, all repeats together."""

    arm: Arm
    load_pps: float
    spread: Spread
    repeats: int


@dataclass(frozen=True, slots=True)
class SyncsOfArm:
    """All syncs of one kind in one arm; medians over repeats, in seconds."""

    arm: Arm
    kind: str
    syncs: tuple[Sync, ...]
    plan: Interval
    render: Interval
    restore: Interval
    total: Interval


@dataclass(frozen=True, slots=True)
class Summary:
    """A run and what it means."""

    run: Run
    cells: tuple[Cell, ...]
    growths: tuple[Growth, ...]
    spreads: tuple[SpreadOfArm, ...]
    syncs: tuple[SyncsOfArm, ...]

    @property
    def probes(self) -> tuple[str, ...]:
        """The latency probes that have samples, in the order of the run."""
        return tuple(dict.fromkeys(cell.probe for cell in self.cells))

    @property
    def loads(self) -> tuple[float, ...]:
        """The background loads in packets per second, ascending; 0 is idle."""
        return tuple(sorted({cell.load_pps for cell in self.cells}))

    @property
    def repeats(self) -> int:
        """The most repeats that any arm has."""
        return max((len(cell.repeats) for cell in self.cells), default=0)

    def of(self, probe: str, load_pps: float | None = None) -> tuple[Cell, ...]:
        """The cells of one probe, under one load if it is given."""
        return tuple(c for c in self.cells if c.probe == probe and load_pps in (None, c.load_pps))


def summarise(run: Run) -> Summary:
    """Everything at once; reads all samples (about 2 s for a thousand blocks)."""
    cells = cells_of(run)
    return Summary(run, cells, tuple(_growths(cells)), tuple(_spreads(run)), tuple(_syncs(run)))


def series_of(arm: Arm) -> Series:
    """The series that an arm belongs to. What is direct has no Service, so no number of endpoints."""
    endpoints = 0 if arm.path == "direct" else arm.endpoints
    return Series(arm.datapath, arm.variant, arm.path, endpoints)


def _growths(cells: Sequence[Cell]) -> Iterator[Growth]:
    groups: dict[tuple[str, Series, float], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.probe, series_of(cell.arm), cell.load_pps), []).append(cell)
    for (probe, series, load_pps), members in groups.items():
        ordered = tuple(sorted(members, key=lambda cell: cell.arm.services))
        several = ordered[0].arm.services < ordered[-1].arm.services
        ends = paired(ordered[-1], ordered[0]) if several else None
        yield Growth(series, probe, load_pps, ordered, _line(ordered) if several else None, ends)


def _line(cells: Sequence[Cell]) -> Line:
    services = [np.full(len(cell.medians), cell.arm.services, dtype=np.float64) for cell in cells]
    medians = np.concatenate([cell.medians for cell in cells])
    return fit_line(np.concatenate(services), medians, np.concatenate([cell.repeats for cell in cells]))


def _spreads(run: Run) -> Iterator[SpreadOfArm]:
    for arm in run.arms:
        mine = [b for b in run.blocks if b.arm == arm.id and b.probe == "distribution"]
        for load_pps in sorted({block.load_pps for block in mine}):
            blocks = [block for block in mine if block.load_pps == load_pps]
            counts = np.sum([run.samples(block).values for block in blocks], axis=0)
            if len(counts) > 1 and counts.sum() > 0 and arm.path == "service":
                yield SpreadOfArm(arm, load_pps, spread(counts), len({b.repeat for b in blocks}))


def _syncs(run: Run) -> Iterator[SyncsOfArm]:
    for arm in run.arms:
        for kind in ("full", "delta"):
            syncs = tuple(s for s in run.syncs if s.arm == arm.id and s.kind == kind)
            if syncs:
                yield _syncs_of_arm(arm, kind, syncs)


def _syncs_of_arm(arm: Arm, kind: str, syncs: tuple[Sync, ...]) -> SyncsOfArm:
    def median(seconds: Callable[[Sync], float]) -> Interval:
        return median_interval(np.array([seconds(sync) for sync in syncs]))

    return SyncsOfArm(
        arm,
        kind,
        syncs,
        plan=median(lambda s: s.plan_seconds),
        render=median(lambda s: s.render_seconds),
        restore=median(lambda s: s.restore_seconds),
        total=median(lambda s: s.plan_seconds + s.render_seconds + s.restore_seconds),
    )
