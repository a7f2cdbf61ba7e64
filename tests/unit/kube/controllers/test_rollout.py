"""A Deployment's arithmetic: what is started and what is ended next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.kube.controllers.rollout import Member, least_ready, resolve, step

ROLLING = {"type": "RollingUpdate"}


def members(text: str) -> list[Member]:
    """`N` a ready pod of the current template, `n` one not ready; `O`, `o` of an old one; numbered from 1."""
    return [Member(f"web-{i}", i, c in "Nn", c in "NO") for i, c in enumerate(text, start=1)]


@pytest.mark.parametrize(
    ("replicas", "there", "create", "remove"),
    [
        pytest.param(3, "", 3, [], id="start"),
        pytest.param(3, "NN", 1, [], id="scale up"),
        pytest.param(3, "NNN", 0, [], id="enough"),
        pytest.param(1, "NNN", 0, [3, 2], id="scale down: highest numbers"),
        pytest.param(2, "nNNn", 0, [4, 1], id="scale down: not ready first"),
        pytest.param(0, "NN", 0, [2, 1], id="scale to nothing"),
        pytest.param(4, "OOOO", 1, [4], id="roll: one more, one less"),
        pytest.param(4, "OOOn", 1, [], id="roll: waits for the new one"),
        pytest.param(4, "OOONN", 0, [3, 2], id="roll: goes on"),
        pytest.param(4, "OooO", 1, [3], id="roll: the sick go first"),
        pytest.param(1, "O", 1, [], id="roll of one: start before end"),
        pytest.param(1, "On", 0, [], id="roll of one: not before the new one is ready"),
        pytest.param(1, "ON", 0, [1], id="roll of one: then it goes"),
        pytest.param(0, "OO", 0, [2, 1], id="roll to nothing"),
    ],
)
def test_rolling(replicas: int, there: str, create: int, remove: list[int]) -> None:
    found = step(replicas, ROLLING, members(there))
    assert (found.create, [member.ordinal for member in found.remove]) == (create, remove)


@pytest.mark.parametrize(
    ("there", "create", "remove"),
    [
        pytest.param("OO", 0, [1, 2], id="end all first"),
        pytest.param("", 2, [], id="then start all"),
        pytest.param("N", 1, [], id="scale up"),
    ],
)
def test_recreate(there: str, create: int, remove: list[int]) -> None:
    found = step(2, {"type": "Recreate"}, members(there))
    assert (found.create, [member.ordinal for member in found.remove]) == (create, remove)


@pytest.mark.parametrize(
    ("rolling", "create", "remove"),
    [
        pytest.param({"maxSurge": 0, "maxUnavailable": 2}, 0, [4, 3], id="no surge"),
        pytest.param({"maxSurge": 3, "maxUnavailable": 0}, 3, [], id="nothing unavailable"),
        pytest.param({"maxSurge": "100%", "maxUnavailable": "50%"}, 4, [4, 3], id="percentages"),
        pytest.param({"maxSurge": 0, "maxUnavailable": "0%"}, 0, [4], id="never both 0"),
    ],
)
def test_bounds(rolling: dict[str, Any], create: int, remove: list[int]) -> None:
    found = step(4, {"type": "RollingUpdate", "rollingUpdate": rolling}, members("OOOO"))
    assert (found.create, [member.ordinal for member in found.remove]) == (create, remove)


@pytest.mark.parametrize(
    ("value", "up", "expected"), [(2, True, 2), ("25%", True, 3), ("25%", False, 2), ("100%", False, 10)]
)
def test_share_of_ten(value: int | str, up: bool, expected: int) -> None:
    assert resolve(value, 10, up=up) == expected


@given(
    replicas=st.integers(0, 12),
    there=st.text("NnOo", max_size=15),
    surge=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "100%"])),
    unavailable=st.one_of(st.integers(0, 4), st.sampled_from(["0%", "25%", "100%"])),
)
def test_a_step_never_breaks_the_bounds(
    replicas: int, there: str, surge: int | str, unavailable: int | str
) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    before = members(there)
    found = step(replicas, strategy, before)
    ready = sum(member.ready for member in before)
    left = ready - sum(member.ready for member in found.remove)
    assert left >= min(ready, least_ready(replicas, strategy))
    most = replicas + resolve(surge, replicas, up=True)
    assert found.create == 0 or len(before) + found.create <= most


@given(st.integers(0, 8), st.text("NnOo", max_size=12))
def test_steps_come_to_an_end(replicas: int, there: str) -> None:
    """With pods that become ready between the steps, all are of the current template before long."""
    now = members(there)
    for _ in range(60):
        found = step(replicas, ROLLING, now)
        gone = set(found.remove)
        top = max((member.ordinal for member in now), default=0)
        new = [Member(f"new-{n}", top + n, True, True) for n in range(1, found.create + 1)]
        now = [Member(m.name, m.ordinal, m.current, True) for m in now if m not in gone] + new
    assert [member.current for member in now] == [True] * replicas
