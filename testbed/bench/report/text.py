"""The short summary that a terminal shows after a bench: answers, medians, syncs, warnings.

Knows a run and a width. Prints nothing itself; the command line does.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from testbed.bench.report import units
from testbed.bench.report.answers import answers
from testbed.bench.report.looks import arm_name, looks, probe_title
from testbed.bench.report.notes import Level, notes
from testbed.bench.results.model import Run
from testbed.bench.stats.summary import Summary, summarise

WIDTH = 100
GAP = "  "


def summary_text(run: Run) -> str:
    """A summary of at most 100 columns, with a newline at its end. Reads the run's samples."""
    summary = summarise(run)
    parts = [*_answers(summary)]
    parts.extend(_latencies(summary, probe) for probe in summary.probes)
    parts.extend([*_syncs(summary), *_warnings(summary)])
    return "\n\n".join(parts) + "\n"


def _answers(summary: Summary) -> Iterator[str]:
    yield from (textwrap.fill(answer.sentence, WIDTH) for answer in answers(summary))


def _latencies(summary: Summary, probe: str) -> str:
    """Medians of one probe: a row for each arm, idle and under load side by side."""
    by_series = looks(summary)
    loads = sorted({cell.load_pps for cell in summary.of(probe)})
    head = [probe_title(probe), "Services", *(f"p50 {units.load(load)}" for load in loads), "against direct"]
    rows = []
    for arm in summary.run.arms:
        cells = {cell.load_pps: cell for cell in summary.of(probe) if cell.arm.id == arm.id}
        if not cells:
            continue
        medians = [units.times(cells[load].p50) if load in cells else units.NONE for load in loads]
        quiet = cells[min(cells)].versus_direct
        against = units.factor(quiet.ratio) if quiet else units.NONE
        rows.append([arm_name(arm, by_series), units.count(arm.services), *medians, against])
    return columns(head, rows)


def _syncs(summary: Summary) -> Iterator[str]:
    by_series = looks(summary)
    rows = [
        [
            arm_name(found.arm, by_series),
            units.count(found.arm.services),
            found.kind,
            *(units.time(part.estimate * 1e9) for part in (found.plan, found.render, found.restore)),
            units.times(found.total.scaled(1e9)),
        ]
        for found in summary.syncs
    ]
    if rows:
        yield columns(["Sync", "Services", "kind", "plan", "render", "restore", "in all"], rows)


def _warnings(summary: Summary) -> Iterator[str]:
    texts = [note.text for note in notes(summary) if note.level is Level.WARNING]
    if texts:
        yield "\n".join(textwrap.fill(f"warning: {text}", WIDTH, subsequent_indent=GAP) for text in texts)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text in columns as wide as they must be: the first to the left, figures to the right."""
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        padded = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        return GAP.join([first.ljust(widths[0]), *padded]).rstrip()

    return "\n".join(line(row) for row in [head, *rows])
