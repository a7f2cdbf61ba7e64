"""Connections put together from the segments that taps saw."""

from __future__ import annotations

import numpy as np

from testbed.bench.probes.connect import sight
from testbed.bench.probes.match import UNSEEN
from testbed.bench.traffic.ring import CAPTURE, Captures

PORTS = np.array([4000, 2000], np.uint16)
SYN, SYN_ACK = 0x02, 0x12


def segment(time: int, flags: int, port: int, number: int) -> Captures:
    """One segment at the client: a SYN with sequence `number`, or a SYN-ACK that acknowledges `number`."""
    capture = np.zeros(1, CAPTURE)
    capture["time_ns"], capture["tcp_flags"], capture["outgoing"] = time, flags, flags == SYN
    capture["source_port" if flags == SYN else "destination_port"] = port
    capture["sequence" if flags == SYN else "stream"] = number
    return capture


def seen(*segments: Captures) -> Captures:
    return np.concatenate([np.empty(0, CAPTURE), *segments])


def test_syn_and_syn_ack_make_a_connection() -> None:
    client = seen(
        segment(10, SYN, 4000, 70), segment(25, SYN_ACK, 4000, 71),
        segment(30, SYN, 2000, 50), segment(70, SYN_ACK, 2000, 51),
    )  # fmt: skip
    joined = sight(client, [seen(segment(40, SYN, 2000, 50)), seen(segment(15, SYN, 9, 70))], PORTS)
    assert (joined.in_ns - joined.out_ns).tolist() == [15, 40]
    assert joined.endpoint.tolist() == [1, 0]


def test_a_connection_without_answer_is_unmatched() -> None:
    joined = sight(seen(segment(10, SYN, 4000, 70)), [seen(segment(12, SYN, 4000, 70))], PORTS)
    assert joined.matched.tolist() == [False, False]
    assert joined.endpoint.tolist() == [0, UNSEEN]


def test_an_answer_to_another_syn_does_not_count() -> None:
    client = seen(segment(10, SYN, 4000, 70), segment(25, SYN_ACK, 4000, 7))
    assert sight(client, [seen()], PORTS).matched.tolist() == [False, False]


def test_initial_numbers_wrap() -> None:
    client = seen(segment(10, SYN, 4000, 0xFFFFFFFF), segment(25, SYN_ACK, 4000, 0))
    assert sight(client, [seen()], PORTS).matched.tolist() == [True, False]


def test_connections_of_others_are_left_out() -> None:
    client = seen(segment(10, SYN, 1, 70), segment(25, SYN_ACK, 1, 71))
    joined = sight(client, [seen(segment(12, SYN, 1, 70))], PORTS)
    assert joined.out_ns.tolist() == [UNSEEN, UNSEEN]
    assert joined.endpoint.tolist() == [UNSEEN, UNSEEN]


def test_a_repeated_syn_counts_once_and_is_told() -> None:
    client = seen(segment(10, SYN, 4000, 70), segment(900, SYN, 4000, 70), segment(925, SYN_ACK, 4000, 71))
    joined = sight(client, [seen()], PORTS)
    assert int((joined.in_ns - joined.out_ns)[0]) == 915
    assert joined.duplicates.tolist() == [1, 0]
