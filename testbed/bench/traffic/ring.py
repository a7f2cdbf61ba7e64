"""A ring of captured frames as the kernel lays it out (TPACKET_V2), read with numpy.

Knows the bytes of a ring (Documentation/networking/packet_mmap.rst) and of the frames in it; opens nothing,
so it can be tried on bytes made by hand.

    one slot of SLOT bytes:   tpacket2_hdr (32)  sockaddr_ll (20)  …  frame, from tp_mac on
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from testbed.bench.traffic.layout import Layout
from testbed.errors import MeasurementInvalid

SLOT = 256  # bytes; a multiple of TPACKET_ALIGNMENT (16)
SNAP = 128  # bytes of a frame that are kept: all headers and marks
TP_STATUS_USER = 1
PACKET_OUTGOING = 4
SECOND = 1_000_000_000

# struct tpacket2_hdr, and sll_pkttype of the struct sockaddr_ll behind it; native byte order
SLOT_HEADER = np.dtype(
    {
        "names": ["status", "length", "mac", "sec", "nsec", "pkttype"],
        "formats": [np.uint32, np.uint32, np.uint16, np.uint32, np.uint32, np.uint8],
        "offsets": [0, 4, 12, 16, 20, 32 + 10],
        "itemsize": SLOT,
    }
)

CAPTURE = np.dtype(
    [
        ("time_ns", np.int64),  # CLOCK_REALTIME, stamped by the kernel
        ("outgoing", np.bool_),
        ("sequence", np.uint32),  # our mark (UDP), or the TCP sequence number
        ("stream", np.uint32),  # our mark (UDP), or the TCP acknowledgement number
        ("source_port", np.uint16),
        ("destination_port", np.uint16),
        ("source", np.uint8, (16,)),  # an IPv4 address fills the first four bytes
        ("destination", np.uint8, (16,)),
        ("source_mac", np.uint8, (6,)),
        ("destination_mac", np.uint8, (6,)),
        ("tcp_flags", np.uint8),  # 0 for UDP
        ("length", np.uint32),  # bytes on the wire, Ethernet header included
    ]
)
Captures = npt.NDArray[np.void]  # of CAPTURE, shape (frames,), in the order of the kernel's stamps


def taken(slots: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which of the slots, shape (slots, SLOT), hold a frame for us."""
    status = slots.view(SLOT_HEADER)[:, 0]["status"]
    return np.asarray(status & TP_STATUS_USER, np.bool_)


def parse(slots: npt.NDArray[np.uint8], layout: Layout) -> Captures:
    """The frames in slots of shape (frames, SLOT), in their order; all of `layout`, as the filter saw to.

    Raises MeasurementInvalid if the frames do not start at one place, so that columns would not be fields.
    """
    headers = slots.view(SLOT_HEADER)[:, 0]
    captures = np.zeros(len(slots), CAPTURE)
    if not len(slots):
        return captures
    start = int(headers["mac"][0])
    if (headers["mac"] != start).any():
        raise MeasurementInvalid("frames of different link types in one ring")
    captures["time_ns"] = headers["sec"].astype(np.int64) * SECOND + headers["nsec"]
    captures["outgoing"] = headers["pkttype"] == PACKET_OUTGOING
    captures["length"] = headers["length"]
    _fields(captures, slots[:, start : start + SNAP], layout)
    return captures


def _fields(captures: Captures, frames: npt.NDArray[np.uint8], layout: Layout) -> None:
    """Fill in what the frames themselves say."""
    captures["destination_mac"], captures["source_mac"] = frames[:, :6], frames[:, 6:12]
    for name in ("sequence", "stream"):
        captures[name] = _number(frames, getattr(layout, name), ">u4")
    for name in ("source_port", "destination_port"):
        captures[name] = _number(frames, getattr(layout, name), ">u2")
    width = layout.address_length
    for name in ("source", "destination"):
        offset = getattr(layout, f"{name}_address")
        captures[name][:, :width] = frames[:, offset : offset + width]
    if layout.protocol == "TCP":
        captures["tcp_flags"] = frames[:, layout.tcp_flags]


def _number(frames: npt.NDArray[np.uint8], offset: int, kind: str) -> npt.NDArray[np.unsignedinteger]:
    """The number at `offset` of each frame; `kind` is its numpy type."""
    width = np.dtype(kind).itemsize
    return np.ascontiguousarray(frames[:, offset : offset + width]).view(kind)[:, 0]
