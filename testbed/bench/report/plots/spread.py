"""Connections per endpoint, with what an even random choice would give.

Knows a summary's spreads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from testbed.bench.report import units
from testbed.bench.report.looks import arm_name, looks
from testbed.bench.report.theme import Plot, Sheet, Words, colour, sheet
from testbed.bench.stats.summary import SpreadOfArm, Summary, series_of

ROW = 0.95  # inches


def spread_plots(summary: Summary, paper: Sheet) -> Iterator[Plot]:
    """One figure for each load, a row for each arm."""
    for load_pps in sorted({found.load_pps for found in summary.spreads}):
        rows = [found for found in summary.spreads if found.load_pps == load_pps]
        yield _plot(summary, rows, paper)


def _plot(summary: Summary, rows: Sequence[SpreadOfArm], paper: Sheet) -> Plot:
    by_series = looks(summary)
    figure = sheet(ROW * len(rows) + 1.1)
    grid = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    same = len({len(row.spread.counts) for row in rows}) == 1
    heads = []
    for axes, row in zip(grid, rows, strict=True):
        look = by_series[series_of(row.arm)]
        head = f"{arm_name(row.arm, by_series)}, {units.services(row.arm.services)}"
        _row(axes, row, look.colour, look.mark)
        axes.tick_params(labelbottom=axes is grid[-1] or not same)
        axes.set_title(head, pad=3)
        chance = f"χ² test: p {_equals(row.spread.p_uneven)}"
        axes.set_title(chance, loc="right", pad=3, color=colour("muted"), fontsize=8.5)
        heads.append(f"{head}: {chance}, Jain's index {row.spread.jain:.4f}")
    grid[-1].set_xlabel("endpoint")
    figure.supylabel("connections", fontsize=9, color=colour("muted"))
    load_pps = rows[0].load_pps
    subtitle = f"line: even shares; band: 95 % of an even random choice; {units.load(load_pps)}"
    words = Words("Connections per endpoint", subtitle, f"{'; '.join(heads)}.")
    return paper.keep(figure, f"spread-{units.load_tag(load_pps)}", words)


def _row(axes: Any, row: SpreadOfArm, role: str, mark: str) -> None:
    found = row.spread
    places = np.arange(1, len(found.counts) + 1)
    axes.axhspan(found.low, found.high, color=colour(role), alpha=0.13, lw=0)
    axes.axhline(found.expected, color=colour("muted"), lw=0.9)
    axes.plot(places, found.counts, ls="", marker=mark, ms=4.5, color=colour(role), zorder=3)
    reach = max(found.high - found.expected, float(np.max(np.abs(found.counts - found.expected)))) * 1.35
    axes.set_ylim(max(0.0, found.expected - reach), found.expected + reach)
    axes.set_yticks([found.low, found.expected, found.high])
    axes.set_yticklabels([units.count(part) for part in (found.low, found.expected, found.high)])
    axes.set_xlim(0.4, len(places) + 0.6)
    axes.set_xticks(places if len(places) <= 20 else [1, *range(10, len(places) + 1, 10)])
    axes.grid(False)


def _equals(p: float) -> str:
    text = units.probability(p)
    return text if text.startswith("<") else f"= {text}"
