"""How are new flows spread over the endpoints? Flows are counted where they come out, not packets."""

from __future__ import annotations

import dataclasses

import numpy as np

from testbed.bench.probes.crossing import Measured, cross, latencies
from testbed.bench.probes.instruments import Instruments
from testbed.bench.probes.path import Path, Settings
from testbed.bench.traffic.frames import distinct_ports

NAME = "distribution"


def measure(path: Path, settings: Settings, tools: Instruments) -> Measured:
    """New flows by endpoint, in the order of `path.endpoints`: `values` adds up to `matched`.

    The caller flushes connection tracking before (`conntrack.flush`). Errors are those of `first_packet`.
    """
    ports = distinct_ports(settings.total, settings.seed)
    measured = latencies(NAME, cross(path, ports, settings, tools), settings)
    shares = np.bincount(measured.samples.endpoint, minlength=len(path.endpoints)).astype(np.int64)
    samples = dataclasses.replace(
        measured.samples, unit="packets", values=shares, endpoint=np.empty(0, np.int16)
    )
    return dataclasses.replace(measured, samples=samples)
