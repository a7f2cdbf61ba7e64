"""The senders, taps and sinks that probes use, kept between runs: making a ring costs more than a short run.

Knows namespaces, and that a name may come to mean another one (a pod made anew). Knows no packets.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
from collections.abc import Iterator
from ipaddress import ip_address

from testbed.bench.probes.path import Endpoint, Path
from testbed.bench.traffic.filters import program
from testbed.bench.traffic.sender import Sender
from testbed.bench.traffic.taps import Tap, attach
from testbed.errors import KernelStateError, MeasurementInvalid
from testbed.machine.netns import Netns

Place = tuple[str, int, str, bool]  # path and inode of the namespace, device, outgoing frames too


def new_stream() -> int:
    """A mark for one run, unlike those of all other runs on this machine (0 is the background's)."""
    return secrets.randbelow(0xFFFFFFFF) + 1


class Instruments:
    """Makes instruments as they are asked for and keeps them until `close`. Use it with `with`."""

    def __init__(self) -> None:
        self._taps: dict[Place, Tap] = {}
        self._senders: dict[Place, Sender] = {}

    def tap(self, netns: Netns, device: str, capacity: int, *, outgoing: bool) -> Tap:
        """A tap with room for at least `capacity` frames, not armed yet. Errors are those of `Tap`."""
        place = _place(netns, device, outgoing)
        tap = self._taps.get(place)
        if tap is None or tap.capacity < capacity:
            if tap is not None:
                tap.close()
                del self._taps[place]
            tap = self._taps[place] = Tap(netns, device, capacity, outgoing=outgoing)
        return tap

    def sender(self, netns: Netns, device: str) -> Sender:
        """A sender that taps on the device can see. Errors are those of `Sender`."""
        place = _place(netns, device, True)
        if place not in self._senders:
            self._senders[place] = Sender(netns, device)
        return self._senders[place]

    def close(self) -> None:
        """Close everything; namespaces that only lived for these sockets end."""
        for tap in self._taps.values():
            tap.close()
        for sender in self._senders.values():
            sender.close()
        self._taps.clear()
        self._senders.clear()

    def __enter__(self) -> Instruments:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _place(netns: Netns, device: str, outgoing: bool) -> Place:
    try:
        return str(netns.path), netns.path.stat().st_ino, device, outgoing
    except OSError as error:
        raise KernelStateError(f"network namespace {netns.name}: {error.strerror}") from error


@contextlib.contextmanager
def sinks(path: Path) -> Iterator[None]:
    """While inside, endpoints that name a port take UDP packets there and drop them in the kernel.

    Raises MeasurementInvalid if a port is taken: its owner would answer, at the cost of what is measured.
    """
    with contextlib.ExitStack() as stack:
        for endpoint in path.endpoints if path.protocol == "UDP" else ():
            if endpoint.port:
                stack.enter_context(_sink(path.space(endpoint.netns), endpoint))
        yield


def _sink(netns: Netns, endpoint: Endpoint) -> socket.socket:
    family = socket.AF_INET if ip_address(endpoint.address).version == 4 else socket.AF_INET6
    sink = netns.socket(family, socket.SOCK_DGRAM)
    attach(sink, program([], snap=0))
    try:
        sink.bind((endpoint.address, endpoint.port))
    except OSError as error:
        sink.close()
        why = "a process serves it" if error.errno == errno.EADDRINUSE else error.strerror
        raise MeasurementInvalid(
            f"no sink at {endpoint.address} port {endpoint.port} in {endpoint.netns}: {why}"
        ) from error
    return sink
