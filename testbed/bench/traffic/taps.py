"""Taps: packet sockets that let the kernel note what passes a device, with its own stamps.

The kernel writes into a ring of shared memory (TPACKET_V2) while packets pass, and no code of ours runs until
they are through: reading a packet in user space would add ten times what is measured here. The stamps are
CLOCK_REALTIME, the same clock in all namespaces, so two taps give an exact one-way latency.

Outgoing frames are stamped as they are handed to the driver, behind the qdisc; incoming ones before the
backlog queue (`net.core.netdev_tstamp_prequeue` = 1, the default) or after it (0). Checksums of captured
frames mean nothing: on a veth they may still be left to hardware that does not exist.
"""

from __future__ import annotations

import ctypes
import mmap
import socket
import struct
import time
from collections.abc import Callable, Sequence

import numpy as np

from testbed.bench.traffic.filters import Field, program
from testbed.bench.traffic.layout import Layout
from testbed.bench.traffic.ring import SLOT, SNAP, Captures, parse, taken
from testbed.errors import KernelStateError, MeasurementInvalid
from testbed.machine.netns import Netns

BLOCK = 64 * 1024
ETH_P_ALL = 0x0003
SO_ATTACH_FILTER = 26
SOL_PACKET = 263  # <linux/if_packet.h>, and the options below
PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, PACKET_IGNORE_OUTGOING = 5, 6, 10, 23
TPACKET_V2 = 1

POLL_SECONDS = 0.001


class Tap:
    """A tap on one device of a namespace, with room for `capacity` frames. Close it, or use it with `with`.

    Nothing is taken before `arm`. Raises KernelStateError if there is no such device, MeasurementInvalid if
    the kernel has no memory for the ring.
    """

    def __init__(self, netns: Netns, device: str, capacity: int, *, outgoing: bool = True) -> None:
        self.where = f"{device} in {netns.name}"
        blocks = -(-capacity * SLOT // BLOCK)
        self.capacity = blocks * BLOCK // SLOT
        self._head = 0  # the slot that the kernel fills next
        # Protocol 0 until everything is in place: a socket that is bound at once takes what passes meanwhile.
        self._socket = netns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            attach(self._socket, program([], snap=0))
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, int(not outgoing))
            self._map(blocks)
            self._socket.bind((device, ETH_P_ALL))
        except OSError as error:
            self._socket.close()
            raise KernelStateError(f"device {self.where}: {error.strerror}") from error

    def _map(self, blocks: int) -> None:
        """Have the kernel make the ring and map it here."""
        self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
        request = struct.pack("=IIII", BLOCK, blocks, SLOT, self.capacity)
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
            self._memory = mmap.mmap(self._socket.fileno(), blocks * BLOCK)
        except OSError as error:
            self._socket.close()
            size = f"{self.capacity} frames ({blocks * BLOCK >> 20} MiB)"
            raise MeasurementInvalid(f"no room for {size} to tap {self.where}: {error.strerror}") from error
        self._slots = np.frombuffer(self._memory, np.uint8).reshape(self.capacity, SLOT)

    def arm(self, fields: Sequence[Field], expected: int) -> None:
        """From now on take frames with these fields; forget all earlier ones.

        Raises MeasurementInvalid if the ring has no room for `expected` frames.
        """
        if expected > self.capacity:
            raise MeasurementInvalid(
                f"tap on {self.where} has room for {self.capacity} frames, {expected} are expected"
            )
        attach(self._socket, program(fields, SNAP))
        self._release()
        self._statistics()

    def seen(self) -> int:
        """How many frames the ring holds by now."""
        return int(np.count_nonzero(taken(self._slots)))

    def read(self, layout: Layout) -> tuple[Captures, int]:
        """Every frame taken since `arm`, in order, and how many the kernel dropped because the ring was full.

        The ring is empty afterwards. Raises MeasurementInvalid if it does not hold what the kernel counted.
        """
        order = (self._head + np.arange(self.seen())) % self.capacity
        captures = parse(self._slots[order], layout)
        self._release()
        counted, dropped = self._statistics()
        if counted - dropped != len(captures):
            raise MeasurementInvalid(
                f"tap on {self.where}: the kernel counted {counted} frames and dropped {dropped}, "
                f"but the ring held {len(captures)}"
            )
        return captures, dropped

    def _release(self) -> None:
        """Give every slot back to the kernel, which goes on where it stood."""
        held = taken(self._slots)
        self._slots[held, :4] = 0  # TP_STATUS_KERNEL
        self._head = (self._head + int(np.count_nonzero(held))) % self.capacity

    def _statistics(self) -> tuple[int, int]:
        """Frames counted, dropped ones among them, and dropped ones, since the last call."""
        counted, dropped = struct.unpack("=II", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return int(counted), int(dropped)

    def close(self) -> None:
        """Close the socket and let go of the ring."""
        del self._slots  # a mapping with an array on it cannot be closed
        self._memory.close()
        self._socket.close()

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def attach(taker: socket.socket, code: bytes) -> None:
    """Let `taker` get only what the BPF program takes (SO_ATTACH_FILTER), instead of any earlier program."""
    memory = ctypes.create_string_buffer(code)
    fprog = struct.pack("HL", len(code) // 8, ctypes.addressof(memory))  # struct sock_fprog
    taker.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, fprog)


def settle(count: Callable[[], int], expected: int, quiet: float) -> int:
    """Wait until `count()` reaches `expected` or has not grown for `quiet` seconds. Returns the count."""
    last, since = -1, time.monotonic()
    while (now := count()) < expected:
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > quiet:
            break
        time.sleep(POLL_SECONDS)
    return now
