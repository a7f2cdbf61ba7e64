"""Lab instances that are shared: which one a case gets, and when one is not used again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from testbed.errors import TestbedError
from tests.net.labs import KEPT, Labs


class FakeLab:
    """Knows whether somebody left something in it."""

    def __init__(self, name: str) -> None:
        self.name, self.left = name, False

    def reset(self) -> None:
        if self.left:
            raise TestbedError("something is left")


class Deployed:
    """Every lab that was deployed, and the names of those that are destroyed."""

    def __init__(self) -> None:
        self.labs: list[FakeLab] = []
        self.destroyed: list[str] = []

    @contextlib.contextmanager
    def deploy(self, name: str, cluster: str) -> Iterator[FakeLab]:
        lab = FakeLab(cluster)
        self.labs.append(lab)
        yield lab
        self.destroyed.append(cluster)


@pytest.fixture
def world() -> Deployed:
    return Deployed()


@pytest.fixture
def labs(world: Deployed) -> Labs:
    return Labs(world.deploy)  # type: ignore[arg-type]


def test_cases_of_one_shape_share_a_lab(world: Deployed, labs: Labs) -> None:
    for _ in range(3):
        with labs.borrowed("two nodes"):
            pass
    assert (len(world.labs), world.destroyed) == (1, [])


def test_another_shape_is_another_lab(world: Deployed, labs: Labs) -> None:
    for shape in ("two nodes", "three nodes", "two nodes"):
        with labs.borrowed(shape) as lab:
            assert lab.name == shape
    assert len(world.labs) == 2


def test_a_lab_in_which_a_case_failed_is_not_used_again(world: Deployed, labs: Labs) -> None:
    with pytest.raises(AssertionError), labs.borrowed("two nodes"):
        assert not world.labs
    assert world.destroyed == ["two nodes"]
    with labs.borrowed("two nodes"):
        assert len(world.labs) == 2


def test_what_a_case_leaves_fails_it_and_ends_the_lab(world: Deployed, labs: Labs) -> None:
    with pytest.raises(TestbedError, match="something is left"), labs.borrowed("two nodes"):
        world.labs[0].left = True
    assert world.destroyed == ["two nodes"]


def test_no_more_than_a_few_at_once(world: Deployed, labs: Labs) -> None:
    for number in range(KEPT + 1):
        with labs.borrowed(str(number % KEPT)), labs.borrowed("used all the time"):
            pass
    assert "used all the time" not in world.destroyed
    assert len(world.labs) - len(world.destroyed) <= KEPT


def test_in_the_end_all_are_destroyed(world: Deployed, labs: Labs) -> None:
    with labs.borrowed("two nodes"), labs.borrowed("three nodes"):
        pass
    labs.close()
    assert sorted(world.destroyed) == ["three nodes", "two nodes"]
