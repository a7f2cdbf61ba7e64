"""The first screen: what the run answers, in three sentences made of its figures.

Knows a summary. Says "no difference" only together with the smallest difference that would have been seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testbed.bench.report import units
from testbed.bench.report.looks import Look, looks
from testbed.bench.stats.interval import Comparison, Interval
from testbed.bench.stats.summary import Growth, Summary, SyncsOfArm, series_of

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure to read from afar; `label` and `colour` are of the series that it belongs to, if any."""

    text: str
    label: str
    colour: str = "ink"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told, figures to read from afar, and the sentence that says it whole."""

    caption: str
    figures: tuple[Figure, ...]
    sentence: str


def answers(summary: Summary) -> tuple[Answer, ...]:
    """As many of the three as the run has figures for; probes are looked at in the quietest load."""
    return (*_first_packets(summary), *_established(summary), *_spread_and_sync(summary))


def _growths(summary: Summary, probe: str) -> list[tuple[Look, Growth]]:
    """The lines of one probe through a Service, in the lowest load; empty without a range of Services."""
    by_series, lowest = looks(summary), min(summary.loads, default=0.0)
    found = [g for g in summary.growths if (g.probe, g.load_pps) == (probe, lowest) and g.line and g.ends]
    return [(by_series[growth.series], growth) for growth in found if growth.series.path == "service"]


def _first_packets(summary: Summary) -> Iterator[Answer]:
    lines = [(look, g.line.slope, g.ends) for look, g in _growths(summary, "first-packet") if g.line]
    if not lines:
        yield from _against_direct(summary)
        return
    # a slope in ns for each Service is the same figure in µs for each 1,000
    flat = [(look, ends) for look, slope, ends in lines if slope.known and not slope.excludes(0.0)]
    steep = [(look, slope) for look, slope, _ in lines if not slope.known or slope.excludes(0.0)]
    sentences = []
    if steep:
        parts = [f"{_signed(slope)} µs with {look.name}" for look, slope in steep]
        sentences.append(
            f"For each 1,000 Services the first packet of a new connection takes {units.listed(parts)}."
        )
    if flat:
        parts = [f"{look.name} {_seen(ends)}" for look, ends in flat if ends]
        sentences.append(f"It shows no growth with the number of Services: {'; '.join(parts)}.")
    sentences.extend(_doubt([slope for _, slope, _ in lines]))
    figures = [Figure(_change(slope.estimate), look.name, look.colour) for look, slope in steep]
    yield Answer(
        "first packet, per 1,000 Services",
        (*figures, *_no_difference([look for look, _ in flat])),
        " ".join(sentences),
    )


def _against_direct(summary: Summary) -> Iterator[Answer]:
    """With a single number of Services: the Service's path against the pod's own address."""
    by_series, lowest = looks(summary), min(summary.loads, default=0.0)
    compared = [
        (by_series[series_of(cell.arm)], cell.versus_direct.ratio)
        for cell in summary.of("first-packet", lowest)
        if cell.versus_direct
    ]
    if compared:
        parts = [f"{units.factor(ratio)} with {look.name}" for look, ratio in compared]
        sentence = f"The first packet through a Service takes the direct path's time {units.listed(parts)}."
        yield Answer(
            "first packet, against the pod's own address",
            tuple(_multiple(look, ratio) for look, ratio in compared),
            " ".join([sentence, *_doubt([ratio for _, ratio in compared])]),
        )


def _established(summary: Summary) -> Iterator[Answer]:
    lines = _growths(summary, "established")
    if not lines:
        return
    sizes = [cell.arm.services for _, growth in lines for cell in growth.cells]
    span = f"{units.count(min(sizes))} to {units.services(max(sizes))}"
    compared = [(look, growth.ends) for look, growth in lines if growth.ends]
    same = [(look, ends) for look, ends in compared if ends.same]
    other = [(look, ends) for look, ends in compared if not ends.same]
    sentences = []
    if same:
        parts = [f"{look.name} {_seen(ends)}" for look, ends in same]
        sentences.append(
            f"Packets of established connections show no difference from {span}: {'; '.join(parts)}."
        )
    if other:
        parts = [f"{units.between(ends.ratio)} with {look.name}" for look, ends in other]
        sentences.append(
            f"Going from {span} multiplies the time of established packets by {units.listed(parts)}."
        )
    sentences.extend(_doubt([ends.ratio for _, ends in compared]))
    figures = [_multiple(look, ends.ratio) for look, ends in other]
    yield Answer(
        f"established packets, from {span}",
        (*figures, *_no_difference([look for look, _ in same])),
        " ".join(sentences),
    )


def _spread_and_sync(summary: Summary) -> Iterator[Answer]:
    syncs = _largest_syncs(summary)
    sentences = [*_sync_sentence(syncs), *_spread_sentence(summary)]
    if syncs:
        figures = [
            Figure(units.time(found.total.estimate * 1e9, 2), look.name, look.colour) for look, found in syncs
        ]
        amount = units.services(syncs[0][1].arm.services)
        yield Answer(f"full sync of {amount}", tuple(figures), " ".join(sentences))
    elif sentences:
        lowest = min(found.spread.jain for found in summary.spreads)
        even = Figure(f"{lowest:.4f}", "Jain's index, at its lowest")
        yield Answer("spread over endpoints", (even,), " ".join(sentences))


def _largest_syncs(summary: Summary) -> list[tuple[Look, SyncsOfArm]]:
    """The full syncs with the most Services, one for each series."""
    by_series = looks(summary)
    full = [found for found in summary.syncs if found.kind == "full"]
    most = max((found.arm.services for found in full), default=0)
    largest = [found for found in full if found.arm.services == most]
    return list({series_of(f.arm): (by_series[series_of(f.arm)], f) for f in largest}.values())


def _sync_sentence(syncs: Sequence[tuple[Look, SyncsOfArm]]) -> Iterator[str]:
    if syncs:
        parts = [f"{units.times(found.total.scaled(1e9))} with {look.name}" for look, found in syncs]
        amount = units.services(syncs[0][1].arm.services)
        yield (
            f"A full sync that finds {amount} in the kernel already takes {units.listed(parts)} (plan, render, "
            "read back and compare)."
        )


def _spread_sentence(summary: Summary) -> Iterator[str]:
    """Whether connections fall as evenly as chance: the smallest p times the number of tests (Bonferroni)."""
    spreads = [found.spread for found in summary.spreads]
    if not spreads:
        return
    tests = 2 * len(spreads)  # both tails of each
    uneven = min(1.0, tests * min(found.p_uneven for found in spreads))
    even = min(1.0, tests * min(found.p_even for found in spreads))
    p = f"χ² test, smallest p of {tests}, corrected: {units.probability(min(uneven, even))}"
    if uneven < SIGNIFICANT:
        yield f"Connections fall less evenly on the endpoints than an even random choice would ({p})."
    elif even < SIGNIFICANT:
        yield f"Connections fall more evenly on the endpoints than a random choice would ({p})."
    else:
        yield f"Connections fall on the endpoints as an even random choice would ({p})."


def _doubt(intervals: Sequence[Interval]) -> Iterator[str]:
    """Says that figures without an interval prove nothing."""
    if not all(interval.known for interval in intervals):
        yield "There are too few repeats to tell this from noise."


def _multiple(look: Look, ratio: Interval) -> Figure:
    return Figure(f"× {units.number(ratio.estimate)}", look.name, look.colour)


def _no_difference(same: Sequence[Look]) -> Iterator[Figure]:
    """One figure for all series that show none."""
    if same:
        yield Figure("no difference", units.listed([look.name for look in same]))


def _change(value: float) -> str:
    sign = "+" if value > 0 else "\N{MINUS SIGN}"
    return f"{sign}{units.number(abs(value), 2)} µs"


def _signed(interval: Interval) -> str:
    text = units.between(interval)
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"


def _seen(comparison: Comparison) -> str:
    """A comparison that found no difference, with what it could have found."""
    return f"{units.factor(comparison.ratio)}, minimum detectable {units.percent(comparison.detectable)}"
