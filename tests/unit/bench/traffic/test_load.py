"""The description of a background load."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from testbed.bench.traffic.background import Load, Totals
from testbed.bench.traffic.frames import Headers
from testbed.bench.traffic.sender import Sent
from testbed.errors import UsageError

LOAD = Load(
    "default_client", "eth0", Headers("02::1", "ee::ee", "10.244.0.2", "10.96.0.1", 80), 1000.0, cpu=1
)


def test_survives_the_pipe() -> None:
    assert Load.decode(json.loads(json.dumps(dataclasses.asdict(LOAD)))) == LOAD


@pytest.mark.parametrize("change", [{"speed": 3}, {"headers": {"port": 1}}], ids=["unknown", "incomplete"])
def test_a_wrong_description_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="background load"):
        Load.decode({**dataclasses.asdict(LOAD), **change})


@pytest.mark.parametrize(("rate", "packets"), [(1000, 50), (1, 1), (0, 4096), (99_999_999, 4096)])
def test_a_stop_is_looked_for_often(rate: float, packets: int) -> None:
    assert dataclasses.replace(LOAD, rate=rate).slice == packets


def test_the_report_adds_slices_up() -> None:
    totals = Totals()
    for late, sent in ((5, 10), (2_000_000, 7)):
        times = np.array([100, 200], np.int64)
        totals.add(Sent(times, times + late, sent, 1, 0, 0.1))
    report = totals.report(100.0, 2.0)
    assert (report.sent, report.refused, report.achieved_rate) == (17, 2, 8.5)
    assert report.late_seconds == pytest.approx(0.002)
