"""Opens TCP connections at a stated rate with the kernel's own sockets, and resets each as soon as it stands.

Open loop: a connection that is slow to open does not delay the next. Closing with SO_LINGER 0 sends a RST,
which leaves no TIME_WAIT behind. Knows sockets; the thread must be in the client's namespace. The times of
the result are the taps', not taken here.
"""

from __future__ import annotations

import errno
import resource
import select
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import ip_address

import numpy as np
import numpy.typing as npt

from testbed.bench.probes.path import Path, Settings
from testbed.bench.traffic.frames import FIRST_PORT, LAST_PORT, distinct_ports
from testbed.bench.traffic.pace import SECOND, realtime_offset, wait_until
from testbed.bench.traffic.sender import Sent
from testbed.errors import KernelStateError, MeasurementInvalid

RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger
SPARE_DESCRIPTORS = 256


class Connector:
    """One run of connections. Close it, or use it with `with`: what has not opened by then is given up."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._source, self._target = path.source, (path.destination, path.port)
        self._family = socket.AF_INET if ip_address(path.source).version == 4 else socket.AF_INET6
        self._settings = settings
        self._spare = self._drawn(distinct_ports(LAST_PORT - FIRST_PORT + 1, settings.seed))
        self._opening: dict[int, socket.socket] = {}
        self._ready = select.epoll()
        _allow_descriptors(settings.total + SPARE_DESCRIPTORS)

    def run(self) -> tuple[Sent, npt.NDArray[np.uint16]]:
        """Open every connection at its time; when each was begun, and its source port, in that order.

        Waits for those under way until none has opened for `settings.quiet` seconds.
        """
        schedule = self._settings.pace.schedule(self._settings.total)
        actual, ports = np.zeros(len(schedule), np.int64), np.zeros(len(schedule), np.uint16)
        refused, zero = 0, time.monotonic_ns()
        for index, due in enumerate(schedule.tolist()):
            self._reap(0)
            connection, ports[index] = self._bound()
            actual[index] = wait_until(zero + due)
            refused += not self._begin(connection)
        seconds, offset = (time.monotonic_ns() - zero) / SECOND, realtime_offset()
        while self._opening and self._reap(self._settings.quiet):
            pass
        sent = Sent(schedule + zero + offset, actual + offset, len(ports) - refused, refused, 0, seconds)
        return sent, ports

    def _drawn(self, ports: npt.NDArray[np.uint16]) -> Iterator[int]:
        yield from ports.tolist()
        raise MeasurementInvalid(f"no free source port is left at {self._source}")

    def _bound(self) -> tuple[socket.socket, int]:
        """A socket bound to the next source port that nobody uses."""
        connection = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        for port in self._spare:
            try:
                connection.bind((self._source, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise KernelStateError(f"binding to {self._source}: {error.strerror}") from error
            else:
                break
        return connection, port

    def _begin(self, connection: socket.socket) -> bool:
        """Send the SYN. False if the kernel knew at once that it cannot be (refused, no route)."""
        if connection.connect_ex(self._target) not in (0, errno.EINPROGRESS):
            connection.close()
            return False
        self._opening[connection.fileno()] = connection
        self._ready.register(connection, select.EPOLLOUT)
        return True

    def _reap(self, timeout: float) -> int:
        """Reset the connections that have opened, or failed, waiting up to `timeout` s for one; how many."""
        events = self._ready.poll(timeout)
        for descriptor, _ in events:
            self._opening.pop(descriptor).close()
        return len(events)

    def __enter__(self) -> Connector:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._opening.values():
            connection.close()
        self._ready.close()


def _allow_descriptors(count: int) -> None:
    """Raise this process's soft limit of open files to `count`, as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
