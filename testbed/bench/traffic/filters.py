"""Which frames a tap takes: classic BPF programs, run by the kernel for each frame before it is copied.

A filter here is a list of fields that must all have their value; that is enough for marked frames, and such a
program is a straight line. Knows byte offsets (`layout.py`) and BPF's encoding (<linux/bpf_common.h>).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from testbed.bench.traffic.layout import ETHERTYPE, MAGIC, NETWORK, Layout

LOAD = {4: 0x20, 2: 0x28, 1: 0x30}  # BPF_LD | BPF_ABS with size W, H, B
AND, JUMP_EQUAL, RETURN = 0x54, 0x15, 0x06

SYN, ACK = 0x02, 0x10  # TCP flags


@dataclass(frozen=True, slots=True)
class Field:
    """`size` bytes (1, 2 or 4) at `offset`, after `mask`, must equal `value`."""

    offset: int
    size: int
    value: int
    mask: int | None = None


def program(fields: Sequence[Field], snap: int) -> bytes:
    """The BPF program (struct sock_filter[]) that takes `snap` bytes of frames with all these fields."""
    code: list[tuple[int, int, int, int]] = []
    rejects: list[int] = []
    for field in fields:
        code.append((LOAD[field.size], 0, 0, field.offset))
        if field.mask is not None:
            code.append((AND, 0, 0, field.mask))
        rejects.append(len(code))
        code.append((JUMP_EQUAL, 0, 0, field.value))
    code.append((RETURN, 0, 0, snap))
    for place in rejects:  # a jump counts from the instruction after it
        operation, true, _, value = code[place]
        code[place] = (operation, true, len(code) - place - 1, value)
    code.append((RETURN, 0, 0, 0))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def packets(layout: Layout) -> list[Field]:
    """Fields of every frame of this IP version and protocol, as `layout` knows them."""
    fields = [Field(ETHERTYPE, 2, layout.ethertype)]
    if layout.version == 4:
        fields.append(Field(NETWORK, 1, 0x45))  # no IPv4 options, so that the offsets hold
    return [*fields, Field(layout.protocol_field, 1, layout.protocol_number)]


def marked(layout: Layout, stream: int) -> list[Field]:
    """Fields of the frames of one stream, whatever NAT made of their addresses and ports."""
    sign = (
        Field(layout.magic, 4, MAGIC)
        if layout.protocol == "UDP"
        else Field(layout.tcp_flags, 1, SYN, SYN | ACK)
    )
    return [*packets(layout), sign, Field(layout.stream, 4, stream)]


def handshakes(layout: Layout) -> list[Field]:
    """Fields of the first two segments of TCP connections: SYN, and SYN with ACK."""
    return [*packets(layout), Field(layout.tcp_flags, 1, SYN, SYN)]
