"""Latency over the number of Services, with the fitted line and its cost per rule.

Knows a summary's growths. kube-proxy writes one rule per Service port into KUBE-SERVICES and a new connection
walks past them until its own (https://github.com/kubernetes/kubernetes/tree/master/pkg/proxy/iptables), so ns
per Service are ns per rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from testbed.bench.report import units
from testbed.bench.report.looks import Look, looks, probe_title
from testbed.bench.report.theme import Plot, Sheet, Words, colour, legend_above, sheet, ticks
from testbed.bench.stats.cells import Cell
from testbed.bench.stats.interval import Interval
from testbed.bench.stats.summary import Growth, Summary

APART = 0.012  # between marks of one number of Services, as a share of the axis


def growth_plots(summary: Summary, paper: Sheet) -> Iterator[Plot]:
    """One figure for each probe and load that was measured with more than one number of Services."""
    by_series = looks(summary)
    for probe in summary.probes:
        for load_pps in summary.loads:
            found = [g for g in summary.growths if (g.probe, g.load_pps) == (probe, load_pps)]
            if any(growth.line for growth in found):
                yield _plot(found, [by_series[growth.series] for growth in found], paper)


def per_rule(slope: Interval) -> str:
    """A slope in ns per Service in words: `24.4 ns/rule [23.1, 25.6]`."""
    value, _, bounds = units.between(slope).partition(" ")
    return f"{value} ns/rule {bounds}".rstrip()


def _plot(growths: Sequence[Growth], styles: Sequence[Look], paper: Sheet) -> Plot:
    probe, load_pps = growths[0].probe, growths[0].load_pps
    tails = any(cell.p99 for growth in growths for cell in growth.cells)
    figure = sheet(4.6 + 0.19 * len(growths) if tails else 3.2 + 0.19 * len(growths))
    upper, lower = (
        figure.subplots(2, 1, sharex=True, height_ratios=(2, 3)) if tails else (None, figure.subplots())
    )
    widest = max(cell.arm.services for growth in growths for cell in growth.cells)
    for number, (growth, look) in enumerate(zip(growths, styles, strict=True)):
        shift = (number - (len(growths) - 1) / 2) * APART * widest
        _medians(lower, growth, look, shift)
        if upper is not None:
            _tails(upper, growth.cells, look, shift)
    _axes(upper, lower, sorted({c.arm.services for g in growths for c in g.cells}))
    legend_above(upper or lower, lower.get_legend_handles_labels()[0], 1)
    subtitle = f"latency over the number of Services, {units.load(load_pps)}"
    words = Words(probe_title(probe), subtitle, _described(growths, styles))
    return paper.keep(figure, f"growth-{probe}-{units.load_tag(load_pps)}", words)


def _medians(axes: Any, growth: Growth, look: Look, shift: float) -> None:
    label = look.name
    if growth.line and look.colour != "grey":
        label += f"  {per_rule(growth.line.slope)}"
    if growth.line:
        x = np.array([growth.cells[0].arm.services, growth.cells[-1].arm.services], dtype=np.float64)
        axes.plot(x, growth.line.at(x), color=colour(look.colour), ls=look.dash, lw=1.3, zorder=2)
    elif growth.cells[0].p50:
        # measured with one number of Services only: a level to hold the others against
        axes.axhline(
            growth.cells[0].p50.estimate, color=colour(look.colour), ls=(0, (1, 2)), lw=1.0, zorder=1
        )
    _marks(axes, [(c.arm.services + shift, c.p50) for c in growth.cells if c.p50], look, label)


def _tails(axes: Any, cells: Sequence[Cell], look: Look, shift: float) -> None:
    shown = [(cell.arm.services + shift, cell.p99) for cell in cells if cell.p99]
    axes.plot(
        [x for x, _ in shown],
        [p.estimate for _, p in shown],
        color=colour(look.colour),
        lw=0.7,
        ls=(0, (2, 2)),
    )
    _marks(axes, shown, look, "")


def _marks(axes: Any, shown: Sequence[tuple[float, Interval]], look: Look, label: str) -> None:
    """Estimates with their intervals; an estimate without one is an open mark."""
    for known in (True, False):
        some = [(x, i) for x, i in shown if i.known is known]
        if not some:
            continue
        x, y = [x for x, _ in some], np.array([i.estimate for _, i in some])
        reach = [y - [i.low for _, i in some], [i.high for _, i in some] - y] if known else None
        axes.errorbar(
            x, y, yerr=reach, fmt=look.mark, ms=4.5, color=colour(look.colour), elinewidth=1.2, capsize=2.5,
            mfc=colour(look.colour) if known else "none", label=label, zorder=3,
        )  # fmt: skip
        label = ""


def _axes(upper: Any, lower: Any, sizes: Sequence[int]) -> None:
    lower.set_ylabel("median, 95 % interval")
    lower.set_xlabel("Services")
    lower.set_ylim(bottom=0)
    lower.set_xticks(_labelled(sizes))
    ticks(lower.xaxis, units.count)
    ticks(lower.yaxis, units.tick_time)
    if upper is not None:
        upper.set_ylabel("99th percentile")
        upper.set_ylim(bottom=0)
        ticks(upper.yaxis, units.tick_time)


def _labelled(sizes: Sequence[int]) -> list[int]:
    """The measured numbers of Services, without those whose labels would touch the one to their right."""
    kept: list[int] = []
    for size in reversed(sizes):
        if not kept or kept[-1] - size > sizes[-1] * 0.09:
            kept.append(size)
    return kept[::-1]


def _described(growths: Sequence[Growth], styles: Sequence[Look]) -> str:
    parts = []
    for growth, look in zip(growths, styles, strict=True):
        ends = [cell for cell in (growth.cells[0], growth.cells[-1]) if cell.p50]
        medians = [f"{units.times(c.p50)} at {units.services(c.arm.services)}" for c in ends]
        slope = f", {per_rule(growth.line.slope)}" if growth.line else ""
        parts.append(f"{look.name}: {' and '.join(medians)}{slope}")
    return f"Median latency over the number of Services. {'; '.join(parts)}."
