"""What a probe is told: where packets enter, where they may come out, and how many to send how fast.

Knows addresses and names of namespaces. Must not know which datapath stands between, nor what a Service is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from testbed.bench.traffic.frames import Headers
from testbed.bench.traffic.layout import MARKS, Layout
from testbed.bench.traffic.pace import Pace
from testbed.errors import UsageError
from testbed.machine.netns import FOLDER, Netns


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place where packets may come out: the device in a namespace that carries the endpoint's address.

    With `port` (UDP only) the probe opens a socket there that takes packets and drops them in the kernel, so
    that no process wakes and no ICMP goes back. With 0 whoever serves the port gets them.
    """

    netns: str
    device: str
    address: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class Path:
    """One client and everything that may answer it. `port` and `destination` are what the client calls.

    `next_hop_mac` is where the client's frames go: ee:ee:ee:ee:ee:ee for a pod. An empty `source_mac` means
    the MAC of the client's device.
    """

    netns: str
    device: str
    source: str
    next_hop_mac: str
    destination: str
    port: int
    endpoints: tuple[Endpoint, ...]
    protocol: str = "UDP"
    source_mac: str = ""
    folder: str = str(FOLDER)  # where the namespaces' names are kept

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> Path:
        """The path that a JSON document describes. Raises UsageError."""
        try:
            ends = tuple(Endpoint(**endpoint) for endpoint in document["endpoints"])
            return cls(**{**document, "endpoints": ends})
        except (KeyError, TypeError) as error:
            raise UsageError(f"path: {error}") from error

    @property
    def layout(self) -> Layout:
        return Layout.of(self.destination, self.protocol)

    def space(self, name: str) -> Netns:
        """The namespace of this name."""
        return Netns(name, FilePath(self.folder))

    def headers(self, own_mac: str) -> Headers:
        """What the client's frames carry; `own_mac` is its device's."""
        return Headers(
            self.source_mac or own_mac,
            self.next_hop_mac,
            self.source,
            self.destination,
            self.port,
            self.protocol,
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """How a probe runs. It sends `warm_up` packets (or connections) first, and reports on those after."""

    count: int = 1000
    rate: float = 1000.0  # packets or connections per second; 0 is as fast as possible
    warm_up: int = 100
    jitter: float = 0.1  # each packet is shifted by up to that part of the interval
    seed: int = 1  # draws the source ports and the jitter: the same in every arm that is compared
    # established only: how many flows share the packets, in turns. One flow has one endpoint, near or far;
    # several meet the same mix of endpoints as new flows do.
    flows: int = 16
    payload: int = MARKS  # bytes of UDP payload
    quiet: float = 0.2  # seconds without news after which packets are no longer waited for

    def __post_init__(self) -> None:
        if self.count < 1 or self.warm_up < 0 or self.flows < 1:
            raise UsageError(
                f"count {self.count}, warm_up {self.warm_up}, flows {self.flows}: must be at least 1, 0 and 1"
            )

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> Settings:
        """The settings in a JSON document; what it leaves out has its default. Raises UsageError."""
        try:
            return cls(**document)
        except TypeError as error:
            raise UsageError(f"settings: {error}") from error

    @property
    def total(self) -> int:
        """Warm-up and measured packets together."""
        return self.warm_up + self.count

    @property
    def pace(self) -> Pace:
        return Pace(self.rate, self.jitter, self.seed)
