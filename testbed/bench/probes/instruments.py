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
from typing import TypeVar

from testbed.bench.probes.path import Endpoint, Path
from testbed.bench.traffic.filters import program
from testbed.bench.traffic.sender import Sender
from testbed.bench.traffic.taps import Tap, attach
from testbed.errors import KernelStateError, MeasurementInvalid
from testbed.machine.netns import Netns

Place = tuple[str, str, bool]  # path of the namespace, device, outgoing frames too
Instrument = TypeVar("Instrument", Tap, Sender)


def new_stream() -> int:
    """A mark for one run, unlike those of all other runs on this machine (0 is the background's)."""
    return secrets.randbelow(0xFFFFFFFF) + 1


class Instruments:
    """Makes instruments as they are asked for and keeps them until `close`. Use it with `with`."""

    def __init__(self) -> None:
        self._taps: dict[Place, tuple[int, Tap]] = {}  # with the inode of the namespace that it is in
        self._senders: dict[Place, tuple[int, Sender]] = {}

    def tap(self, netns: Netns, device: str, capacity: int, *, outgoing: bool) -> Tap:
        """A tap with room for at least `capacity` frames, not armed yet. Errors are those of `Tap`."""
        place, inode = (str(netns.path), device, outgoing), _inode(netns)
        tap = _kept(self._taps, place, inode)
        if tap is None or tap.capacity < capacity:
            if tap is not None:
                del self._taps[place]
                tap.close()
            tap = Tap(netns, device, capacity, outgoing=outgoing)
            self._taps[place] = inode, tap
        return tap

    def sender(self, netns: Netns, device: str) -> Sender:
        """A sender that taps on the device can see. Errors are those of `Sender`."""
        place, inode = (str(netns.path), device, True), _inode(netns)
        sender = _kept(self._senders, place, inode)
        if sender is None:
            sender = Sender(netns, device)
            self._senders[place] = inode, sender
        return sender

    def close(self) -> None:
        """Close everything; namespaces that only lived for these sockets end."""
        for _, tap in self._taps.values():
            tap.close()
        for _, sender in self._senders.values():
            sender.close()
        self._taps.clear()
        self._senders.clear()

    def __enter__(self) -> Instruments:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _kept(kept: dict[Place, tuple[int, Instrument]], place: Place, inode: int) -> Instrument | None:
    """The instrument kept for a place; one in a namespace that had the name before is closed."""
    made_in, instrument = kept.pop(place, (0, None))
    if instrument is None:
        return None
    if made_in != inode:
        instrument.close()
        return None
    kept[place] = made_in, instrument
    return instrument


def _inode(netns: Netns) -> int:
    """What tells a namespace from another one of the same name."""
    try:
        return netns.path.stat().st_ino
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
