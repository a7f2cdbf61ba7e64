"""Who goes at once, who is waited for, and who may come back."""

from __future__ import annotations

import pytest

from testbed.datapaths.ipvs.graceful import Leaving
from testbed.datapaths.ipvs.items import Real, Server
from testbed.datapaths.ipvs.netlink import genl
from testbed.datapaths.ipvs.netlink.genl import RealState

TCP, UDP, SCTP = (Server(number, bytes([10, 96, 0, 10]), 80) for number in (6, 17, 132))
REAL: Real = (bytes([10, 244, 1, 5]), 8080)
BUSY, QUIET, IDLE = RealState(1, 0, 2, 0), RealState(0, 0, 0, 1), RealState(0, 0, 0, 0)


def commands(requests: object) -> list[int]:
    """The commands of requests, which begin with their number."""
    return [body[0] for body, _ in requests]  # type: ignore[attr-defined]


def test_a_real_server_with_connections_is_drained_and_waited_for() -> None:
    leaving = Leaving()
    assert commands(leaving.go(TCP, {REAL: BUSY})) == [genl.SET_DEST]
    assert leaving.of(TCP) == {REAL}


@pytest.mark.parametrize("server", [UDP, SCTP], ids=["UDP", "SCTP"])
def test_other_protocols_do_not_wait(server: Server) -> None:
    leaving = Leaving()
    assert commands(leaving.go(server, {REAL: BUSY})) == [genl.DEL_DEST]
    assert not leaving


def test_without_connections_it_goes_at_once() -> None:
    leaving = Leaving()
    assert commands(leaving.go(TCP, {REAL: IDLE})) == [genl.DEL_DEST]
    assert not leaving


def test_a_look_lets_go_who_is_done() -> None:
    leaving = Leaving()
    assert commands(leaving.go(TCP, {REAL: BUSY}))
    assert commands(leaving.look(TCP, {REAL: QUIET})) == []
    assert leaving.of(TCP) == {REAL}
    assert commands(leaving.look(TCP, {REAL: IDLE})) == [genl.DEL_DEST]
    assert not leaving


def test_a_look_passes_over_who_was_not_sent_away() -> None:
    leaving = Leaving()
    assert commands(leaving.go(TCP, {REAL: BUSY}))
    other = (REAL[0], 8081)
    assert commands(leaving.look(TCP, {REAL: QUIET, other: IDLE})) == []


def test_who_was_removed_by_others_is_not_waited_for() -> None:
    leaving = Leaving()
    assert commands(leaving.go(TCP, {REAL: BUSY}))
    assert commands(leaving.look(TCP, {})) == []
    assert not leaving


def test_who_is_wanted_again_stays() -> None:
    leaving = Leaving()
    assert commands(leaving.go(TCP, {REAL: BUSY}))
    assert leaving.stays(TCP, [REAL, (REAL[0], 8081)]) == {REAL}
    assert not leaving


def test_with_its_virtual_server_it_is_gone() -> None:
    leaving = Leaving()
    assert commands(leaving.go(TCP, {REAL: BUSY}))
    leaving.forget([UDP])
    assert leaving
    leaving.forget([TCP])
    assert not leaving
