"""`testbed report`: make a result's report again from its files."""

from __future__ import annotations

import argparse
from pathlib import Path


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("report", help="make a report again", description=__doc__)
    parser.add_argument("result", type=Path, help="the result's folder, e.g. results/first-light-…")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write report.html, report.md and the plots, and print the short table."""
    from testbed.bench.report.page import report
    from testbed.bench.report.text import summary_text
    from testbed.bench.results.files import load_run

    page = report(arguments.result)
    print(summary_text(load_run(arguments.result)))
    print(f"\nreport: {page}")
    return 0
