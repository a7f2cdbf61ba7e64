"""A case, tried in a lab: its steps done, its packets sent, and everything told that is not as the case says.

Knows labs, cases and judges; knows no datapath and no test framework.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.net.answer import Answer
from tests.net.case import Case, Packet, Step
from tests.net.judge import judge
from tests.net.lab import Lab
from tests.net.shares import Met, met, row_complaints


def complaint(lab: Lab, case: Case) -> str:
    """What is wrong in the first step of a case in which something is; empty if nothing is. The lab is fresh."""
    lab.begin(case)
    trial = Trial(lab)
    for number, step in enumerate(case.steps):
        complaints = lab.change(step) + trial.judged(step)
        if complaints:
            return f"{case.title}\nstep {number}:\n" + "\n".join(complaints)
    return ""


@dataclass
class Trial:
    """Remembers whom the rows with names met."""

    lab: Lab
    _met: dict[str, Met] = field(default_factory=dict)

    def judged(self, step: Step) -> list[str]:
        """Everything in which a step's packets meet something else than the case says."""
        answers = self.lab.send(step.packets)
        owners = self.lab.directory().owners()
        complaints = []
        for packet, seen in zip(step.packets, answers, strict=True):
            verdict = judge(packet, seen, owners)
            if verdict and not judge(packet, mended(seen), owners):
                [seen] = self.lab.send([packet])
                verdict = judge(packet, seen, owners)
            if verdict and packet.expect.even and not judge(uneven_allowed(packet), seen, owners):
                verdict = judged_again(self.lab, packet)
            complaints += verdict
        return complaints or self._judged_together(step.packets, answers)

    def _judged_together(self, packets: Sequence[Packet], answers: Sequence[list[Answer]]) -> list[str]:
        """What holds for rows as a whole."""
        pairs = zip(packets, answers, strict=True)
        rows = [[*group] for _, group in itertools.groupby(pairs, key=lambda pair: pair[0].row)]
        complaints = [text for row in rows for text in row_complaints(row, self._met)]
        self._met |= {row[0][0].name: met(row) for row in rows if row[0][0].name}
        return complaints


def mended(answers: Sequence[Answer]) -> list[Answer]:
    """The answers as if no segment had been sent again.

    A full queue of a busy machine drops one in a very long while (net.core.netdev_max_backlog). What a datapath
    loses it loses again: where nothing else is wrong, the packets are sent once more and must all get through.
    """
    return [replace(answer, retransmitted=False) for answer in answers]


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
