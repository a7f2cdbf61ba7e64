"""A measurement in two parts: its arrays in a .npz file, everything else in one JSON object.

Both sides of the pipe use it, so that what the worker writes is what its client reads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from testbed.bench.probes.crossing import Measured
from testbed.bench.results.samples import Samples
from testbed.errors import MeasurementInvalid, UsageError

ARRAYS = ("values", "endpoint")  # of Samples
TIMES = ("sent_ns", "late_ns")  # of Measured


def summary(measured: Measured) -> dict[str, Any]:
    """Everything about a measurement but its arrays."""
    fields = (field.name for field in dataclasses.fields(measured.samples) if field.name not in ARRAYS)
    return {**{name: getattr(measured.samples, name) for name in fields}, "refused": measured.refused}


def write(measured: Measured, file: Path) -> None:
    """Write the arrays, not compressed. Raises UsageError if the file cannot be written."""
    arrays = {name: getattr(measured.samples, name) for name in ARRAYS}
    arrays |= {name: getattr(measured, name) for name in TIMES}
    try:
        with file.open("wb") as out:
            np.savez(out, **arrays)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error


def read(counts: Mapping[str, Any], file: Path) -> Measured:
    """The measurement again. Raises MeasurementInvalid if the file cannot be read."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            kept = {name: arrays[name] for name in (*ARRAYS, *TIMES)}
    except (OSError, KeyError, ValueError) as error:
        raise MeasurementInvalid(f"{file}: raw samples cannot be read: {error}") from error
    fields = {name: value for name, value in counts.items() if name != "refused"}
    samples = Samples(**fields, **{name: kept[name] for name in ARRAYS})
    return Measured(samples, kept["sent_ns"], kept["late_ns"], counts["refused"])
