"""The first screen: what the run answers, in three sentences made of its figures.

Knows a summary. Says "no difference" only together with the smallest difference that would have been seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testbed.bench.report import units
from testbed.bench.report.looks import arm_name, looks
from testbed.bench.stats.interval import Comparison, Interval
from testbed.bench.stats.summary import Growth, Summary, SyncsOfArm, series_of

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Answer:
    """One figure to read from afar, what it is, and the sentence that says it whole."""

    figure: str
    caption: str
    sentence: str


def answers(summary: Summary) -> tuple[Answer, ...]:
    """As many of the three as the run has figures for; probes are looked at in the quietest load."""
    return (*_first_packets(summary), *_established(summary), *_spread_and_sync(summary))


def _growths(summary: Summary, probe: str) -> list[Growth]:
    """The lines of one probe through a Service, in the lowest load; empty without a range of Services."""
    lowest = min(summary.loads, default=0.0)
    found = [g for g in summary.growths if (g.probe, g.load_pps) == (probe, lowest) and g.line and g.ends]
    return [growth for growth in found if growth.series.path == "service"]


def _first_packets(summary: Summary) -> Iterator[Answer]:
    growths = _growths(summary, "first-packet")
    if not growths:
        yield from _no_growth_measured(summary)
        return
    by_series = looks(summary)
    # in µs for each 1,000 Services, which is the same figure as ns for each
    steep = [growth for growth in growths if growth.line and growth.line.slope.excludes(0.0)]
    flat = [growth for growth in growths if growth not in steep]
    parts = [
        f"{signed(growth.line.slope)} µs per 1,000 Services with {by_series[growth.series].name}"
        for growth in steep
        if growth.line
    ]
    sentences = []
    if parts:
        sentences.append(f"The first packet of a new connection costs {units.listed(parts)}.")
    if flat:
        names = units.listed([by_series[growth.series].name for growth in flat])
        seen = units.listed([_seen(growth.ends) for growth in flat if growth.ends])
        sentences.append(f"With {names} it shows no growth with the number of Services ({seen}).")
    figure, caption = "± 0", "first packet, no growth with the Services"
    if steep and steep[0].line:
        figures = [units.number(growth.line.slope.estimate, 2) for growth in steep if growth.line]
        figure = f"+{' / '.join(figures)} µs"
        caption = "first packet, per 1,000 Services"
    yield Answer(figure, caption, " ".join(sentences))


def _no_growth_measured(summary: Summary) -> Iterator[Answer]:
    """With a single number of Services: the Service's path against the direct one."""
    lowest = min(summary.loads, default=0.0)
    cells = [cell for cell in summary.of("first-packet", lowest) if cell.versus_direct]
    if not cells:
        return
    by_series = looks(summary)
    parts = [
        f"{units.factor(cell.versus_direct.ratio)} with {arm_name(cell.arm, by_series)}"
        for cell in cells
        if cell.versus_direct
    ]
    first = cells[0].versus_direct
    figure = f"× {units.number(first.ratio.estimate, 3)}" if first else ""
    sentence = f"The first packet through a Service takes the direct path's time {units.listed(parts)}."
    yield Answer(figure, "first packet, against the pod's own address", sentence)


def _established(summary: Summary) -> Iterator[Answer]:
    growths = [growth for growth in _growths(summary, "established") if growth.ends]
    if not growths:
        return
    by_series = looks(summary)
    few, many = growths[0].cells[0].arm.services, growths[0].cells[-1].arm.services
    span = f"between {units.services(few)} and {units.count(many)}"
    compared = [(by_series[growth.series].name, growth.ends) for growth in growths if growth.ends]
    same = [f"{name} {_seen(ends)}" for name, ends in compared if not ends.differs]
    other = [f"{units.factor(ends.ratio)} with {name}" for name, ends in compared if ends.differs]
    sentences = []
    if same:
        sentences.append(f"Packets of established connections show no difference {span}: {'; '.join(same)}.")
    if other:
        sentences.append(f"Packets of established connections change {span}: {units.listed(other)}.")
    figure = "± 0" if not other else f"× {units.number(growths[0].ends.ratio.estimate)}"  # type: ignore[union-attr]
    yield Answer(
        figure, f"established packets, {units.count(few)} to {units.services(many)}", " ".join(sentences)
    )


def _spread_and_sync(summary: Summary) -> Iterator[Answer]:
    syncs = _largest_syncs(summary)
    sentences = [*_sync_sentence(summary, syncs), *spread_sentence(summary)]
    if not sentences:
        return
    if syncs:
        figure = " / ".join(units.time(found.total.estimate * 1e9, 2) for found in syncs)
        caption = f"full sync of {units.services(syncs[0].arm.services)}"
    else:
        figure, caption = (
            f"p {units.probability(min(s.spread.p_uneven for s in summary.spreads))}",
            "evenness",
        )
    yield Answer(figure, caption, " ".join(sentences))


def _largest_syncs(summary: Summary) -> list[SyncsOfArm]:
    """The full syncs with the most Services, one for each series."""
    full = [found for found in summary.syncs if found.kind == "full"]
    most = max((found.arm.services for found in full), default=0)
    by_series = {series_of(found.arm): found for found in reversed(full) if found.arm.services == most}
    return list(reversed(by_series.values()))


def _sync_sentence(summary: Summary, syncs: Sequence[SyncsOfArm]) -> Iterator[str]:
    if syncs:
        by_series = looks(summary)
        parts = [
            f"{units.times(found.total.scaled(1e9))} with {arm_name(found.arm, by_series)}" for found in syncs
        ]
        yield (
            f"Bringing {units.services(syncs[0].arm.services)} into the kernel takes {units.listed(parts)}"
            " (plan, render and restore)."
        )


def spread_sentence(summary: Summary) -> Iterator[str]:
    """Whether connections fall as evenly as chance; smallest p of all arms, times their number (Bonferroni)."""
    spreads = [found.spread for found in summary.spreads]
    if not spreads:
        return
    uneven = min(1.0, len(spreads) * min(found.p_uneven for found in spreads))
    even = min(1.0, len(spreads) * min(found.p_even for found in spreads))
    p = f"χ² test, smallest p of {len(spreads)}, corrected: {units.probability(min(uneven, even))}"
    if uneven < SIGNIFICANT:
        yield f"Connections fall less evenly on the endpoints than an even random choice would ({p})."
    elif even < SIGNIFICANT:
        yield f"Connections fall more evenly on the endpoints than a random choice would ({p})."
    else:
        yield f"Connections fall on the endpoints as evenly as an even random choice would ({p})."


def signed(interval: Interval) -> str:
    """An estimate with its sign and interval: `+24.4 [23.1, 25.6]`."""
    text = units.between(interval)
    return text if text.startswith("\N{MINUS SIGN}") else f"+{text}"


def _seen(comparison: Comparison | None) -> str:
    """A comparison that found no difference, with what it could have found."""
    if comparison is None:
        return ""
    return f"{units.factor(comparison.ratio)}, minimum detectable {units.percent(comparison.detectable)}"
