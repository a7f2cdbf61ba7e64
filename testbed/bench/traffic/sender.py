"""The fast sender: frames out of one device, many for each system call (sendmmsg on a packet socket).

Knows sockets and pace; knows nothing of what the frames mean or who sees them. Frames leave at the device as
if the namespace's own stack had sent them, but its routing and its OUTPUT rules are not asked.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import time
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.bench.traffic.frames import Frames
from testbed.bench.traffic.pace import SECOND, Pace, realtime_offset, wait_until
from testbed.errors import KernelStateError, MeasurementInvalid
from testbed.machine.netns import Netns

BATCH = 64
RETRY_SECONDS = 1.0
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20  # <linux/if_packet.h>

# <sys/uio.h> and <sys/socket.h> on 64-bit Linux
IOVEC = np.dtype([("base", np.uint64), ("length", np.uint64)])
MMSGHDR = np.dtype(
    {"names": ["iov", "iovlen"], "formats": [np.uint64, np.uint64], "offsets": [16, 24], "itemsize": 64}
)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a train of frames. Times are CLOCK_REALTIME in ns, arrays of shape (frames,)."""

    intended_ns: npt.NDArray[np.int64]
    actual_ns: npt.NDArray[np.int64]  # when the call that carried the frame began; exact stamps are the taps'
    sent: int  # frames that the kernel took
    refused: int  # frames that it did not take (ENOBUFS) and that were not sent again
    retries: int  # how often ENOBUFS was answered by sending again
    seconds: float  # from the first call to the end of the last


class _Train:
    """Frames as the kernel wants them: one msghdr and one iovec each, made once."""

    def __init__(self, frames: Frames) -> None:
        self._frames = np.ascontiguousarray(frames)
        count, length = self._frames.shape
        self._iovecs = np.empty(count, IOVEC)
        self._iovecs["base"] = self._frames.ctypes.data + np.arange(count, dtype=np.uint64) * np.uint64(
            length
        )
        self._iovecs["length"] = length
        self._headers = np.zeros(count, MMSGHDR)
        first = self._iovecs.ctypes.data
        self._headers["iov"] = first + np.arange(count, dtype=np.uint64) * np.uint64(IOVEC.itemsize)
        self._headers["iovlen"] = 1
        self._address = self._headers.ctypes.data

    def push(self, descriptor: int, position: int, count: int) -> int:
        """Send frames from `position` on; how many the kernel took, 0 if it had no room (ENOBUFS)."""
        address = self._address + position * MMSGHDR.itemsize
        taken: int = _libc.sendmmsg(descriptor, address, count, 0)
        if taken < 0:
            number = ctypes.get_errno()
            if number != errno.ENOBUFS:
                raise KernelStateError(f"sending a frame: {os.strerror(number)}")
            return 0
        return taken


class Sender:
    """Sends frames out of `device` in a namespace. Close it, or use it with `with`.

    `qdisc_bypass` hands frames straight to the driver (PACKET_QDISC_BYPASS): cheaper, but no tap on the
    device sees them go out, so it is for load and not for what is measured. `retry` sends a frame again that
    the kernel had no room for; without it such a frame counts as refused and the train goes on.
    """

    def __init__(self, netns: Netns, device: str, *, qdisc_bypass: bool = False, retry: bool = False) -> None:
        self.device, self.retry = device, retry
        # Protocol 0: this socket receives nothing, so it costs other packets nothing.
        self._socket = netns.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, int(qdisc_bypass))
            self._socket.bind((device, 0))
        except OSError as error:
            self._socket.close()
            raise KernelStateError(f"device {device} in {netns.name}: {error.strerror}") from error

    @property
    def mac(self) -> str:
        """The device's own MAC address."""
        address: bytes = self._socket.getsockname()[4]
        return address.hex(":")

    def send(self, frames: Frames, pace: Pace | None = None, *, start: int | None = None) -> Sent:
        """Send every frame at its time. Returns when the last has been handed to the kernel.

        `start` is the CLOCK_MONOTONIC time (ns) of the schedule's zero, by default now. Being late never
        shifts the schedule: what is overdue goes out at once. Raises KernelStateError if the kernel refuses
        for another reason than lack of room, MeasurementInvalid if room does not come within a second.
        """
        schedule = (pace or Pace()).schedule(len(frames))
        train, due = _Train(frames), schedule.tolist()
        actual = np.zeros(len(due), np.int64)
        begin = last = time.monotonic_ns()
        zero = begin if start is None else start
        position = refused = retries = 0
        while position < len(due):
            now = wait_until(zero + due[position])
            ready = bisect_right(due, now - zero, position, min(position + BATCH, len(due)))
            taken = train.push(self._socket.fileno(), position, ready - position)
            # After a short count, or none, the kernel had no room for the frame that follows those taken.
            short = taken < ready - position
            dealt = taken + int(short and not self.retry)
            actual[position : position + dealt] = now
            position, refused, retries = position + dealt, refused + dealt - taken, retries + int(dealt == 0)
            last = now if dealt else last
            if now - last > RETRY_SECONDS * SECOND:
                raise MeasurementInvalid(f"device {self.device} took no frame for {RETRY_SECONDS:g} s")
        seconds, offset = (time.monotonic_ns() - begin) / SECOND, realtime_offset()
        return Sent(schedule + zero + offset, actual + offset, len(due) - refused, refused, retries, seconds)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
