"""`testbed bench`: run a scenario that measures, and make its report."""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from testbed.cli import common
from testbed.errors import MeasurementInvalid, UsageError
from testbed.machine.kernels import NATIVE

if TYPE_CHECKING:
    from testbed.scenario.spec import Spec


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("bench", help="measure a scenario", description=__doc__)
    parser.add_argument("scenario", type=Path, help="the scenario's folder, e.g. scenarios/first-light")
    add_measuring(parser)
    parser.set_defaults(run=run)


def add_measuring(parser: argparse.ArgumentParser) -> None:
    """The options of whatever measures."""
    parser.add_argument("--out", type=Path, help="the result's folder (default: results/<scenario>-<time>)")
    parser.add_argument(
        "--repeats", type=int, help="how often each block is measured (default: the scenario's)"
    )
    parser.add_argument(
        "--time",
        type=float,
        metavar="SECONDS",
        help="begin no repeat that would end later, and cut one that does",
    )
    common.add_kernel(parser)
    # What was typed outside, where a guest does the work.
    parser.add_argument("--command", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help="draws the order of blocks and the source ports")


def run(arguments: argparse.Namespace) -> int:
    """Read, measure, report; prints the short table and where the report is."""
    check_measuring(arguments)
    # Here, since numpy and the rest cost a fifth of a second that `bench --help` should not pay.
    from testbed.scenario.needs import need
    from testbed.scenario.spec import read

    spec = read(arguments.scenario)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    out = (arguments.out or Path("results") / f"{spec.name}-{stamp}").absolute()
    kernel = common.kernel_for(arguments, need(spec), spec.kernel)
    if kernel == NATIVE:
        return measure(arguments, spec, out)
    typed = json.dumps(command(arguments))
    own = ["--kernel", NATIVE, "--out", str(out), "--command", typed]
    return common.run_in_guest(kernel, [*sys.argv[1:], *own], out)


def check_measuring(arguments: argparse.Namespace) -> None:
    """Raise UsageError for options that cannot be."""
    if arguments.repeats is not None and arguments.repeats < 1:
        raise UsageError("bench: --repeats must be at least 1")


def command(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The exact command, as the result keeps it."""
    return tuple(arguments.command or ("testbed", *sys.argv[1:]))


def measure(arguments: argparse.Namespace, spec: Spec, out: Path, remarks: Sequence[str] = ()) -> int:
    """The run itself, on the kernel that we are on; the report says the `remarks`, too."""
    from testbed.scenario.run import Options, Runner

    options = Options(
        out, command(arguments), arguments.repeats or spec.repeats,
        arguments.time or spec.seconds, arguments.seed, tuple(remarks),
    )  # fmt: skip
    bar, stop = _Bar(), _Stop()

    def told(stage: str, done: int, total: int) -> None:
        stop.check()
        bar(stage, done, total)

    runner = Runner(spec, options, told)
    with stop:
        try:
            with bar:
                run = runner.run()
        finally:
            _report(out)
    if not run.blocks:
        raise MeasurementInvalid(f"bench: the time was over too early: {' '.join(run.notes)}")
    return 0


class _Stop:
    """SIGTERM ends the run as Ctrl-C does; what comes after the first is ignored, so that the run ends whole."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Stop:
        self._before = {number: signal.signal(number, self._stop) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if not self._asked:
            self._asked = True
            signal.default_int_handler(number, frame)

    def check(self) -> None:
        """Stop now if that was asked for: Python drops what a handler raises in the middle of a fork."""
        if self._asked:
            signal.default_int_handler(signal.SIGINT, None)


def _report(out: Path) -> None:
    """The report of what was measured, whatever ended the run."""
    from testbed.bench.report.page import report
    from testbed.bench.report.text import summary_text
    from testbed.bench.results.files import load_run

    measured = load_run(out)
    if measured.blocks:
        page = report(out)
        print(summary_text(measured))
        print(f"\nreport: {page.absolute()}\nagain:  testbed report {shlex.quote(str(out))}")
    else:
        print("nothing was measured, so there is no report", file=sys.stderr)


class _Bar:
    """Stages as a progress bar on a terminal, as single lines elsewhere."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._bar: Any = None
        self._stage = ""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show a step."""
        name = stage.split()[0]
        if self._tty:
            self._show(name, stage, done, total)
        elif stage != self._stage and not stage.endswith("syncs"):
            print(f"{stage} ({done} of {total})", file=sys.stderr, flush=True)
        self._stage = stage

    def _show(self, name: str, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if self._bar is None or not self._bar.desc.startswith(name):
            self.close()
            self._bar = tqdm(total=total, desc=name, leave=False, dynamic_ncols=True)
        self._bar.total, self._bar.n = total, done
        self._bar.set_postfix_str(stage.removeprefix(name).strip())

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
