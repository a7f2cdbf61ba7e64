"""What a reader must know before believing the figures: warnings, deviations, and what is not shown.

Knows a summary and the run's facts. Thresholds are those of benchmarks that looked into their own noise
(steal, canary) or of the schema (all sent packets accounted for).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from testbed.bench.report import units
from testbed.bench.report.looks import looks, probe_title
from testbed.bench.results.facts import share
from testbed.bench.results.model import Block
from testbed.bench.stats.interval import FEWEST
from testbed.bench.stats.quantiles import minimum_samples
from testbed.bench.stats.summary import Summary

STEAL = 0.05
CANARY = 0.30
RATE_MISSED = 0.10
REPEATS = 10
STRAIGHT = 0.98


class Level(enum.StrEnum):
    """How much a note weighs."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence about the run."""

    level: Level
    text: str


def notes(summary: Summary) -> tuple[Note, ...]:
    """Everything to know, warnings first."""
    warnings = [
        *_incomplete(summary), *_unrepeated(summary), *_lost(summary), *_noisy_machine(summary),
        *_canary(summary), *_rates(summary),
    ]  # fmt: skip
    remarks = [*_few(summary), *_bent(summary), *_chance(summary), *_program(summary), *summary.run.notes]
    return (
        *(Note(Level.WARNING, text) for text in warnings),
        *(Note(Level.NOTE, text) for text in remarks),
    )


def _incomplete(summary: Summary) -> Iterator[str]:
    run = summary.run
    if run.partial:
        ending = "It was cut off." if not run.finished else "Not everything that was planned was measured."
        yield f"This run is partial. {ending} Arms may have different numbers of repeats."
    empty = [block for block in run.blocks if block.matched == 0]
    if empty:
        yield f"{_blocks(empty)} saw no packet at all and are left out: {_of(empty)}."


def _unrepeated(summary: Summary) -> Iterator[str]:
    if 0 < summary.repeats < FEWEST:
        yield (
            f"{_repeats(summary)} only: there is no interval, so that no difference can be told from noise. "
            f"It takes {FEWEST}, and {REPEATS} or more are better."
        )


def _lost(summary: Summary) -> Iterator[str]:
    blocks = summary.run.blocks
    lost = [block for block in blocks if block.unmatched]
    if lost:
        packets, out = sum(b.unmatched for b in lost), sum(b.seen_out for b in lost)
        yield (
            f"{units.count(packets)} packets in {_blocks(lost)} were sent and never seen again "
            f"({units.percent(packets / max(out, 1))} of those blocks): {_of(lost)}. Quantiles are of the others."
        )
    drops = sum(block.tap_drops for block in blocks)
    if drops:
        yield f"The taps dropped {units.count(drops)} packets, so that their latency is unknown."
    twice = sum(block.duplicates for block in blocks)
    if twice:
        yield f"{units.count(twice)} packets were seen twice; the first time counts."


def _noisy_machine(summary: Summary) -> Iterator[str]:
    run = summary.run
    steal = share(run.facts_before, run.facts_after, "steal") if run.facts_after else None
    if steal is not None and steal > STEAL:
        yield (
            f"The hypervisor took {units.percent(steal)} of the CPU time during the run (steal). "
            f"Above {units.percent(STEAL, 1)} tails are its, not the datapath's."
        )


def _canary(summary: Summary) -> Iterator[str]:
    known = [block for block in summary.run.blocks if block.canary is not None]
    if not known:
        return
    middle = float(np.median([block.canary for block in known if block.canary is not None]))
    off = [b for b in known if b.canary is not None and abs(b.canary / middle - 1) > CANARY]
    if off:
        yield (
            f"The canary, a path that no arm touches, was more than {units.percent(CANARY)} off its median "
            f"({units.time(middle)}) at {_blocks(off)}: something else kept the machine busy then."
        )


def _rates(summary: Summary) -> Iterator[str]:
    blocks = summary.run.blocks
    slow = [b for b in blocks if b.load_pps and b.load_achieved < b.load_pps * (1 - RATE_MISSED)]
    if slow:
        worst = min(block.load_achieved / block.load_pps for block in slow)
        yield (
            f"The background load fell short of what was asked for in {_blocks(slow)}, "
            f"at worst {units.percent(worst)} of it."
        )
    late = [b for b in blocks if b.rate and b.achieved_rate < b.rate * (1 - RATE_MISSED)]
    if late:
        worst = min(block.achieved_rate / block.rate for block in late)
        yield f"The probe's rate fell short in {_blocks(late)}, at worst {units.percent(worst)} of what was asked."


def _few(summary: Summary) -> Iterator[str]:
    if FEWEST <= summary.repeats < REPEATS:
        yield f"{_repeats(summary)}; intervals over so few are wide, and {REPEATS} or more are better."
    short = [cell for cell in summary.cells if cell.p99 is None]
    if short:
        fewest = min(len(cell.values) for cell in short)
        yield (
            f"{len(short)} of {len(summary.cells)} cells have no 99th percentile: it needs "
            f"{units.count(minimum_samples(0.99))} samples, they have {units.count(fewest)} or more."
        )


def _bent(summary: Summary) -> Iterator[str]:
    by_series = looks(summary)
    for growth in summary.growths:
        line = growth.line
        if line and line.slope.excludes(0.0) and line.r_squared < STRAIGHT:
            name = by_series[growth.series].name
            yield (
                f"{probe_title(growth.probe)}, {name}, {units.load(growth.load_pps)}: the line explains "
                f"{units.percent(line.r_squared)} of the variance; the cost per rule may change with the number "
                "of rules (caches), or repeats differ."
            )


def _chance(summary: Summary) -> Iterator[str]:
    compared = sum(cell.versus_direct is not None for cell in summary.cells)
    if compared:
        yield (
            f"{compared} ratios to the direct path are shown, each with its own 95 % interval: "
            f"about {max(1, round(compared * 0.05))} of them would miss the truth by chance alone."
        )


def _program(summary: Summary) -> Iterator[str]:
    if summary.run.facts_before.dirty:
        yield "The program had changes that are in no commit, so that this run cannot be repeated exactly."


def _repeats(summary: Summary) -> str:
    return f"{summary.repeats} repeat{'' if summary.repeats == 1 else 's'}"


def _blocks(blocks: list[Block]) -> str:
    return f"{len(blocks)} block{'' if len(blocks) == 1 else 's'}"


def _of(blocks: list[Block]) -> str:
    """Where the blocks belong, each place once."""
    places = list(dict.fromkeys(f"{block.probe} in {block.arm}" for block in blocks))
    more = f" and {len(places) - 4} more" if len(places) > 4 else ""
    return ", ".join(places[:4]) + more
