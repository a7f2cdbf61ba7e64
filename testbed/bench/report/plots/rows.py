"""Plots with a row for each arm: what a sync takes, and what load does to a latency.

Knows a summary's cells and syncs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from testbed.bench.report import units
from testbed.bench.report.looks import Look, looks, probe_title
from testbed.bench.report.theme import Plot, Sheet, Words, colour, legend_above, log_ticks, sheet, ticks
from testbed.bench.results.model import Arm, Sync
from testbed.bench.stats.cells import Cell
from testbed.bench.stats.interval import Interval
from testbed.bench.stats.summary import Summary, SyncsOfArm, series_of

STEPS: tuple[tuple[str, str, Callable[[Sync], float]], ...] = (
    ("plan", "o", lambda sync: sync.plan_seconds),
    ("render", "s", lambda sync: sync.render_seconds),
    ("restore", "D", lambda sync: sync.restore_seconds),
)
KINDS = {"full": "Full sync: all rules looked at", "delta": "Sync of one change"}


def sync_plots(summary: Summary, paper: Sheet) -> Iterator[Plot]:
    """One figure for each kind of sync: every repeat a dot, the median a bar."""
    by_series = looks(summary)
    for kind in dict.fromkeys(found.kind for found in summary.syncs):
        rows = [found for found in summary.syncs if found.kind == kind]
        styles = [by_series[series_of(row.arm)] for row in rows]
        figure = sheet(0.62 * len(rows) + 1.35)
        axes = figure.subplots()
        for place, (row, look) in enumerate(zip(rows, styles, strict=True)):
            _sync_row(axes, place, row, look)
        _row_axes(axes, [_row_name(row.arm, look) for row, look in zip(rows, styles, strict=True)])
        ticks(axes.xaxis, lambda seconds: units.tick_time(round(seconds * 1e9)))
        axes.set_xlabel("time (log)")
        _step_legend(axes)
        words = Words(KINDS.get(kind, kind), "every repeat a dot", _described(rows, styles))
        yield paper.keep(figure, f"sync-{kind}", words)


def load_plots(summary: Summary, paper: Sheet) -> Iterator[Plot]:
    """One figure for each probe that was measured idle and under load: medians with their intervals."""
    by_series = looks(summary)
    for probe in summary.probes:
        loaded = [cell for cell in summary.of(probe) if cell.versus_idle and cell.p50]
        if not loaded:
            continue
        idle = {cell.arm.id: cell for cell in summary.of(probe, 0.0)}
        arms = list(dict.fromkeys(cell.arm.id for cell in loaded))
        figure = sheet(0.34 * len(arms) + 1.4)
        axes = figure.subplots()
        names = [_row_name(idle[arm].arm, by_series[series_of(idle[arm].arm)]) for arm in arms]
        for cell in loaded:
            look = by_series[series_of(cell.arm)]
            _load_row(axes, arms.index(cell.arm.id), (idle[cell.arm.id], cell), look)
            if len(summary.loads) == 2:
                _ratio_at_right(axes, arms.index(cell.arm.id), cell)
        _row_axes(axes, names)
        ticks(axes.xaxis, units.tick_time)
        _load_legend(axes, loaded)
        words = [f"{by_series[series_of(c.arm)].name}, {units.services(c.arm.services)}: "
                 f"{units.factor(c.versus_idle.ratio)}" for c in loaded if c.versus_idle]  # fmt: skip
        alt = f"Median under load as a multiple of idle. {'; '.join(words)}."
        yield paper.keep(
            figure, f"load-{probe}", Words(probe_title(probe), "median idle and under load", alt)
        )


def _row_name(arm: Arm, look: Look) -> str:
    return f"{look.name} · {units.count(arm.services)}"


def _row_axes(axes: Any, names: Sequence[str]) -> None:
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.15, high * 1.15)
    log_ticks(axes.xaxis)


def _sync_row(axes: Any, place: int, row: SyncsOfArm, look: Look) -> None:
    medians = (row.plan, row.render, row.restore)
    for step, ((_, mark, seconds), median) in enumerate(zip(STEPS, medians, strict=True)):
        height = place + (step - 1) * 0.24
        dots = [max(seconds(sync), 1e-7) for sync in row.syncs]
        axes.plot(
            dots, [height] * len(dots), ls="", marker=mark, ms=3.6, color=colour(look.colour), alpha=0.55
        )
        axes.plot([median.estimate], [height], ls="", marker="|", ms=10, mew=1.8, color=colour("ink"))


def _step_legend(axes: Any) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], ls="", marker=mark, ms=4.5, color=colour("muted"), label=name)
        for name, mark, _ in STEPS
    ]
    median = Line2D([], [], ls="", marker="|", ms=9, mew=1.8, color=colour("ink"), label="median")
    legend_above(axes, [*marks, median], 4)


def _load_row(axes: Any, place: int, pair: tuple[Cell, Cell], look: Look) -> None:
    idle, loaded = pair
    if not idle.p50 or not loaded.p50:
        return
    code = colour(look.colour)
    axes.plot([idle.p50.estimate, loaded.p50.estimate], [place, place], color=code, lw=1.0, alpha=0.4)
    for interval, filled in ((idle.p50, False), (loaded.p50, True)):
        _dot(axes, place, interval, look, filled)


def _ratio_at_right(axes: Any, place: int, cell: Cell) -> None:
    ratio = cell.versus_idle.ratio if cell.versus_idle else None
    axes.annotate(
        units.factor(ratio), (1.0, place), xycoords=("axes fraction", "data"), xytext=(6, 0),
        textcoords="offset points", va="center", fontsize=8, color=colour("muted"),
    )  # fmt: skip


def _dot(axes: Any, place: int, interval: Interval, look: Look, filled: bool) -> None:
    code = colour(look.colour)
    if interval.known:
        axes.plot([interval.low, interval.high], [place, place], color=code, lw=2.2, solid_capstyle="butt")
    face = code if filled else colour("paper")
    axes.plot([interval.estimate], [place], ls="", marker=look.mark, ms=5, mec=code, mfc=face, mew=1.2)


def _load_legend(axes: Any, loaded: Sequence[Cell]) -> None:
    from matplotlib.lines import Line2D

    rates = " and ".join(dict.fromkeys(units.load(cell.load_pps) for cell in loaded))
    code = colour("muted")
    marks = [
        Line2D([], [], ls="", marker="o", ms=5, mec=code, mfc=colour("paper"), mew=1.2, label="idle"),
        Line2D([], [], ls="", marker="o", ms=5, color=code, label=rates),
    ]
    legend_above(axes, marks, 2)
    axes.set_xlabel("median latency, 95 % interval (log)")


def _described(rows: Sequence[SyncsOfArm], styles: Sequence[Look]) -> str:
    parts = [
        f"{look.name}, {units.services(row.arm.services)}: {units.time(row.total.estimate * 1e9)} in all"
        for row, look in zip(rows, styles, strict=True)
    ]
    return f"Plan, render and restore. Medians: {'; '.join(parts)}."
