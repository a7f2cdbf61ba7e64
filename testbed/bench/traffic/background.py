"""Background load: packets at a stated rate that nobody measures, sent by a process of its own.

    python -m testbed.bench.traffic.background
        <- {a Load as JSON}      -> {"started": true}
        <- {"stop": true}        -> {a LoadReport as JSON}

Open loop: if the machine cannot carry the rate, the load falls behind and says so; it does not slow down in
silence. Its source ports must not be those of a probe to the same destination, or the probe's flows would not
be new: let it come from another address.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from testbed.bench.traffic.child import Child, pin, python
from testbed.bench.traffic.frames import Headers, build, distinct_ports
from testbed.bench.traffic.layout import BACKGROUND_STREAM, MARKS
from testbed.bench.traffic.pace import SECOND, Pace
from testbed.bench.traffic.sender import Sender, Sent
from testbed.errors import UsageError
from testbed.machine.netns import FOLDER, Netns

SLICE_SECONDS = 0.05  # how often a stop is looked for
LARGEST_SLICE = 4096  # packets: sent within milliseconds, so that a stop is prompt at any rate
MODULE = "testbed.bench.traffic.background"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send, from where, how fast. `rate` in packets per second, 0 as fast as possible."""

    netns: str
    device: str
    headers: Headers
    rate: float
    flows: int = 64
    jitter: float = 0.1
    seed: int = 2
    payload: int = MARKS
    cpu: int | None = None  # pins the sending process; None leaves it where its starter may run
    qdisc_bypass: bool = False
    folder: str = str(FOLDER)

    @classmethod
    def decode(cls, document: Mapping[str, Any]) -> Load:
        """The load that a JSON document describes. Raises UsageError."""
        try:
            return cls(**{**document, "headers": Headers(**document["headers"])})
        except (KeyError, TypeError) as error:
            raise UsageError(f"background load: {error}") from error

    @property
    def slice(self) -> int:
        """Packets that are sent between two looks for a stop."""
        wanted = round(self.rate * SLICE_SECONDS) if self.rate else LARGEST_SLICE
        return min(max(1, wanted), LARGEST_SLICE)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What the load really was. A figure taken under it is only worth what this says."""

    rate: float  # asked for
    achieved_rate: float  # packets per second that the kernel took
    sent: int
    refused: int  # the kernel had no room (ENOBUFS); not sent again
    seconds: float
    late_seconds: float  # how far behind its schedule the worst packet was


class BackgroundLoad:
    """A load that runs until `stop`, in a process of its own. Close it, or use it with `with`.

    `prefix` is an argv that runs what follows it elsewhere (`nsenter …`). Returns when packets flow. Raises
    CommandFailed if the process cannot start, with what it said.
    """

    def __init__(self, load: Load, prefix: Sequence[str] = ()) -> None:
        self._child = Child([*prefix, *python(MODULE)])
        self._child.ask(dataclasses.asdict(load))

    def stop(self) -> LoadReport:
        """End the load and tell what it was."""
        report = LoadReport(**self._child.ask({"stop": True}))
        self.close()
        return report

    def close(self) -> None:
        """End the load whatever it did."""
        self._child.close()

    def __enter__(self) -> BackgroundLoad:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(load: Load, started: Callable[[], None], stopped: Callable[[float], bool]) -> LoadReport:
    """Send until `stopped(seconds)`, which may wait so long for it; calls `started()` once the first are out."""
    ports = np.resize(distinct_ports(load.flows, load.seed), load.slice)
    with Sender(Netns(load.netns, Path(load.folder)), load.device, qdisc_bypass=load.qdisc_bypass) as sender:
        frames = build(load.headers, BACKGROUND_STREAM, ports, payload=load.payload)
        zero, slices, parts = time.monotonic_ns(), 0, Totals()
        start: int | None = None
        while not slices or not stopped(_ahead(start)):
            parts.add(sender.send(frames, Pace(load.rate, load.jitter, load.seed + slices), start=start))
            slices += 1
            start = zero + round(slices * load.slice * SECOND / load.rate) if load.rate else None
            if slices == 1:
                started()
    return parts.report(load.rate, (time.monotonic_ns() - zero) / SECOND)


def _ahead(start: int | None) -> float:
    """Seconds that can be spent on waiting for a stop; the last ones the sender waits itself, more exactly."""
    return 0.0 if start is None else max(0.0, (start - time.monotonic_ns()) / SECOND - SLICE_SECONDS)


@dataclass(slots=True)
class Totals:
    """The sums over all slices."""

    sent: int = 0
    refused: int = 0
    late_ns: int = 0

    def add(self, part: Sent) -> None:
        """Count one slice."""
        self.sent, self.refused = self.sent + part.sent, self.refused + part.refused
        self.late_ns = max(self.late_ns, int((part.actual_ns - part.intended_ns).max()))

    def report(self, rate: float, seconds: float) -> LoadReport:
        """The report after `seconds` of sending."""
        late = self.late_ns / SECOND if rate else 0.0
        return LoadReport(rate, self.sent / seconds, self.sent, self.refused, seconds, late)


def main() -> None:
    """Serve one load on stdin and stdout."""
    load = Load.decode(json.loads(sys.stdin.readline()))
    pin(load.cpu)
    stop = threading.Event()
    threading.Thread(target=_await_stop, args=(stop,), daemon=True).start()
    _say(dataclasses.asdict(run(load, lambda: _say({"started": True}), stop.wait)))


def _await_stop(stop: threading.Event) -> None:
    """A request to stop and the end of the input mean the same."""
    sys.stdin.readline()
    stop.set()


def _say(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
