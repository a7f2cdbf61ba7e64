"""The measuring itself: which blocks there are, in which order, and one block measured.

A *cell* is one probe under one load in one arm. In each repeat every cell is measured once, in an order drawn
anew: so a machine that gets slower or busier meets all arms alike (benchmarks.md, 3.5).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.bench.probes.crossing import Measured
from testbed.bench.probes.path import Settings
from testbed.bench.results.files import RunFolder
from testbed.bench.results.model import Block
from testbed.scenario.arm import BuiltArm
from testbed.scenario.spec import ProbeSpec, Spec

CANARY = Settings(count=200, rate=4000, warm_up=20, flows=4, quiet=0.05)
QUIET_SECONDS = 0.05  # all packets stay on this machine: what has not arrived by then will not come
TCP_PROBES = frozenset({"connect"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One probe under one load in one arm."""

    arm: str
    probe: ProbeSpec
    load: float


def cells(spec: Spec) -> list[Cell]:
    """Every cell of a scenario. A pod's own address is one endpoint: there is nothing to distribute."""
    return [
        Cell(arm.id, probe, load)
        for arm in spec.arms
        for probe in spec.probes
        for load in probe.loads
        if not (probe.probe == "distribution" and arm.path == "direct")
    ]


def order(spec: Spec, repeat: int, seed: int) -> list[Cell]:
    """The cells of one repeat in an order of its own; the same for the same seed."""
    drawn = cells(spec)
    random.Random(f"{seed}/{repeat}").shuffle(drawn)
    return drawn


class Measurement:
    """Measures blocks into a run's folder."""

    def __init__(self, arms: Mapping[str, BuiltArm], folder: RunFolder, seed: int) -> None:
        self._arms, self._folder, self._seed = arms, folder, seed
        self._order = 0
        self._canary_arm = _quietest(list(arms.values()))

    def block(self, cell: Cell, repeat: int, canary: float | None) -> Block:
        """Measure one cell once, under its load, with no connection known from before.

        A load whose block failed is not stopped here: it ends with its worker, which may not answer any more.
        """
        arm = self._arms[cell.arm]
        arm.flush()
        if cell.load:
            arm.worker.start_load(arm.noise(cell.load))
        measured = self._probe(arm, cell, repeat)
        achieved = arm.worker.stop_load().achieved_rate if cell.load else 0.0
        block = Block(cell.arm, repeat, self._order, cell.load, achieved, canary)
        self._order += 1
        return self._folder.add_block(block, measured.samples)

    def canary(self) -> float | None:
        """The median, in ns, of established packets on the path that has no rules at all; None without one.

        It tells how the machine feels at the moment, whatever the arms do.
        """
        if self._canary_arm is None:
            return None
        arm = self._canary_arm
        measured = arm.worker.measure("established", arm.path("UDP"), CANARY, self._raw(arm))
        values = sorted(measured.samples.values.tolist())
        return float(values[len(values) // 2]) if values else None

    def _probe(self, arm: BuiltArm, cell: Cell, repeat: int) -> Measured:
        probe = cell.probe
        settings = Settings(
            count=probe.count, rate=probe.rate, warm_up=probe.warm_up, quiet=QUIET_SECONDS,
            seed=self._seed + repeat,
        )  # fmt: skip
        protocol = "TCP" if probe.probe in TCP_PROBES else "UDP"
        return arm.worker.measure(probe.probe, arm.path(protocol), settings, self._raw(arm))

    def _raw(self, arm: BuiltArm) -> Path:
        """Where the worker leaves its samples: the instance's own folder, which both sides see."""
        return arm.instance.folder / "raw.npz"


def _quietest(arms: Sequence[BuiltArm]) -> BuiltArm | None:
    return next((arm for arm in arms if arm.arm.path == "direct" and arm.arm.services == 0), None)
