"""Distributions of latency: the share of packets that arrived by then, and the tail on a log axis below it.

Knows a summary's cells. Knows no unit but ns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from testbed.bench.report import units
from testbed.bench.report.looks import Look, looks, measure, probe_title
from testbed.bench.report.theme import Plot, Sheet, Words, colour, log_ticks, sheet, ticks
from testbed.bench.stats.cells import Cell
from testbed.bench.stats.interval import Floats
from testbed.bench.stats.summary import Summary, series_of

POINTS = 90  # of a curve, in its body and again in its tail: more cannot be seen at this size
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
    figure = sheet(4.9)
    body, tail = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    sizes = sorted({cell.arm.services for cell in cells})
    for cell, look in zip(cells, styles, strict=True):
        later_than, later = curve(cell.values)
        rank = sizes.index(cell.arm.services) + max(0, 3 - len(sizes))
        kind = {
            "color": colour(look.colour),
            "lw": WIDTHS[min(rank, 3)],
            "ls": STYLES[min(rank, 3)],
            "zorder": 2 if look.colour == "grey" else 3,
        }
        body.plot(later_than, 1 - later, **kind)
        seen = later > 0
        tail.plot(later_than[seen], later[seen], **kind)
    _axes(body, tail)
    tail.set_xlabel(f"{measure(probe)} (log)")
    _legends(body, tail, styles, sizes)
    words = Words(
        probe_title(probe), f"distribution of latency, {units.load(load_pps)}", _described(cells, styles)
    )
    return paper.keep(figure, f"latency-{probe}-{units.load_tag(load_pps)}", words)


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


def _legends(body: Any, tail: Any, styles: Sequence[Look], sizes: Sequence[int]) -> None:
    from matplotlib.lines import Line2D

    names = dict.fromkeys((look.name, look.colour) for look in styles)
    lines = [Line2D([], [], color=colour(role), lw=2.2, label=name) for name, role in names]
    body.legend(handles=lines, loc="lower right")
    if len(sizes) > 1:
        start = max(0, 3 - len(sizes))
        kinds = [
            Line2D(
                [], [], color=colour("muted"), lw=WIDTHS[min(rank, 3)], ls=STYLES[min(rank, 3)],
                label=units.services(size),
            )
            for rank, size in enumerate(sizes, start)
        ]  # fmt: skip
        tail.legend(handles=kinds, loc="upper right")


def _described(cells: Sequence[Cell], styles: Sequence[Look]) -> str:
    medians = [
        f"{look.name} with {units.services(cell.arm.services)} {units.time(cell.p50.estimate)}"
        for cell, look in zip(cells, styles, strict=True)
        if cell.p50
    ]
    return f"Cumulative distribution and tail of the latency. Medians: {'; '.join(medians)}."
