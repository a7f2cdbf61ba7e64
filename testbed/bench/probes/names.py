"""The probes by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from testbed.bench.probes import connect, distribution, established, first_packet
from testbed.bench.probes.crossing import Measured
from testbed.bench.probes.instruments import Instruments
from testbed.bench.probes.path import Path, Settings

Probe = Callable[[Path, Settings, Instruments], Measured]

PROBES: Mapping[str, Probe] = {
    probe.NAME: probe.measure for probe in (first_packet, established, connect, distribution)
}
