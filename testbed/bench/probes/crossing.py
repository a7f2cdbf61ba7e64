"""One train of packets across a path: send, see at both ends, match. What most probes are made of.

Knows instruments and paths. Knows no statistics: a probe hands over raw samples and counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.bench.probes.instruments import Instruments, new_stream, sinks
from testbed.bench.probes.match import UNSEEN, Sightings, join
from testbed.bench.probes.path import Path, Settings
from testbed.bench.results.samples import Samples
from testbed.bench.traffic.filters import marked
from testbed.bench.traffic.frames import build
from testbed.bench.traffic.ring import Captures
from testbed.bench.traffic.sender import Sent
from testbed.bench.traffic.taps import settle

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """Samples, and for each of their values when it was sent and how late that was, both in ns.

    Times are CLOCK_REALTIME, arrays of shape (matched,). Late means behind the schedule, which open-loop load
    must not hide: a value counted from the intended time is `samples.values + late_ns`. For distribution the
    arrays tell of the packets that were counted.
    """

    samples: Samples
    sent_ns: npt.NDArray[np.int64]
    late_ns: npt.NDArray[np.int64]
    refused: int  # packets that the kernel had no room for (ENOBUFS); not sent again


@dataclass(frozen=True, slots=True)
class Crossing:
    """One train, as it was sent and as it was seen, warm-up included."""

    sent: Sent
    sightings: Sightings
    arrivals: tuple[Captures, ...]  # by endpoint
    tap_drops: int


def cross(path: Path, ports: npt.NDArray[np.uint16], settings: Settings, tools: Instruments) -> Crossing:
    """Send one packet from each of `ports`, in that order, and see which come out where.

    Raises MeasurementInvalid if the instruments failed; packets that are lost are part of the answer.
    """
    total, stream = len(ports), new_stream()
    sender = tools.sender(path.space(path.netns), path.device)
    frames = build(path.headers(sender.mac), stream, ports, payload=settings.payload)
    departures = tools.tap(path.space(path.netns), path.device, total, outgoing=True)
    taps = [tools.tap(path.space(end.netns), end.device, total, outgoing=False) for end in path.endpoints]
    for tap in (departures, *taps):
        tap.arm(marked(path.layout, stream), total)
    with sinks(path):
        sent = sender.send(frames, settings.pace)
        settle(lambda: sum(tap.seen() for tap in taps), total, settings.quiet)
    left, dropped = departures.read(path.layout)
    read = [tap.read(path.layout) for tap in taps]
    arrivals = tuple(captures for captures, _ in read)
    drops = dropped + sum(drops for _, drops in read)
    return Crossing(sent, join(left[left["outgoing"]], arrivals, total), arrivals, drops)


def latencies(probe: str, crossing: Crossing, settings: Settings) -> Measured:
    """The record of a probe whose values are ns from a packet's way out to its way in, warm-up left out."""
    seen, sent = crossing.sightings.after(settings.warm_up), crossing.sent
    matched = seen.matched
    out, both = int(np.count_nonzero(seen.out_ns != UNSEEN)), int(np.count_nonzero(matched))
    times = sent.actual_ns[settings.warm_up :]
    seconds = float(times[-1] - times[0]) / SECOND
    samples = Samples(
        probe=probe, unit="ns", values=(seen.in_ns - seen.out_ns)[matched], endpoint=seen.endpoint[matched],
        sent=len(times), seen_out=out, matched=both, unmatched=out - both,
        duplicates=int(seen.duplicates.sum()), tap_drops=crossing.tap_drops, warm_up=settings.warm_up,
        rate=settings.rate, achieved_rate=(len(times) - 1) / seconds if seconds else 0.0, seconds=seconds,
    )  # fmt: skip
    late_ns = (sent.actual_ns - sent.intended_ns)[settings.warm_up :]
    return Measured(samples, seen.out_ns[matched], late_ns[matched], sent.refused)
