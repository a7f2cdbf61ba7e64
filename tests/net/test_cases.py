"""Every packet case against every datapath, each in a lab instance of its own, judged by what its packets meet."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.datapaths import find
from tests.net import case_file
from tests.net.case_file import Case, Packet, Step
from tests.net.judge import judge
from tests.net.lab import Lab, deployed
from tests.require import require, supported

# Options with which a datapath is judged, each with what the machine must have. Without an entry: as it comes.
VARIANTS: dict[str, dict[str, Mapping[str, Any]]] = {
    "iptables": {"iptables-nft": {"variant": "nft"}, "iptables-legacy": {"variant": "legacy"}}
}


@dataclass(frozen=True, slots=True)
class Arm:
    """A datapath with its options."""

    datapath: str
    feature: str
    options: Mapping[str, Any]

    def __str__(self) -> str:
        return self.feature

    def cluster(self, case: Case) -> str:
        """The Cluster document for a case."""
        document = {
            "apiVersion": "testbed.dev/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": "case"},
            "networking": {"ipFamily": "dual", "kubeProxyMode": self.datapath},
            # A case waits for each of its steps; it need not wait for the period between two rounds as well.
            "kubeProxy": {self.datapath: {**self.options, "minSyncPeriod": "0s"}},
            "nodes": [{"role": "worker", "count": case.nodes}],
            "clients": 2,
        }
        return yaml.safe_dump(document)


def arms() -> Iterator[Arm]:
    """Every datapath that is found, in every variant."""
    for name in find.names():
        for feature, options in VARIANTS.get(name, {name: {}}).items():
            yield Arm(name, feature, options)


@pytest.mark.parametrize("arm", list(arms()), ids=str)
@pytest.mark.parametrize("path", case_file.case_files(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_case(path: Path, arm: Arm, tmp_path: Path) -> None:
    case = case_file.load(path)
    require(arm.feature)
    supported(arm.datapath, find.load(arm.datapath, arm.options).features, case.features)
    document = tmp_path / "cluster.yaml"
    document.write_text(arm.cluster(case))
    with deployed(f"case-{zlib.crc32(f'{case} {arm}'.encode()):08x}-{os.getpid()}", document) as lab:
        for number, step in enumerate(case.steps):
            lab.change(step)
            complaints = judged(lab, step)
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
