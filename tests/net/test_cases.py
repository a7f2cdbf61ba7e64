"""Every packet case against every datapath, in every kernel that has it, judged by what its packets meet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.datapaths import find
from testbed.machine import features
from testbed.machine.kernels import NATIVE
from tests.net import case_file
from tests.net.arms import Arm, pairs
from tests.net.guest import Guests
from tests.net.labs import Labs
from tests.net.trial import complaint
from tests.require import require_in, supported


@pytest.fixture(scope="module")
def labs() -> Iterator[Labs]:
    """Lab instances that cases share, one after the other."""
    shared = Labs()
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def guests() -> Iterator[Guests]:
    """A guest for each kernel but this one, for all cases of a test process."""
    shared = Guests()
    yield shared
    shared.close()


def name(value: Path | Arm) -> str:
    return f"{value.parent.name}/{value.stem}" if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(("path", "arm"), list(pairs(case_file.case_files())), ids=name)
def test_case(path: Path, arm: Arm, labs: Labs, guests: Guests) -> None:
    case = case_file.load(path)
    supported(arm.datapath, find.load(arm.datapath, arm.options).features, case.features)
    require_in(arm.kernel, arm.feature, *sorted(case.features & {*features.names()}))
    if arm.kernel != NATIVE:
        told = guests.told(path, path.read_text(), arm)
    else:
        with labs.borrowed(arm.cluster(case)) as lab:
            told = complaint(lab, case.under(arm.datapath))
    assert not told, told
