"""BPF programs, judged by a small machine that knows only the instructions that ours use."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from testbed.bench.traffic.filters import handshakes, marked, program
from testbed.bench.traffic.frames import Headers, build

STREAM, SNAP = 0xABCD, 128
KINDS = [(version, protocol) for version in (4, 6) for protocol in ("UDP", "TCP")]
HOSTS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}


def headers(version: int, protocol: str) -> Headers:
    return Headers("02:00:00:00:00:01", "02:00:00:00:00:02", *HOSTS[version], 80, protocol)


def frame(version: int, protocol: str, stream: int = STREAM) -> bytearray:
    return bytearray(build(headers(version, protocol), stream, np.array([1024], np.uint16))[0].tobytes())


def accepted(code: bytes, packet: bytes) -> int:
    """How many bytes the program takes, by the semantics in Documentation/networking/filter.rst."""
    instructions = list(struct.iter_unpack("=HBBI", code))
    accumulator = place = 0
    while True:
        operation, true, false, value = instructions[place]
        place += 1
        if operation == 0x06:
            return int(value)
        if operation == 0x15:
            place += true if accumulator == value else false
        elif operation == 0x54:
            accumulator &= value
        else:
            size = {0x20: 4, 0x28: 2, 0x30: 1}[operation]
            if value + size > len(packet):
                return 0
            accumulator = int.from_bytes(packet[value : value + size], "big")


@pytest.mark.parametrize(("version", "protocol"), KINDS)
def test_takes_its_own_stream(version: int, protocol: str) -> None:
    code = program(marked(headers(version, protocol).layout, STREAM), SNAP)
    assert accepted(code, frame(version, protocol)) == SNAP


@pytest.mark.parametrize(("version", "protocol"), KINDS)
def test_leaves_another_stream(version: int, protocol: str) -> None:
    code = program(marked(headers(version, protocol).layout, STREAM), SNAP)
    assert accepted(code, frame(version, protocol, STREAM + 1)) == 0


@pytest.mark.parametrize(("version", "protocol"), KINDS)
def test_leaves_every_other_kind(version: int, protocol: str) -> None:
    code = program(marked(headers(version, protocol).layout, STREAM), SNAP)
    others = [kind for kind in KINDS if kind != (version, protocol)]
    assert [accepted(code, frame(*kind)) for kind in others] == [0, 0, 0]


def test_leaves_ipv4_with_options() -> None:
    packet = frame(4, "UDP")
    packet[14] = 0x46
    assert accepted(program(marked(headers(4, "UDP").layout, STREAM), SNAP), packet) == 0


def test_leaves_frames_without_magic() -> None:
    packet = frame(4, "UDP")
    packet[headers(4, "UDP").layout.magic] ^= 1
    assert accepted(program(marked(headers(4, "UDP").layout, STREAM), SNAP), packet) == 0


@pytest.mark.parametrize(
    ("flags", "taken"), [(0x02, SNAP), (0x12, SNAP), (0x10, 0), (0x04, 0), (0xC2, SNAP)],
    ids=["SYN", "SYN-ACK", "ACK", "RST", "SYN with ECN"],
)  # fmt: skip
def test_handshakes_are_syn_and_syn_ack(flags: int, taken: int) -> None:
    packet = frame(4, "TCP")
    packet[headers(4, "TCP").layout.tcp_flags] = flags
    assert accepted(program(handshakes(headers(4, "TCP").layout), SNAP), packet) == taken


def test_no_fields_take_everything() -> None:
    assert accepted(program([], SNAP), b"anything") == SNAP


def test_a_frame_too_short_is_left() -> None:
    assert accepted(program(marked(headers(4, "UDP").layout, STREAM), SNAP), b"\0" * 14) == 0
