"""Frames to send: one packet made by scapy, then as many as wanted by patching columns of bytes.

scapy builds about a thousand packets a second; a numpy matrix is patched at millions. Checksums are not
computed again but carried on (RFC 1624): scapy's own, over the packet with zeros in the fields that vary,
plus those fields. Knows headers; knows neither sockets nor time.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.bench.traffic.layout import IPV4_CHECKSUM, IPV4_ID, MAGIC, MARKS, Layout
from testbed.errors import UsageError

Frames = npt.NDArray[np.uint8]  # shape (frames, bytes of a frame)
FIRST_PORT, LAST_PORT = 1024, 65535


@dataclass(frozen=True, slots=True)
class Headers:
    """What all frames of a train share. MACs as `aa:bb:cc:dd:ee:ff`, `port` is the destination's."""

    source_mac: str
    next_hop_mac: str
    source: str
    destination: str
    port: int
    protocol: str = "UDP"

    @property
    def layout(self) -> Layout:
        return Layout.of(self.destination, self.protocol)


@functools.lru_cache(maxsize=64)
def template(headers: Headers, stream: int, payload: int = MARKS) -> bytes:
    """One frame by scapy, with source port, sequence and IPv4 id zero and right checksums for that.

    `payload` is the UDP payload's length in bytes (a SYN has none). Raises UsageError if it cannot hold the
    marks.
    """
    # scapy reads this machine's interfaces as it is imported; only those who make packets should pay for it.
    from scapy.layers.inet import IP, TCP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    if payload < MARKS:
        raise UsageError(f"a payload of {payload} bytes cannot hold the {MARKS} bytes of our marks")
    link = Ether(src=headers.source_mac, dst=headers.next_hop_mac)
    addresses = {"src": headers.source, "dst": headers.destination}
    network = IP(id=0, **addresses) if headers.layout.version == 4 else IPv6(**addresses)
    if headers.protocol == "TCP":
        return bytes(link / network / TCP(sport=0, dport=headers.port, flags="S", seq=0, ack=stream))
    marks = struct.pack("!III", MAGIC, stream, 0).ljust(payload, b"\0")
    return bytes(link / network / UDP(sport=0, dport=headers.port) / Raw(marks))


def build(
    headers: Headers,
    stream: int,
    source_ports: npt.NDArray[np.uint16],
    sequences: npt.NDArray[np.uint32] | None = None,
    payload: int = MARKS,
) -> Frames:
    """One frame for each source port, in that order, marked with `sequences` (by default 0, 1, 2, …)."""
    layout = headers.layout
    numbers = np.arange(len(source_ports), dtype=np.uint32) if sequences is None else sequences
    frames = np.tile(np.frombuffer(template(headers, stream, payload), np.uint8), (len(source_ports), 1))
    low = numbers & np.uint32(0xFFFF)
    words = source_ports.astype(np.uint32) + (numbers >> np.uint32(16)) + low
    _put(frames, layout.source_port, source_ports, ">u2")
    _put(frames, layout.sequence, numbers, ">u4")
    _carry(frames, layout.checksum, words, zero_is_none=layout.protocol == "UDP")
    if layout.version == 4:
        _put(frames, IPV4_ID, low, ">u2")
        _carry(frames, IPV4_CHECKSUM, low, zero_is_none=False)
    return frames


def distinct_ports(count: int, seed: int) -> npt.NDArray[np.uint16]:
    """`count` different source ports, drawn by `seed`: as many flows. Raises UsageError beyond 64,512."""
    every = np.arange(FIRST_PORT, LAST_PORT + 1, dtype=np.uint16)
    if count > len(every):
        raise UsageError(f"{count} flows from one address need more than the {len(every)} ports there are")
    return np.random.default_rng(seed).permutation(every)[:count]


def _put(frames: Frames, offset: int, values: npt.NDArray[np.unsignedinteger], kind: str) -> None:
    """Write one number per frame at `offset`; `kind` is its numpy type."""
    column = values.astype(kind)
    frames[:, offset : offset + column.itemsize] = column.view(np.uint8).reshape(len(frames), column.itemsize)


def _carry(frames: Frames, offset: int, added: npt.NDArray[np.uint32], *, zero_is_none: bool) -> None:
    """Carry the template's checksum at `offset` on over the 16-bit words that were added to each frame.

    `zero_is_none`: UDP sends 0xffff for a sum of 0, because 0 says that there is no checksum (RFC 768).
    """
    before = int.from_bytes(frames[0, offset : offset + 2].tobytes(), "big") if len(frames) else 0
    total = added + np.uint32(before ^ 0xFFFF)
    for _ in range(2):  # three words of 16 bits: two folds bring every carry home
        total = (total & np.uint32(0xFFFF)) + (total >> np.uint32(16))
    checksum = total ^ np.uint32(0xFFFF)
    if zero_is_none:
        checksum[checksum == 0] = 0xFFFF
    _put(frames, offset, checksum, ">u2")
