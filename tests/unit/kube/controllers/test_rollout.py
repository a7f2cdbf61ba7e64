"""A Deployment's arithmetic: which ReplicaSet grows and which shrinks next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.kube.controllers.rollout import (
    Replicas,
    Rollout,
    first_size,
    grown,
    proportioned,
    resolve,
    rollout_of,
    shrunk,
)


@pytest.mark.parametrize(
    ("value", "up", "found"),
    [(2, True, 2), ("25%", True, 1), ("25%", False, 0), ("100%", True, 3), ("0%", True, 0), ("34%", True, 2)],
)
def test_number_or_percentage_of_three(value: int | str, up: bool, found: int) -> None:
    assert resolve(value, 3, up=up) == found


@pytest.mark.parametrize(
    ("spec", "surge", "unavailable"),
    [
        pytest.param({"replicas": 3}, 1, 0, id="defaults"),
        pytest.param({"replicas": 10}, 3, 2, id="defaults of ten"),
        pytest.param({"replicas": 4, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}}, 0, 1,
                     id="one of the two is above 0"),
        pytest.param({"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 5}}}, 0, 2,
                     id="not more than there are"),
        pytest.param({"replicas": 2, "strategy": {"type": "Recreate"}}, 0, 0, id="recreate"),
    ],
)  # fmt: skip
def test_bounds(spec: dict[str, Any], surge: int, unavailable: int) -> None:
    found = rollout_of(spec)
    assert (found.surge, found.unavailable) == (surge, unavailable)


@pytest.mark.parametrize(
    ("rollout", "new", "old", "size"),
    [
        pytest.param(Rollout(3, 1, 0), 0, 0, 3, id="the first set gets all"),
        pytest.param(Rollout(3, 1, 0), 0, 3, 1, id="one more than wanted"),
        pytest.param(Rollout(3, 1, 0), 1, 3, 1, id="no room"),
        pytest.param(Rollout(3, 1, 0), 1, 2, 2, id="room for one"),
        pytest.param(Rollout(3, 5, 0), 0, 3, 3, id="not more than wanted"),
        pytest.param(Rollout(2, 1, 0), 3, 0, 2, id="scaled down"),
        pytest.param(Rollout(2, 0, 0, recreate=True), 0, 0, 2, id="recreate"),
    ],
)
def test_the_new_set_grows(rollout: Rollout, new: int, old: int, size: int) -> None:
    assert grown(rollout, Replicas("new", new, new), [Replicas("old", old, old)]) == size


@pytest.mark.parametrize(
    ("rollout", "new", "old", "sizes"),
    [
        pytest.param(Rollout(3, 1, 0), (1, 0), [(3, 3)], {}, id="waits for the new pod"),
        pytest.param(Rollout(3, 1, 0), (1, 1), [(3, 3)], {"old0": 2}, id="one for one"),
        pytest.param(Rollout(4, 0, 2), (0, 0), [(4, 4)], {"old0": 2}, id="may be two fewer"),
        pytest.param(Rollout(3, 1, 1), (1, 0), [(3, 1)], {"old0": 2}, id="the sick go first"),
        pytest.param(Rollout(3, 1, 0), (1, 1), [(1, 1), (2, 2)], {"old0": 0}, id="the oldest set first"),
        pytest.param(Rollout(0, 0, 0), (0, 0), [(2, 2)], {"old0": 0}, id="to nothing"),
    ],
)
def test_old_sets_shrink(
    rollout: Rollout, new: tuple[int, int], old: list[tuple[int, int]], sizes: dict[str, int]
) -> None:
    sets = [Replicas(f"old{i}", *numbers) for i, numbers in enumerate(old)]
    assert shrunk(rollout, Replicas("new", *new), sets) == sizes


rollouts = st.builds(Rollout, st.integers(3, 8), st.integers(1, 3), st.integers(0, 3))


@given(rollouts, st.lists(st.integers(0, 8), max_size=3), st.data())
def test_no_step_breaks_a_bound(rollout: Rollout, old: list[int], data: st.DataObject) -> None:
    replicas = rollout.replicas
    wanted = data.draw(st.integers(0, replicas))
    new = Replicas("new", wanted, data.draw(st.integers(0, wanted)))
    sets = [Replicas(f"old{i}", size, data.draw(st.integers(0, size))) for i, size in enumerate(old)]
    size = grown(rollout, new, sets)
    assert size == new.wanted or size + sum(old) <= replicas + rollout.surge
    after = {each.name: each.wanted for each in sets} | shrunk(rollout, new, sets)
    lost = sum(max(0, each.available - after[each.name]) for each in sets)
    available = new.available + sum(each.available for each in sets)
    assert lost == 0 or available - lost >= rollout.least


def test_a_roll_out_comes_to_its_end() -> None:
    rollout, new, old = Rollout(5, 1, 1), Replicas("new", 0, 0), Replicas("old", 5, 5)
    steps = 0
    while (new.wanted, old.wanted) != (5, 0):
        size = grown(rollout, new, [old])
        new = Replicas("new", size, size)
        left = shrunk(rollout, new, [old]).get("old", old.wanted)
        old = Replicas("old", left, left)
        steps += 1
        assert steps < 10


@pytest.mark.parametrize(
    ("replicas", "sets", "sizes"),
    [
        pytest.param(10, {"new": 2, "old": 4}, {"new": 4, "old": 8}, id="doubled"),
        pytest.param(2, {"new": 2, "old": 4}, {"new": 1, "old": 2}, id="halved and more"),
        pytest.param(5, {"new": 2, "old": 4}, {}, id="as it was"),
        pytest.param(0, {"new": 2, "old": 4}, {"new": 0, "old": 0}, id="to nothing"),
    ],
)
def test_a_new_number_is_shared_out(replicas: int, sets: dict[str, int], sizes: dict[str, int]) -> None:
    rows = [Replicas(name, size, size) for name, size in sets.items()]
    surge = {10: 2, 2: 1, 5: 1, 0: 0}[replicas]
    assert proportioned(Rollout(replicas, surge, 0), rows, {"new": 6, "old": 6}) == sizes


def test_first_size_leaves_room_for_others() -> None:
    assert first_size(Rollout(3, 1, 0), others=2) == 2
