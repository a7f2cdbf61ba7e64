"""Pools: the lowest free number, the static band last, nothing twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from testbed.kube.store import Pool


def test_lowest_free_number_first() -> None:
    pool = Pool(1, 5)
    assert pool.claim(2)
    assert [pool.take() for _ in range(5)] == [1, 3, 4, 5, None]


def test_static_band_last() -> None:
    pool = Pool(1, 5, static=2)
    assert [pool.take() for _ in range(6)] == [3, 4, 5, 1, 2, None]


def test_released_number_comes_again() -> None:
    pool = Pool(1, 5)
    taken = [pool.take() for _ in range(4)]
    pool.release(2)
    assert taken == [1, 2, 3, 4]
    assert pool.take() == 2


def test_claimed_number_cannot_be_claimed() -> None:
    pool = Pool(1, 5)
    assert pool.claim(3)
    assert not pool.claim(3)
    assert [pool.take() for _ in range(4)] == [1, 2, 4, 5]


def test_membership_is_about_the_range() -> None:
    pool = Pool(1, 5)
    assert 5 in pool
    assert 6 not in pool


@given(
    st.lists(st.one_of(st.just("take"), st.integers(-20, 20).filter(bool)), max_size=60), st.integers(0, 10)
)
def test_like_a_set(script: list[str | int], static: int) -> None:
    """A positive number is claimed, a negative one released; the pool acts like the set that it stands for."""
    pool, held = Pool(1, 20, static), set[int]()
    for action in script:
        if action == "take":
            free = [n for n in [*range(1 + static, 21), *range(1, 1 + static)] if n not in held]
            number = pool.take()
            assert number == (free[0] if free else None)
            held |= {number} if number is not None else set()
        elif isinstance(action, int) and action > 0:
            assert pool.claim(action) == (action not in held)
            held.add(action)
        elif isinstance(action, int):
            pool.release(-action)
            held.discard(-action)
