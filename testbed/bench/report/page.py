"""One page for a run: report.html, report.md and every plot as SVG and PNG, made from the run's folder.

Knows which sections there are and in which order. Everything that it shows comes from elsewhere in this
package.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.bench.report.answers import answers
from testbed.bench.report.notes import Level, notes
from testbed.bench.report.plots.growth import growth_plots
from testbed.bench.report.plots.latency import latency_plots
from testbed.bench.report.plots.rows import load_plots, sync_plots
from testbed.bench.report.plots.spread import spread_plots
from testbed.bench.report.tables import (
    Table,
    arm_table,
    facts_table,
    growth_table,
    latency_table,
    spread_table,
    sync_table,
)
from testbed.bench.report.theme import Plot, Sheet, drawing
from testbed.bench.results.files import load_run
from testbed.bench.stats.summary import Summary, summarise

TEMPLATES = Path(__file__).parent / "templates"
HTML = "report.html"
MARKDOWN = "report.md"
PLOTS = "plots"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence on how to read what follows, plots, tables."""

    name: str
    title: str
    lead: str
    plots: tuple[Plot, ...] = ()
    tables: tuple[Table, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.plots or any(table.rows for table in self.tables))


def report(run_folder: Path) -> Path:
    """Write the report into the run's folder and return the page's path; an older report is replaced.

    Raises UsageError or MeasurementInvalid if the folder holds no readable run (see `load_run`).
    """
    run = load_run(run_folder)
    summary = summarise(run)
    (run.folder / PLOTS).mkdir(exist_ok=True)
    paper = Sheet(run.folder / PLOTS, environment(summary))
    with drawing():
        sections = [section for section in _sections(summary, paper) if section]
    told = notes(summary)
    context = {
        "run": run,
        "summary": summary,
        "environment": paper.environment,
        "answers": answers(summary),
        "warnings": [note for note in told if note.level is Level.WARNING],
        "remarks": [note for note in told if note.level is Level.NOTE],
        "sections": sections,
        "command": shlex.join(run.command),
    }
    _render("report.md.j2", run.folder / MARKDOWN, context)
    return _render("report.html.j2", run.folder / HTML, context)


def environment(summary: Summary) -> str:
    """The line that every figure carries: kernel, machine, repeats, day, program."""
    run, facts = summary.run, summary.run.facts_before
    virtual = f" ({facts.virtualisation})" if facts.virtualisation not in ("", "none") else ""
    parts = [
        f"Linux {facts.kernel}",
        f"{facts.cpus} × {facts.cpu_model or facts.architecture}{virtual}",
        f"{summary.repeats} repeat{'' if summary.repeats == 1 else 's'}",
        run.started[:10],
        f"testbed {facts.commit[:10]}{'+' if facts.dirty else ''}" if facts.commit else "",
    ]
    return " · ".join(part for part in parts if part)


def _sections(summary: Summary, paper: Sheet) -> Sequence[Section]:
    return (
        Section(
            "growth",
            "Cost over the number of Services",
            "Marks are medians over repeats with 95 % intervals, lines are least squares through all repeats. "
            "kube-proxy writes one rule for each Service port into the chain that a new connection walks, so "
            "the slope is the cost of a rule.",
            tuple(growth_plots(summary, paper)),
            (growth_table(summary),),
        ),
        Section(
            "latency",
            "Distribution of latency",
            "Above, the share of packets that had arrived by then; below, the share that was still to come, on a "
            "log axis, so that the slowest packets show. Samples of all repeats together.",
            tuple(latency_plots(summary, paper)),
            tuple(latency_table(summary, probe) for probe in summary.probes),
        ),
        Section(
            "load",
            "Under background load",
            "The same probes while other packets pass. Bars are 95 % intervals over repeats.",
            tuple(load_plots(summary, paper)),
        ),
        Section(
            "spread",
            "Distribution over endpoints",
            "Connections that each endpoint took. About one dot in twenty lies outside its band by chance. "
            "A small p, uneven, says that some endpoint is favoured; a small p, too even, that the choice "
            "takes turns rather than chances.",
            tuple(spread_plots(summary, paper)),
            (spread_table(summary),),
        ),
        Section(
            "sync",
            "Syncs: keeping the kernel at the rules",
            "Plan: deciding what the node must do. Render: spelling it. Restore: the kernel's tool taking it in.",
            tuple(sync_plots(summary, paper)),
            (sync_table(summary),),
        ),
        Section(
            "environment",
            "What was compared, and where",
            "Figures hold for this machine and this kernel; compare them only within one kernel.",
            (),
            (arm_table(summary), facts_table(summary)),
        ),
    )


def _render(template: str, file: Path, context: dict[str, Any]) -> Path:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    file.write_text(environment.get_template(template).render(context), encoding="utf-8")
    return file
