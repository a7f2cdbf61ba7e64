"""No packet sees a half-made Service: endpoints and policies change at random while traffic goes on.

A short run of each arm; `make soak-churn` runs ten thousand changes.
"""

from __future__ import annotations

import os

import pytest

from tests.net.arms import Arm, arms
from tests.net.churn.run import Order, run
from tests.require import require

CHANGES = 300
LEAST = {
    ("tcp", "answered"): 200,
    ("udp", "answered"): 200,
    ("long", "answered"): 500,
    ("flow", "answered"): 500,
}


@pytest.mark.parametrize("arm", list(arms()), ids=str)
def test_changes_under_traffic(arm: Arm) -> None:
    require(arm.feature)
    result = run(Order(CHANGES, arm.datapath, arm.options), f"churn-{arm.feature}-{os.getpid()}")
    assert not result.wrong, str(result)
    seen = {what: result.seen[what] for what in LEAST}
    assert all(seen[what] >= least for what, least in LEAST.items()), (
        f"too little traffic to say anything: {seen}"
    )
    assert result.seen["tcp", "refused"] + result.seen["udp", "refused"] > 0, (
        "no Service was ever without endpoints"
    )
