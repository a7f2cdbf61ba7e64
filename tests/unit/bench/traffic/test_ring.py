"""A ring made by hand, byte by byte, is read back as what was put in."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import numpy as np
import numpy.typing as npt
import pytest

from testbed.bench.traffic.frames import Headers, build
from testbed.bench.traffic.ring import SLOT, parse, taken
from testbed.errors import MeasurementInvalid

CLIENT_MAC, GATEWAY = "02:00:00:00:00:01", "ee:ee:ee:ee:ee:ee"
V4 = Headers(CLIENT_MAC, GATEWAY, "10.244.0.2", "10.96.0.10", 80)
V6 = Headers(CLIENT_MAC, GATEWAY, "fd00::2", "fd00::10", 80)
SYN6 = Headers(CLIENT_MAC, GATEWAY, "fd00::2", "fd00::10", 443, "TCP")
HEADERS = pytest.mark.parametrize("headers", [V4, V6, SYN6], ids=["udp4", "udp6", "syn6"])


def slot(frame: bytes, second: int, nanosecond: int, packet_type: int, mac: int = 66) -> bytes:
    """One slot as packet(7) and <linux/if_packet.h> describe it."""
    header = struct.pack("=IIIHHIIHH4x", 1, len(frame), len(frame), mac, mac + 14, second, nanosecond, 0, 0)
    address = struct.pack("=HHIHBB8s", 17, 0x0800, 2, 1, packet_type, 6, b"")
    return (header + address).ljust(mac, b"\0").__add__(frame).ljust(SLOT, b"\0")


def ring(*slots: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(slots), np.uint8).reshape(-1, SLOT)


def frames(headers: Headers) -> list[bytes]:
    built = build(headers, 77, np.array([1025, 1026], np.uint16), np.array([5, 70_000], np.uint32))
    return [frame.tobytes() for frame in built]


@HEADERS
def test_fields_come_back(headers: Headers) -> None:
    first, second = frames(headers)
    captures = parse(ring(slot(first, 10, 5, 4), slot(second, 11, 999_999_999, 0)), headers.layout)
    assert captures["time_ns"].tolist() == [10_000_000_005, 11_999_999_999]
    assert captures["outgoing"].tolist() == [True, False]
    assert captures["sequence"].tolist() == [5, 70_000]
    assert captures["stream"].tolist() == [77, 77]
    assert captures["source_port"].tolist() == [1025, 1026]
    assert captures["destination_port"].tolist() == [headers.port] * 2
    assert captures["length"].tolist() == [len(first)] * 2
    assert captures["tcp_flags"].tolist() == ([2, 2] if headers.protocol == "TCP" else [0, 0])


@HEADERS
def test_addresses_come_back(headers: Headers) -> None:
    capture = parse(ring(slot(frames(headers)[0], 1, 1, 0)), headers.layout)[0]
    width = headers.layout.address_length
    assert str(ip_address(capture["source"][:width].tobytes())) == headers.source
    assert str(ip_address(capture["destination"][:width].tobytes())) == headers.destination
    assert capture["source_mac"].tobytes().hex(":") == CLIENT_MAC
    assert capture["destination_mac"].tobytes().hex(":") == GATEWAY


def test_a_slot_that_the_kernel_still_owns_is_not_taken() -> None:
    frame = frames(V4)[0]
    empty = bytes(SLOT)
    losing = bytearray(slot(frame, 1, 1, 0))
    losing[0] |= 4  # TP_STATUS_LOSING: others were dropped, this one is whole
    assert taken(ring(slot(frame, 1, 1, 0), empty, bytes(losing))).tolist() == [True, False, True]


def test_an_empty_ring_has_no_captures() -> None:
    assert len(parse(np.empty((0, SLOT), np.uint8), V4.layout)) == 0


def test_frames_that_start_elsewhere_are_refused() -> None:
    frame = frames(V4)[0]
    with pytest.raises(MeasurementInvalid, match="link types"):
        parse(ring(slot(frame, 1, 1, 0), slot(frame, 1, 1, 0, mac=82)), V4.layout)
