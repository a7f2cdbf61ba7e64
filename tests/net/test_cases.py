"""Every packet case against every datapath, judged by what its packets meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from testbed.datapaths import find
from testbed.machine import features
from tests.net import case_file
from tests.net.arms import Arm, arms
from tests.net.case import Packet, Step
from tests.net.judge import judge
from tests.net.lab import Lab
from tests.net.labs import Labs
from tests.require import require, supported


@pytest.fixture(scope="module")
def labs() -> Iterator[Labs]:
    """Lab instances that cases share, one after the other."""
    shared = Labs()
    yield shared
    shared.close()


@pytest.mark.parametrize("arm", list(arms()), ids=str)
@pytest.mark.parametrize("path", case_file.case_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path, arm: Arm, labs: Labs) -> None:
    case = case_file.load(path)
    require(arm.feature, *sorted(case.features & {*features.names()}))
    supported(arm.datapath, find.load(arm.datapath, arm.options).features, case.features)
    with labs.borrowed(arm.cluster(case)) as lab:
        lab.begin(case)
        for number, step in enumerate(case.steps):
            complaints = lab.change(step) + judged(lab, step)
            assert not complaints, f"{case.title}\nstep {number}:\n" + "\n".join(complaints)


def judged(lab: Lab, step: Step) -> list[str]:
    """Everything in which a step's packets meet something else than the case says."""
    answers = lab.send(step.packets)
    owners = lab.directory().owners()
    complaints = []
    for packet, seen in zip(step.packets, answers, strict=True):
        verdict = judge(packet, seen, owners)
        if verdict and packet.expect.even and not judge(uneven_allowed(packet), seen, owners):
            verdict = judged_again(lab, packet)
        complaints += verdict
    return complaints


def judged_again(lab: Lab, packet: Packet) -> list[str]:
    """A second, four times larger sample for shares that looked unequal.

    One fair sample in a thousand looks so (judge.P_VALUE), two in a row one in a million; shares that are
    unequal in truth show more clearly in the larger sample.
    """
    larger = replace(packet, count=4 * packet.count)
    [answers] = lab.send([larger])
    return judge(larger, answers, lab.directory().owners())


def uneven_allowed(packet: Packet) -> Packet:
    """The packet with no claim about shares."""
    return replace(packet, expect=replace(packet.expect, even=False))
