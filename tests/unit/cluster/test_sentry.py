"""Who is called when which alarm rings."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from testbed.cluster.sentry import Sentry

PATIENCE = 5.0


class Bell:
    """An alarm that rings for what is worth a look."""

    def __init__(self) -> None:
        self._inside, self.outside = socket.socketpair()

    def fileno(self) -> int:
        return self._inside.fileno()

    def rang(self) -> bool:
        return b"look" in self._inside.recv(64)

    def close(self) -> None:
        self._inside.close()
        self.outside.close()


@pytest.fixture
def bells() -> Iterator[list[Bell]]:
    made = [Bell(), Bell()]
    yield made
    # They stay open: the sentry's thread goes with the process, and would fall over a closed one.


def test_only_the_one_whose_alarm_rang_looks(bells: list[Bell]) -> None:
    sentry, looked = Sentry(), [threading.Event(), threading.Event()]
    for bell, event in zip(bells, looked, strict=True):
        sentry.watch(bell, event.set)
    bells[1].outside.send(b"look")
    assert looked[1].wait(PATIENCE)
    assert not looked[0].is_set()


def test_what_is_not_worth_a_look_is_passed_over(bells: list[Bell]) -> None:
    sentry, looked, order = Sentry(), threading.Event(), list[str]()
    sentry.watch(bells[0], lambda: order.append("first"))
    sentry.watch(bells[1], looked.set)
    bells[0].outside.send(b"nothing")
    bells[1].outside.send(b"look")
    assert looked.wait(PATIENCE)
    assert order == []


def test_a_forgotten_alarm_is_closed_and_calls_nobody(bells: list[Bell]) -> None:
    sentry, looked, order = Sentry(), threading.Event(), list[str]()
    sentry.watch(bells[0], lambda: order.append("first"))
    sentry.watch(bells[1], looked.set)
    sentry.forget(bells[0])
    bells[1].outside.send(b"look")
    assert looked.wait(PATIENCE)
    assert order == []
    assert bells[0].fileno() == -1
