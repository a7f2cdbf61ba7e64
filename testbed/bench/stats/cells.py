"""A run's latency blocks gathered into cells: one arm, one probe, one background load, all repeats.

Knows results and statistics. Knows no unit to print in and no picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.bench.results.model import Arm, Block, Run
from testbed.bench.stats.interval import Comparison, Floats, Interval, compare, median_interval
from testbed.bench.stats.quantiles import minimum_samples, pooled_quantile_interval, quantile

LATENCY_UNIT = "ns"
PROBES = ("first-packet", "established", "connect")
Values = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cell:
    """Latencies of one probe in one arm under one load, in ns.

    p50, p90 and p99 are None where the samples are too few for them (`minimum_samples`).
    """

    arm: Arm
    probe: str
    load_pps: float
    repeats: npt.NDArray[np.int64]  # their numbers, shape (repeats,), ascending
    medians: Floats  # of each repeat, shape (repeats,)
    values: Values  # of all repeats, shape (samples,), ascending
    p50: Interval | None
    p90: Interval | None
    p99: Interval | None
    blocks: tuple[Block, ...]
    versus_direct: Comparison | None = None  # the Service's path against the pod's own address, same load
    versus_idle: Comparison | None = None  # this load against none, same arm

    @property
    def unmatched(self) -> int:
        """Packets that the first tap saw and the last one did not."""
        return sum(block.unmatched for block in self.blocks)


def cells_of(run: Run) -> tuple[Cell, ...]:
    """Every cell that has samples: in the order of probes, then arms, then loads. Reads all samples once."""
    groups: dict[tuple[str, str, float], list[Block]] = {}
    for block in run.blocks:
        if block.unit == LATENCY_UNIT and block.matched:
            groups.setdefault((block.probe, block.arm, block.load_pps), []).append(block)
    found = [_cell(run, blocks) for blocks in groups.values()]
    ordered = sorted(found, key=_place(run))
    return tuple(_compared(ordered, run.arms))


def direct_for(arm: Arm, arms: Iterable[Arm]) -> Arm | None:
    """The arm that tells what the path costs without a Service; None if there is none, or `arm` is direct.

    Best is one with no Service rule in the kernel, then one with the same rules, then the nearest size.
    """
    if arm.path == "direct":
        return None

    def distance(other: Arm) -> tuple[bool, bool, int, int, str]:
        same_rules = (other.datapath, other.variant) == (arm.datapath, arm.variant)
        apart = abs(other.services - arm.services), abs(other.endpoints - arm.endpoints)
        return (other.datapath != "none", not same_rules, *apart, other.id)

    return min((a for a in arms if a.path == "direct"), key=distance, default=None)


def paired(cell: Cell, baseline: Cell) -> Comparison | None:
    """Compare the medians of two cells over the repeats that both have; None if they share none."""
    _, mine, theirs = np.intersect1d(cell.repeats, baseline.repeats, return_indices=True)
    if len(mine) == 0:
        return None
    return compare(cell.medians[mine], baseline.medians[theirs])


def _place(run: Run) -> Callable[[Cell], tuple[int, int, float]]:
    # a run measures in random order, a reader wants always the same
    probes = list(dict.fromkeys([*PROBES, *(block.probe for block in run.blocks)]))
    arms = {arm.id: number for number, arm in enumerate(run.arms)}
    return lambda cell: (probes.index(cell.probe), arms[cell.arm.id], cell.load_pps)


def _cell(run: Run, blocks: Sequence[Block]) -> Cell:
    by_repeat: dict[int, list[Values]] = {}
    for block in blocks:
        by_repeat.setdefault(block.repeat, []).append(run.samples(block).values)
    numbers = sorted(by_repeat)
    repeats = [np.concatenate(by_repeat[number]) for number in numbers]
    first = blocks[0]
    return Cell(
        arm=run.arm(first.arm),
        probe=first.probe,
        load_pps=first.load_pps,
        repeats=np.array(numbers, dtype=np.int64),
        medians=np.array([quantile(values, 0.5) for values in repeats]),
        values=np.sort(np.concatenate(repeats)),
        p50=_over_repeats(repeats, 0.5),
        p90=_over_repeats(repeats, 0.9),
        p99=_over_repeats(repeats, 0.99),
        blocks=tuple(blocks),
    )


def _over_repeats(repeats: Sequence[Values], q: float) -> Interval | None:
    """The median over repeats of each repeat's quantile; of all samples together where one has too few."""
    needed = minimum_samples(q)
    if min(len(values) for values in repeats) >= needed:
        return median_interval(np.array([quantile(values, q) for values in repeats]))
    if sum(len(values) for values in repeats) >= needed:
        return pooled_quantile_interval(repeats, q)
    return None


def _compared(cells: Sequence[Cell], arms: Sequence[Arm]) -> list[Cell]:
    known: Mapping[tuple[str, str, float], Cell] = {(c.arm.id, c.probe, c.load_pps): c for c in cells}

    def against(cell: Cell, arm: Arm | None, load_pps: float) -> Comparison | None:
        other = known.get((arm.id, cell.probe, load_pps)) if arm else None
        return paired(cell, other) if other and other is not cell else None

    return [
        dataclasses.replace(
            cell,
            versus_direct=against(cell, direct_for(cell.arm, arms), cell.load_pps),
            versus_idle=against(cell, cell.arm, 0.0),
        )
        for cell in cells
    ]
