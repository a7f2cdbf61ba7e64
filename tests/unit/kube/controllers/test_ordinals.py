"""Which pods of a StatefulSet come and go next."""

from __future__ import annotations

import pytest

from testbed.kube.controllers.ordinals import Member, Wish, complete, step


def members(text: str, start: int = 0) -> dict[int, Member]:
    """`N` an available pod of the new template, `O` of the old; small: not available; `t` ends, `e` has ended."""
    return {
        number: Member(c in "NO", terminating=c == "t", ended=c == "e", updated=c not in "Oo")
        for number, c in enumerate(text, start)
        if c != "."
    }


@pytest.mark.parametrize(
    ("wish", "there", "create", "delete"),
    [
        pytest.param(Wish(3), "", [0], [], id="first"),
        pytest.param(Wish(3), "n", [], [], id="waits for the first"),
        pytest.param(Wish(3), "N", [1], [], id="next"),
        pytest.param(Wish(3), "N.N", [1], [], id="a gap"),
        pytest.param(Wish(3, parallel=True), "n", [1, 2], [], id="parallel: all"),
        pytest.param(Wish(1), "NNN", [], [2], id="down: highest first"),
        pytest.param(Wish(1), "NNt", [], [], id="down: one after the other"),
        pytest.param(Wish(1), "nNN", [], [], id="down: not while the first is sick"),
        pytest.param(Wish(1, parallel=True), "NNN", [], [2, 1], id="parallel: down at once"),
        pytest.param(Wish(2), "eN", [], [0], id="ended ones are made anew"),
        pytest.param(Wish(3), "OOO", [], [2], id="update: highest first"),
        pytest.param(Wish(3), "OOn", [], [], id="update: waits for it"),
        pytest.param(Wish(3), "OON", [], [1], id="update: next"),
        pytest.param(Wish(3), "ONN", [], [0], id="update: last"),
        pytest.param(Wish(3, partition=2), "OON", [], [], id="update: not below the partition"),
        pytest.param(Wish(3, on_delete=True), "OOO", [], [], id="update: not on delete"),
        pytest.param(Wish(3, parallel=True), "Oo.", [2], [], id="update: not while one is missing"),
    ],
)
def test_step(wish: Wish, there: str, create: list[int], delete: list[int]) -> None:
    found = step(wish, members(there))
    assert (found.create, found.delete) == (create, delete)


@pytest.mark.parametrize(("there", "done"), [("NN", True), ("NO", False), ("Nn", False), ("N", False)])
def test_complete(there: str, done: bool) -> None:
    assert complete(Wish(2), list(members(there).values())) is done


def test_start_moves_everything() -> None:
    assert step(Wish(2, start=3, parallel=True), members("N", 3)).create == [4]
