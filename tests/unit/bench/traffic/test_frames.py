"""Frames patched by column must be what scapy would have built one by one."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from testbed.bench.traffic.frames import Headers, build, distinct_ports
from testbed.bench.traffic.layout import MAGIC, MARKS
from testbed.errors import UsageError

MACS = ("02:00:00:00:00:01", "ee:ee:ee:ee:ee:ee")
PORTS = st.integers(0, 0xFFFF)
NUMBERS = st.integers(0, 0xFFFFFFFF)
PAIRS = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
HEADERS = st.builds(
    lambda pair, port, protocol: Headers(*MACS, str(pair[0]), str(pair[1]), port, protocol),
    PAIRS, PORTS, st.sampled_from(["UDP", "TCP"]),
)  # fmt: skip


def by_scapy(headers: Headers, stream: int, port: int, sequence: int, payload: int) -> bytes:
    """The same frame the slow way, every field and checksum by scapy."""
    link = Ether(src=headers.source_mac, dst=headers.next_hop_mac)
    ends = {"src": headers.source, "dst": headers.destination}
    network: Packet = IP(id=sequence & 0xFFFF, **ends) if "." in headers.source else IPv6(**ends)
    if headers.protocol == "TCP":
        return bytes(
            link / network / TCP(sport=port, dport=headers.port, flags="S", seq=sequence, ack=stream)
        )
    marks = struct.pack("!III", MAGIC, stream, sequence).ljust(payload, b"\0")
    return bytes(link / network / UDP(sport=port, dport=headers.port) / Raw(marks))


@given(HEADERS, NUMBERS, PORTS, NUMBERS, st.integers(MARKS, 100))
def test_equals_scapy_byte_for_byte(
    headers: Headers, stream: int, port: int, sequence: int, payload: int
) -> None:
    frames = build(
        headers, stream, np.array([port], np.uint16), np.array([sequence], np.uint32), payload=payload
    )
    assert frames.tobytes() == by_scapy(headers, stream, port, sequence, payload)


@pytest.mark.parametrize("address", ["10.96.0.1", "fd00::1"])
def test_a_udp_checksum_of_zero_is_sent_as_all_ones(address: str) -> None:
    headers = Headers(*MACS, address, address, 80)
    ports = np.arange(0x10000, dtype=np.uint32).astype(np.uint16)  # one of them makes the sum zero
    frames = build(headers, 1, ports, np.zeros(0x10000, np.uint32))
    at = headers.layout.checksum
    checksums = frames[:, at : at + 2].copy().view(">u2")[:, 0]
    assert (checksums != 0).all()
    all_ones = int(np.flatnonzero(checksums == 0xFFFF)[0])
    assert frames[all_ones].tobytes() == by_scapy(headers, 1, int(ports[all_ones]), 0, MARKS)


def test_sequences_count_from_zero() -> None:
    headers = Headers(*MACS, "10.0.0.1", "10.0.0.2", 80)
    frames = build(headers, 9, np.full(300, 1024, np.uint16))
    at = headers.layout.sequence
    assert frames[:, at : at + 4].copy().view(">u4")[:, 0].tolist() == list(range(300))


def test_no_ports_make_no_frames() -> None:
    frames = build(Headers(*MACS, "10.0.0.1", "10.0.0.2", 80), 9, np.empty(0, np.uint16))
    assert frames.shape[0] == 0


def test_a_payload_without_room_for_the_marks_is_refused() -> None:
    with pytest.raises(UsageError, match="12 bytes"):
        build(Headers(*MACS, "10.0.0.1", "10.0.0.2", 80), 9, np.ones(1, np.uint16), payload=MARKS - 1)


def test_a_protocol_that_cannot_be_marked_is_refused() -> None:
    with pytest.raises(UsageError, match="SCTP"):
        _ = Headers(*MACS, "10.0.0.1", "10.0.0.2", 80, "SCTP").layout


@given(st.integers(0, 64512), st.integers(0, 2**32))
def test_ports_are_distinct_and_drawn_by_the_seed(count: int, seed: int) -> None:
    ports = distinct_ports(count, seed)
    assert len(set(ports.tolist())) == count
    assert all(port >= 1024 for port in ports.tolist()[:100])
    assert (ports == distinct_ports(count, seed)).all()


def test_more_flows_than_ports_are_refused() -> None:
    with pytest.raises(UsageError, match="64513 flows"):
        distinct_ports(64513, 1)
