"""What holds IPVS to its word, run in a User Mode Linux: few machines' own kernels have IPVS, and fewer will."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.machine.kernels import guests
from tests.require import require_in

ROOT = Path(__file__).parents[2]
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
SECONDS = 600.0


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(
    "which", [("tests/kernel/test_ipvs.py",), ("tests/contract", "-k", "ipvs")], ids=["kernel", "contract"]
)
def test_it_passes_in_a_guest(which: tuple[str, ...]) -> None:
    """`TESTBED_REQUIRE` makes a guest without IPVS a failure rather than a skip."""
    require_in("uml", "ip_vs", "iptables-nft", "iptables-legacy")
    needed = "ip_vs,dummy,xt_set,xt_ipvs,iptables-nft,iptables-legacy"
    with guests.running("uml") as guest:
        done = subprocess.run(
            guest.argv([*PYTEST, *which]),
            cwd=ROOT,
            env={**os.environ, "TESTBED_REQUIRE": needed},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    assert done.returncode == 0, f"{done.stdout[-10_000:]}\n{done.stderr[-2_000:]}"
    assert "passed" in done.stdout or "[100%]" in done.stdout
