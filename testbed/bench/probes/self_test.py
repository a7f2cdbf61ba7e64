"""A probe proves itself first: a known number of packets must be counted as exactly that at both ends.

The number is a prime, so that no batch size, ring block or buffer divides it and hides a lost remainder.
"""

from __future__ import annotations

from testbed.bench.probes.crossing import cross
from testbed.bench.probes.instruments import Instruments
from testbed.bench.probes.match import UNSEEN
from testbed.bench.probes.path import Path, Settings
from testbed.bench.traffic.frames import distinct_ports
from testbed.errors import MeasurementInvalid

PRIME = 1009
RATE = 20_000.0


def prove(path: Path, tools: Instruments, count: int = PRIME) -> int:
    """Send `count` packets over a path that loses none (straight to a pod); how many were counted.

    Raises MeasurementInvalid, saying what was counted where, unless each end saw each packet exactly once.
    """
    settings = Settings(count=count, rate=RATE, warm_up=0)
    crossing = cross(path, distinct_ports(count, settings.seed), settings, tools)
    seen = crossing.sightings
    out, arrived = int((seen.out_ns != UNSEEN).sum()), int((seen.in_ns != UNSEEN).sum())
    again = int(seen.duplicates.sum())
    if (out, arrived, again, crossing.tap_drops) != (count, count, 0, 0):
        raise MeasurementInvalid(
            f"self-test to {path.destination}: {count} packets sent, {out} seen out, {arrived} seen in, "
            f"{again} seen again, {crossing.tap_drops} dropped by taps"
        )
    return arrived
