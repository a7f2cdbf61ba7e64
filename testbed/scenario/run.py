"""Runs a scenario in named stages: build the arms, prove the ruler, measure, count syncs, finish.

Whatever ends it, a mistake, Ctrl-C or the end of its time, what was measured is kept and finished as a result, and
every lab instance that was started is ended.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from testbed.bench.results.facts import gather
from testbed.bench.results.files import RunFolder
from testbed.bench.results.model import Run, Scenario, Sync
from testbed.errors import TestbedError
from testbed.scenario.arm import BuiltArm
from testbed.scenario.measure import Measurement, order
from testbed.scenario.spec import Spec

FULL_SYNCS = 4  # per arm: enough for an interval, few enough for three minutes
OVERTIME = 1.1  # of the time: a repeat that was begun in time may end a little late, and is cut after that

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
    remarks: tuple[str, ...] = ()  # notes of the result from the start


@dataclass(frozen=True, slots=True)
class Allowance:
    """The time that a run may take, in seconds from `begun` on `clock`."""

    begun: float
    seconds: float
    clock: Callable[[], float] = time.monotonic

    def fits(self, lasts: float) -> bool:
        """True if what `lasts` so many seconds would end in time."""
        return self.clock() + lasts <= self.begun + self.seconds

    def over(self) -> bool:
        """True if what was begun in time must be cut."""
        return self.clock() > self.begun + self.seconds * OVERTIME


class Runner:
    """One run of one scenario."""

    def __init__(self, spec: Spec, options: Options, told: Told) -> None:
        """Make the folder of the result. Raises UsageError if it holds one already."""
        self._spec, self._options, self._told = spec, options, told
        self._time = Allowance(time.monotonic(), options.seconds)
        self._cpus = _cpus()
        scenario = Scenario(spec.name, spec.title, spec.question)
        self._folder = RunFolder(options.out, scenario, options.command, gather())
        for remark in options.remarks:
            self._folder.add_note(remark)

    def run(self) -> Run:
        """All stages. What ends them early goes on, a TestbedError or KeyboardInterrupt, after a partial result."""
        complete = False
        try:
            with self._built() as arms:
                self._prove(arms)
                complete = self._measure(arms)
        except TestbedError as error:
            self._folder.add_note(f"The run ended early: {error}")
            raise
        finally:
            run = self._folder.finish(gather(), partial=not complete)
        return run

    @contextlib.contextmanager
    def _built(self) -> Iterator[Mapping[str, BuiltArm]]:
        """Stage 1: every arm stands; at the end none does."""
        with contextlib.ExitStack() as stack:
            arms = {}
            for number, spec in enumerate(self._spec.arms):
                self._told(f"build {spec.id}", number, len(self._spec.arms))
                name = f"bench-{os.getpid()}-{number}"
                arm = stack.enter_context(contextlib.closing(BuiltArm(self._spec, spec, name, self._cpus)))
                arms[spec.id] = arm
                self._folder.add_arm(arm.described())
                if arm.full_sync:
                    self._folder.add_sync(_sync(spec.id, "full", arm.full_sync, 0))
            self._told("build", len(arms), len(arms))
            yield arms

    def _prove(self, arms: Mapping[str, BuiltArm]) -> None:
        """Stage 2: in each arm a known prime number of packets is counted as exactly that."""
        for number, arm in enumerate(arms.values()):
            self._told("prove", number, len(arms))
            arm.worker.prove(arm.path("UDP"))
        self._told("prove", len(arms), len(arms))

    def _measure(self, arms: Mapping[str, BuiltArm]) -> bool:
        """Stage 3: repeats of all cells; False if the end of the time cut one."""
        measurement = Measurement(arms, self._folder, self._options.seed)
        lasted = 0.0
        for repeat in range(self._options.repeats):
            start = time.monotonic()
            if repeat and not self._time.fits(lasted):
                self._note_the_time(repeat, "another would not have ended within")
                return True
            if not self._repeat(arms, measurement, repeat):
                self._note_the_time(repeat, "the next was cut, since it did not end within")
                return False
            lasted = time.monotonic() - start
        return True

    def _repeat(self, arms: Mapping[str, BuiltArm], measurement: Measurement, repeat: int) -> bool:
        """Every cell once, then every arm's syncs; False if the time was over before the end."""
        stage, canary = f"repeat {repeat + 1}", measurement.canary()
        drawn = order(self._spec, repeat, self._options.seed)
        steps: list[tuple[str, Callable[[], object]]] = [
            *((stage, partial(measurement.block, cell, repeat, canary)) for cell in drawn),
            *((f"{stage}, syncs", partial(_time_syncs, arm, self._folder, repeat)) for arm in arms.values()),
        ]
        before, total = repeat * len(steps), self._options.repeats * len(steps)
        for number, (name, step) in enumerate(steps):
            if self._time.over():
                return False
            self._told(name, before + number, total)
            step()
        self._told(stage, before + len(steps), total)
        return True

    def _note_the_time(self, repeats: int, why: str) -> None:
        asked, seconds = self._options.repeats, self._options.seconds
        self._folder.add_note(f"{repeats} of {asked} repeats: {why} {seconds:g} s.")


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
