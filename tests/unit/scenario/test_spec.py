"""A scenario as written: what is read, and every mistake with its place before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import ManifestErrors, Mistake
from testbed.scenario.spec import ArmSpec, ProbeSpec, read

ROOT = Path(__file__).parents[3]
SCENARIO = """\
apiVersion: testbed.dev/v1alpha1
kind: Scenario
metadata: {name: tiny}
title: A tiny scenario
question: What does a Service cost?
manifests: manifests
client: client
noise: {from: noise, to: noise-sink}
target: {service: zz-target, udpPort: 9, tcpPort: 80}
arms:
- {id: direct, datapath: none, path: direct, services: [0]}
- {id: nft, datapath: iptables, variant: nft, path: service, services: [1, 20]}
probes:
- {probe: established, count: 100, rate: 1000, warmUp: 10, load: [0, 5000]}
seconds: 60
"""


def folder(home: Path, scenario: str = SCENARIO) -> Path:
    (home / "scenario.yaml").write_text(scenario)
    (home / "manifests").symlink_to(ROOT / "scenarios/first-light/manifests")
    return home


def mistakes(home: Path, *changes: tuple[str, str]) -> tuple[Mistake, ...]:
    """What is wrong after these changes of the text."""
    text = SCENARIO
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(ManifestErrors) as caught:
        read(folder(home, text))
    assert caught.value.exit_code == 2
    return caught.value.mistakes


def test_a_right_scenario_is_read(tmp_path: Path) -> None:
    spec = read(folder(tmp_path))
    assert [arm.id for arm in spec.arms] == ["direct", "nft-1", "nft-20"]
    assert spec.arms[1] == ArmSpec("nft", "iptables", "nft", "service", 1)
    assert spec.probes == (ProbeSpec("established", 100, 1000.0, 10, (0.0, 5000.0)),)
    assert (spec.noise, spec.seconds) == (("noise", "noise-sink"), 60.0)


@pytest.mark.parametrize(
    "scenario", sorted(path.parent.name for path in ROOT.glob("scenarios/*/scenario.yaml"))
)
def test_our_own_scenarios_are_right(scenario: str) -> None:
    assert read(ROOT / "scenarios" / scenario).name == scenario


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        (("client: client", "client: nope"), (7, "client"), "no Pod 'nope'"),
        (("from: noise,", "from: nope,"), (8, "noise.from"), "no Pod 'nope'"),
        (("to: noise-sink", "to: nope"), (8, "noise.to"), "no Pod 'nope'"),
        (("to: noise-sink", "to: client"), (8, "noise.to"), "takes no packets on port 9/UDP"),
        (("service: zz-target", "service: nope"), (9, "target.service"), "no Service 'nope'"),
        (("udpPort: 9", "udpPort: 80"), (9, "target.udpPort"), "has no port 80/UDP"),
        (("tcpPort: 80", "tcpPort: 81"), (9, "target.tcpPort"), "has no port 81/TCP"),
        (("variant: nft", "variant: bogus"), (12, "arms[1].variant"), "no variant 'bogus'"),
        (("none, path", "none, variant: nft, path"), (11, "arms[0].variant"), "no variant 'nft'"),
        (("datapath: iptables", "datapath: iptable"), (12, "arms[1].datapath"), "no datapath 'iptable'"),
        (("id: nft", "id: direct"), (12, "arms[1].id"), "is there already"),
        (("path: direct", "path: service"), (11, "arms[0].path"), "no datapath would bring"),
        (("[1, 20]", "[1, 1]"), (12, "arms[1].services"), "non-unique"),
        (("noise: {from: noise, to: noise-sink}\n", ""), (12, "probes"), "nobody makes noise"),
        (("5000]", "99999999]"), (14, "probes[0].load[1]"), "maximum of 1000000"),
        (("rate: 1000", "rate: 99999999"), (14, "probes[0].rate"), "maximum of 1000000"),
        (("rate: 1000", "rate: 1"), (14, "probes[0].rate"), "one block alone would take 110 s"),
        (("count: 100", "count: 60000"), (14, "probes[0].count"), "maximum of 50000"),
        (("seconds: 60", "second: 60"), (1, ""), "'second' was unexpected"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, change: tuple[str, str], place: tuple[int, str], message: str
) -> None:
    (mistake,) = mistakes(tmp_path, change)
    assert (mistake.file, mistake.line, mistake.path) == (str(tmp_path / "scenario.yaml"), *place)
    assert message in mistake.message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = mistakes(
        tmp_path,
        ("client: client", "client: nope"),
        ("nft, path", "bogus, path"),
        ("udpPort: 9", "udpPort: 7"),
    )
    assert [mistake.path for mistake in told] == ["client", "target.udpPort", "arms[1].variant"]


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (("client: client", "client: nope"), "one of client, noise, noise-sink"),
        (("service: zz-target", "service: nope"), "one of zz-target"),
        (("udpPort: 9", "udpPort: 7"), "one of 9/UDP, 80/TCP"),
        (("to: noise-sink", "to: noise"), "containerPort: 9, protocol: UDP"),
    ],
)
def test_a_hint_says_what_would_be_right(tmp_path: Path, change: tuple[str, str], hint: str) -> None:
    (mistake,) = mistakes(tmp_path, change)
    assert hint in mistake.hint


def test_mistakes_in_the_manifests_come_with_the_scenarios_own(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests/bad.yaml").write_text("apiVersion: v1\nkind: Pod\nmetadata: {}\n")
    (tmp_path / "scenario.yaml").write_text(SCENARIO.replace("iptables", "iptable"))
    with pytest.raises(ManifestErrors) as caught:
        read(tmp_path)
    files = {Path(mistake.file).name for mistake in caught.value.mistakes}
    assert files == {"bad.yaml", "scenario.yaml"}


def test_a_folder_without_a_scenario(tmp_path: Path) -> None:
    with pytest.raises(ManifestErrors, match="cannot be read") as caught:
        read(tmp_path)
    assert "first-light" in caught.value.mistakes[0].hint
