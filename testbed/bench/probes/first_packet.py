"""How long does the first packet of a new flow take? Each packet comes from a source port of its own.

This is where Service rules cost: the kernel walks the NAT table only for packets that start a connection.
"""

from __future__ import annotations

from testbed.bench.probes.crossing import Measured, cross, latencies
from testbed.bench.probes.instruments import Instruments
from testbed.bench.probes.path import Path, Settings
from testbed.bench.traffic.frames import distinct_ports

NAME = "first-packet"


def measure(path: Path, settings: Settings, tools: Instruments) -> Measured:
    """One-way latency in ns of packets that each open a flow.

    The caller flushes connection tracking before (`conntrack.flush`), or ports seen earlier are not new
    flows. Raises UsageError if there are fewer ports than packets, MeasurementInvalid if an instrument
    failed.
    """
    ports = distinct_ports(settings.total, settings.seed)
    return latencies(NAME, cross(path, ports, settings, tools), settings)
