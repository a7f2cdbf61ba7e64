"""The report's tables as text cells, shared by the page, Markdown and the terminal.

Knows a summary and the run's facts; knows nothing of HTML.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from testbed.bench.report import units
from testbed.bench.report.looks import Look, arm_name, looks, probe_title
from testbed.bench.results.facts import Facts, share
from testbed.bench.stats.cells import Cell
from testbed.bench.stats.interval import Interval
from testbed.bench.stats.summary import Series, Summary, SyncsOfArm


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under columns; `text_columns` at the left are words, the rest are figures."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1


def latency_table(summary: Summary, probe: str) -> Table:
    """Every arm and load of one probe."""
    by_series = looks(summary)
    columns = (
        "arm", "packets/s", "Services", "p50", "p90", "p99", "against direct", "minimum detectable", "samples",
        "unmatched",
    )  # fmt: skip
    rows = tuple(_latency_row(cell, by_series) for cell in summary.of(probe))
    caption = f"{probe_title(probe)}: latency with 95 % intervals over repeats"
    return Table(f"latency-{probe}", caption, columns, rows, 2)


def _latency_row(cell: Cell, by_series: Mapping[Series, Look]) -> tuple[str, ...]:
    compared = cell.versus_direct
    return (
        arm_name(cell.arm, by_series),
        units.count(cell.load_pps) if cell.load_pps else "idle",
        units.count(cell.arm.services),
        units.times(cell.p50),
        units.times(cell.p90),
        units.times(cell.p99),
        units.factor(compared.ratio) if compared else units.NONE,
        f"no difference, {units.percent(compared.detectable)}" if compared and compared.same else "",
        units.count(len(cell.values)),
        units.count(cell.unmatched),
    )


def growth_table(summary: Summary) -> Table:
    """The fitted lines: cost per rule, what a packet costs without any, how straight."""
    by_series = looks(summary)
    columns = ("probe", "arm", "load", "ns per rule", "at 0 Services", "R²", "most against fewest Services")
    rows = tuple(
        (
            probe_title(growth.probe),
            by_series[growth.series].name,
            units.load(growth.load_pps),
            units.between(growth.line.slope),
            units.time(growth.line.intercept),
            f"{growth.line.r_squared:.3f}",
            units.factor(growth.ends.ratio) if growth.ends else units.NONE,
        )
        for growth in summary.growths
        if growth.line
    )
    return Table("growth", "Median latency over the number of Services: t = a + b N", columns, rows, 3)


def spread_table(summary: Summary) -> Table:
    """How evenly connections fell."""
    by_series = looks(summary)
    columns = (
        "arm", "load", "Services", "endpoints", "connections", "χ²", "p, uneven", "p, too even", "Jain's index",
    )  # fmt: skip
    rows = tuple(
        (
            arm_name(found.arm, by_series),
            units.load(found.load_pps),
            units.count(found.arm.services),
            units.count(len(found.spread.counts)),
            units.count(found.spread.total),
            units.number(found.spread.chi_square),
            units.probability(found.spread.p_uneven),
            units.probability(found.spread.p_even),
            f"{found.spread.jain:.4f}",
        )
        for found in summary.spreads
    )
    return Table("spread", "Connections over endpoints against an even random choice", columns, rows, 2)


def sync_table(summary: Summary) -> Table:
    """What bringing the rules into the kernel takes."""
    by_series = looks(summary)
    columns = ("arm", "sync", "Services", "plan", "render", "restore", "in all", "lines", "size", "repeats")
    rows = tuple(_sync_row(found, by_series) for found in summary.syncs)
    return Table("sync", "Syncs of a node's agent, medians with 95 % intervals", columns, rows, 2)


def _sync_row(found: SyncsOfArm, by_series: Mapping[Series, Look]) -> tuple[str, ...]:
    last = found.syncs[-1]

    def time(interval: Interval) -> str:
        return units.times(interval.scaled(1e9))

    return (
        arm_name(found.arm, by_series), found.kind, units.count(found.arm.services),
        time(found.plan), time(found.render), time(found.restore), time(found.total),
        units.count(last.lines), units.size(last.bytes), units.count(len(found.syncs)),
    )  # fmt: skip


def arm_table(summary: Summary) -> Table:
    """What was compared, with the rules that the kernel held."""
    by_series = looks(summary)
    tables = list(dict.fromkeys(name for arm in summary.run.arms for name in arm.rules))
    columns = ("arm", "path", "Services", "endpoints", *(f"rules in {name}" for name in tables))
    rows = tuple(
        (
            arm_name(arm, by_series),
            arm.path,
            units.count(arm.services),
            units.count(arm.endpoints),
            *(units.count(arm.rules.get(name, 0)) for name in tables),
        )
        for arm in summary.run.arms
    )
    return Table("arms", "What was compared, and the rules in the kernel", columns, rows, 2)


def facts_table(summary: Summary) -> Table:
    """The machine before and after; what is the same stands once."""
    run = summary.run
    before = dict(_facts(run.facts_before))
    after = dict(_facts(run.facts_after)) if run.facts_after else {}
    rows = []
    known = [name for name in dict.fromkeys([*before, *after]) if before.get(name) or after.get(name)]
    for name in known:
        old, new = before.get(name, units.NONE), after.get(name, units.NONE)
        rows.append((name, old, "same" if old == new else new))
    if run.facts_after:
        for state in ("steal", "softirq"):
            part = share(run.facts_before, run.facts_after, state)
            text = units.NONE if part is None else units.percent(part)
            rows.append((f"{state}, of all CPU time between", "", text))
    return Table("facts", "The machine before and after the run", ("fact", "before", "after"), tuple(rows), 3)


def _facts(facts: Facts) -> Iterator[tuple[str, str]]:
    """Every fact with its name; tables of facts as one line each."""
    for field in dataclasses.fields(facts):
        value, name = getattr(facts, field.name), field.name.replace("_", " ")
        if field.name in ("cpu_ticks", "dirty"):
            continue  # told as shares of the run's time, and beside the commit
        if field.name.endswith("_bytes"):
            yield name.removesuffix(" bytes"), units.size(value)
        elif field.name == "commit":
            changes = {True: ", with uncommitted changes", False: "", None: ""}[facts.dirty]
            yield "testbed", f"{value or 'not from a checkout'}{changes}"
        elif field.name == "load":
            yield "load average", ", ".join(f"{part:.2f}" for part in value)
        elif isinstance(value, Mapping):
            yield from ((f"{name}: {key}", f"{part:,}" if isinstance(part, int) else part)
                        for key, part in value.items())  # fmt: skip
        else:
            yield name, f"{value:,}" if isinstance(value, int) else value
