"""Distributions of latency: the share of packets that arrived by then, and the tail on a log axis below it.

Knows a summary's cells. Knows no unit but ns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from testbed.bench.report import units
from testbed.bench.report.looks import Look, looks, measure, probe_title
from testbed.bench.report.theme import Plot, Sheet, Words, colour, legend_above, log_ticks, sheet, ticks
from testbed.bench.results.model import Arm
from testbed.bench.stats.cells import Cell
from testbed.bench.stats.interval import Floats
from testbed.bench.stats.summary import Summary, series_of

POINTS = 90  # of a curve, in its body and again in its tail: more cannot be seen at this size
LEGEND_LETTERS = 58  # that fit side by side, besides the lines before them
WIDTHS = (0.9, 1.5, 2.2, 2.8)  # of a line, by the number of Services
STYLES: tuple[Any, ...] = ((0, (1.2, 1.4)), (0, (4, 1.6)), "solid", "solid")


def latency_plots(summary: Summary, paper: Sheet) -> Iterator[Plot]:
    """One figure for each probe and load."""
    by_series = looks(summary)
    for probe in summary.probes:
        for load_pps in summary.loads:
            cells = summary.of(probe, load_pps)
            if cells:
                yield _plot(cells, [by_series[series_of(cell.arm)] for cell in cells], paper)


def curve(values: np.ndarray[Any, Any]) -> tuple[Floats, Floats]:
    """Sorted samples, shape (n,), as latencies and the share of samples that are later; both thinned alike.

    Evenly spaced in the body, evenly on a log axis in the tail, always with the first and the last sample.
    """
    count = len(values)
    body = np.linspace(0, count - 1, POINTS)
    tail = count - np.geomspace(count, 1, POINTS)
    places = np.unique(np.concatenate([body, tail]).astype(int))
    return values[places].astype(np.float64), 1 - (places + 1) / count


def _plot(cells: Sequence[Cell], styles: Sequence[Look], paper: Sheet) -> Plot:
    probe, load_pps = cells[0].probe, cells[0].load_pps
    keys = _keys(cells, styles)
    figure = sheet(4.6 + 0.19 * len(keys))
    body, tail = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for cell, look in zip(cells, styles, strict=True):
        later_than, later = curve(cell.values)
        kind = {"color": colour(look.colour), "zorder": 3, **_stroke(cell.arm, _sizes(cells))}
        body.plot(later_than, 1 - later, **kind)
        seen = later > 0
        tail.plot(later_than[seen], later[seen], **kind)
    _axes(body, tail)
    tail.set_xlabel(f"{measure(probe)} (log)")
    columns = len(keys[0])
    # a legend fills its columns first
    legend_above(body, [row[place] for place in range(columns) for row in keys], columns)
    words = Words(
        probe_title(probe), f"distribution of latency, {units.load(load_pps)}", _described(cells, styles)
    )
    return paper.keep(figure, f"latency-{probe}-{units.load_tag(load_pps)}", words)


def _sizes(cells: Sequence[Cell]) -> list[int]:
    """The numbers of Services that a line's stroke tells; a direct path has none to tell."""
    return sorted({cell.arm.services for cell in cells if cell.arm.path != "direct"})


def _stroke(arm: Arm, sizes: Sequence[int]) -> dict[str, Any]:
    """A line's width and dash: the more Services, the heavier."""
    if arm.services not in sizes:
        return {"lw": WIDTHS[1], "ls": "solid"}
    rank = min(sizes.index(arm.services) + max(0, 3 - len(sizes)), len(WIDTHS) - 1)
    return {"lw": WIDTHS[rank], "ls": STYLES[rank]}


def _axes(body: Any, tail: Any) -> None:
    body.set_xscale("log")
    body.set_ylim(0, 1.01)
    body.set_ylabel("arrived by then")
    ticks(body.yaxis, lambda value: units.tick_percent(round(value, 2)))
    tail.set_yscale("log")
    tail.set_ylabel("still later (log)")
    ticks(tail.yaxis, units.tick_percent)
    ticks(tail.xaxis, units.tick_time)
    log_ticks(tail.xaxis)


def _keys(cells: Sequence[Cell], styles: Sequence[Look]) -> list[list[Any]]:
    """The legend's rows, all as long: the colours of the series, then the strokes of the sizes."""
    from matplotlib.lines import Line2D

    names = dict.fromkeys((look.name, look.colour) for look in styles)
    series = [Line2D([], [], color=colour(role), lw=2.2, label=name) for name, role in names]
    arms = {cell.arm.services: cell.arm for cell in cells if cell.arm.path != "direct"}
    strokes = [
        Line2D(
            [], [], color=colour("muted"), label=units.services(size), **_stroke(arms[size], _sizes(cells))
        )
        for size in _sizes(cells)
    ]
    columns = min(3, max(1, LEGEND_LETTERS // max(len(name) for name, _ in names)))
    rows = []
    for group in (series, strokes if len(strokes) > 1 else []):
        for start in range(0, len(group), columns):
            row = group[start : start + columns]
            rows.append([*row, *(Line2D([], [], ls="", label=" ") for _ in range(columns - len(row)))])
    return rows


def _described(cells: Sequence[Cell], styles: Sequence[Look]) -> str:
    medians = [
        f"{look.name} with {units.services(cell.arm.services)} {units.time(cell.p50.estimate)}"
        for cell, look in zip(cells, styles, strict=True)
        if cell.p50
    ]
    return f"Cumulative distribution and tail of the latency. Medians: {'; '.join(medians)}."
