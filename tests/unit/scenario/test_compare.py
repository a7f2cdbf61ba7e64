"""Which arms a comparison has: every datapath that a machine has, and a line for each that it lacks."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from testbed.cluster.verbs import offered
from testbed.datapaths import find
from testbed.errors import FeatureMissing, ManifestErrors
from testbed.kube.objects import load_text
from testbed.scenario.compare import COMMON, SERVICES, comparison, is_scenario, scenario_of
from testbed.scenario.spec import read

OWN = """
apiVersion: v1
kind: Service
metadata: {name: mine}
spec: {ports: [{port: 80}]}
"""


class Machine:
    """`datapaths.contract.Machine` without some features."""

    def __init__(self, lacking: Collection[str] = (), everything: bool = True) -> None:
        self._lacking, self._everything = lacking, everything

    def has(self, feature: str) -> bool:
        return self._everything and feature not in self._lacking

    def why_not(self, feature: str) -> str:
        return "" if self.has(feature) else f"no {feature} here"


def test_every_datapath_in_every_variant_takes_the_place_of_the_arm_through_a_service() -> None:
    found = comparison(read(COMMON), offered(Machine()))
    wanted = [(name, options.get("variant", "")) for name in find.names() for options in find.choices(name)]
    through = [arm for arm in found.spec.arms if arm.path == "service"]
    assert [(arm.datapath, arm.variant) for arm in through if arm.services == 1] == wanted
    assert sorted({arm.services for arm in through}) == [1, 1000]
    assert [arm.id for arm in found.spec.arms if arm.path == "direct"] == ["direct"]
    assert len({arm.id for arm in found.spec.arms}) == len(found.spec.arms)
    assert found.unsupported == ()


def test_what_the_machine_lacks_is_told_with_reason_and_fix() -> None:
    found = comparison(read(COMMON), offered(Machine({"iptables-legacy"})))
    assert "iptables-legacy-1" not in {arm.id for arm in found.spec.arms}
    line = next(line for line in found.unsupported if line.startswith("iptables legacy"))
    assert "iptables-legacy: no iptables-legacy here (fix: apt-get install iptables)" in line


def test_a_machine_without_any_cannot_compare() -> None:
    with pytest.raises(FeatureMissing, match="iptables nft is not here"):
        comparison(read(COMMON), offered(Machine(everything=False)))


def test_manifests_of_ones_own_come_beside_the_common_ones() -> None:
    spec = scenario_of(["mine.yaml"], load_text(OWN, "mine.yaml"))
    names = [manifest.body["metadata"]["name"] for manifest in spec.loaded.manifests]
    assert {"mine", "zz-compare", "compare-client"} <= set(names)
    assert {arm.services for arm in spec.arms if arm.path == "service"} == {SERVICES}
    assert spec.loaded.cluster is not None


def test_a_name_that_compare_brings_itself_is_a_mistake() -> None:
    with pytest.raises(ManifestErrors, match="mine.yaml:.*is taken"):
        scenario_of(["mine.yaml"], load_text(OWN.replace("mine", "zz-compare"), "mine.yaml"))


def test_a_folder_with_a_scenario_is_one() -> None:
    assert is_scenario([str(COMMON)])
    assert not is_scenario([str(COMMON / "manifests")])
