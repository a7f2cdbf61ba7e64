"""Rounds of the fuzzer: `make fuzz` plays them for as long as one likes, TESTBED_SEEDS says other numbers."""

from __future__ import annotations

import pytest

from tests.fuzz.rounds import play
from tests.fuzz.world import SEEDS, World
from tests.generated.seeds import seeds


@pytest.mark.parametrize("number", seeds(40))
def test_nothing_goes_wrong(number: int) -> None:
    assert play(number).check_plan()


def test_what_is_damaged_was_sound() -> None:
    world = World()
    world.check()
    kinds = {seed["kind"] for seed in SEEDS}
    assert kinds - {"Cluster"} <= set(world.store.kinds())
    assert "web" in world.check_plan(), "the seeds' Service becomes rules"
