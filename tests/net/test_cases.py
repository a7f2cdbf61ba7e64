"""Every packet case against every datapath, judged by what its packets meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.datapaths import find
from testbed.machine import features
from tests.net import case_file
from tests.net.arms import Arm, arms
from tests.net.labs import Labs
from tests.net.trial import complaint
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
        told = complaint(lab, case.under(arm.datapath))
        assert not told, told
