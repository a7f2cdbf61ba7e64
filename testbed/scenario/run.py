"""Runs a scenario in named stages: build the arms, prove the ruler, measure, count syncs, finish.

Whatever ends it, a mistake, Ctrl-C or the end of its time, what was measured is kept and every lab instance that
was started is ended.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.bench.results.facts import gather
from testbed.bench.results.files import RunFolder
from testbed.bench.results.model import Run, Scenario, Sync
from testbed.scenario.arm import BuiltArm
from testbed.scenario.measure import Measurement, cells, order
from testbed.scenario.spec import Spec

FULL_SYNCS = 4  # per arm: enough for an interval, few enough for three minutes

Told = Callable[[str, int, int], None]
"""Told of progress: the stage's name, steps done, steps in all."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a scenario is run."""

    out: Path
    command: tuple[str, ...]
    repeats: int
    seconds: float
    seed: int = 1


class Runner:
    """One run of one scenario."""

    def __init__(self, spec: Spec, options: Options, told: Told) -> None:
        self._spec, self._options, self._told = spec, options, told
        self._begun = time.monotonic()
        self._cpus = _cpus()

    def run(self) -> Run:
        """All stages. On Ctrl-C the run is finished as a partial one, and KeyboardInterrupt goes on."""
        spec, options = self._spec, self._options
        scenario = Scenario(spec.name, spec.title, spec.question)
        folder = RunFolder(options.out, scenario, options.command, gather())
        interrupted: BaseException | None = None
        complete = False
        try:
            with self._built(folder) as arms:
                self._prove(arms)
                complete = self._measure(arms, folder)
        except KeyboardInterrupt as stop:
            interrupted = stop
        run = folder.finish(gather(), partial=not complete)
        if interrupted:
            raise interrupted
        return run

    @contextlib.contextmanager
    def _built(self, folder: RunFolder) -> Iterator[Mapping[str, BuiltArm]]:
        """Stage 1: every arm stands; at the end none does."""
        with contextlib.ExitStack() as stack:
            arms = {}
            for number, spec in enumerate(self._spec.arms):
                self._told(f"build {spec.id}", number, len(self._spec.arms))
                name = f"bench-{os.getpid()}-{number}"
                arm = stack.enter_context(contextlib.closing(BuiltArm(self._spec, spec, name, self._cpus)))
                arms[spec.id] = arm
                folder.add_arm(arm.described())
                if arm.full_sync:
                    folder.add_sync(_sync(spec.id, "full", arm.full_sync, 0))
            self._told("build", len(arms), len(arms))
            yield arms

    def _prove(self, arms: Mapping[str, BuiltArm]) -> None:
        """Stage 2: in each arm a known prime number of packets is counted as exactly that."""
        for number, arm in enumerate(arms.values()):
            self._told("prove", number, len(arms))
            arm.worker.prove(arm.path("UDP"))
        self._told("prove", len(arms), len(arms))

    def _measure(self, arms: Mapping[str, BuiltArm], folder: RunFolder) -> bool:
        """Stage 3: repeats of all cells; True if there were as many as asked for."""
        measurement = Measurement(arms, folder, self._options.seed)
        steps = len(cells(self._spec)) + len(arms)
        total = steps * self._options.repeats
        lasted = 0.0
        for repeat in range(self._options.repeats):
            start = time.monotonic()
            if repeat and start + lasted > self._begun + self._options.seconds:
                folder.add_note(
                    f"{repeat} of {self._options.repeats} repeats: another would not have ended within "
                    f"{self._options.seconds:g} s."
                )
                return False
            self._repeat(arms, folder, measurement, repeat, (repeat * steps, total))
            lasted = time.monotonic() - start
        return True

    def _repeat(
        self, arms: Mapping[str, BuiltArm], folder: RunFolder, measurement: Measurement, repeat: int,
        steps: tuple[int, int],
    ) -> None:  # fmt: skip
        done, total = steps
        canary = measurement.canary()
        for cell in order(self._spec, repeat, self._options.seed):
            self._told(f"repeat {repeat + 1}", done, total)
            measurement.block(cell, repeat, canary)
            done += 1
        for arm in arms.values():
            self._told(f"repeat {repeat + 1}, syncs", done, total)
            done += 1
            _time_syncs(arm, folder, repeat)
        self._told(f"repeat {repeat + 1}", done, total)


def _time_syncs(arm: BuiltArm, folder: RunFolder, repeat: int) -> None:
    """A changed endpoint in each repeat, and a full pass in the first ones; one was timed at the build."""
    if arm.full_sync is None:
        return
    if repeat + 1 < FULL_SYNCS:
        folder.add_sync(_sync(arm.arm.id, "full", arm.resync(), repeat + 1))
    if arm.arm.services > 1:
        folder.add_sync(_sync(arm.arm.id, "delta", arm.change_endpoint(), repeat))


def _sync(arm: str, kind: str, sync: Mapping[str, Any], repeat: int) -> Sync:
    seconds = (sync["plan_seconds"], sync["render_seconds"], sync["restore_seconds"])
    return Sync(arm, kind, *seconds, sync["lines"], sync["bytes"], repeat)


def _cpus() -> tuple[int, int]:
    """The CPUs of the background load and of the probes: the first and the last that we may use."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]
