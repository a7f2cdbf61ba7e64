"""Joining what was seen at both ends by sequence number. Pure: arrays in, arrays and counts out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from testbed.bench.traffic.ring import Captures
from testbed.errors import MeasurementInvalid

UNSEEN = -1


@dataclass(frozen=True, slots=True)
class Sightings:
    """When each of `total` packets was seen first. Arrays of shape (total,), UNSEEN where it was not."""

    out_ns: npt.NDArray[np.int64]
    in_ns: npt.NDArray[np.int64]
    endpoint: npt.NDArray[np.int16]  # which endpoint saw it
    duplicates: npt.NDArray[np.int64]  # how often it was seen beyond the first time, at both ends together

    @property
    def matched(self) -> npt.NDArray[np.bool_]:
        """Seen at both ends."""
        return np.asarray((self.out_ns != UNSEEN) & (self.in_ns != UNSEEN), np.bool_)

    def after(self, warm_up: int) -> Sightings:
        """Without the first `warm_up` packets."""
        return Sightings(
            self.out_ns[warm_up:], self.in_ns[warm_up:], self.endpoint[warm_up:], self.duplicates[warm_up:]
        )


def join(departures: Captures, arrivals: Sequence[Captures], total: int) -> Sightings:
    """Join one tap's departures with the arrivals at each endpoint. Sequences run from 0 to `total` - 1.

    A packet that came more than once counts with its first arrival. Raises MeasurementInvalid for a sequence
    that was never sent: such frames are not ours, so nothing about the run can be trusted.
    """
    numbers = [np.asarray(captures["sequence"], np.int64) for captures in (departures, *arrivals)]
    beyond = max((int(part.max()) for part in numbers if len(part)), default=-1)
    if beyond >= total:
        raise MeasurementInvalid(f"sequence {beyond} was seen, but only {total} packets were sent")
    arrived = np.concatenate([np.asarray(captures["time_ns"]) for captures in arrivals])
    places = np.repeat(np.arange(len(arrivals), dtype=np.int16), [len(captures) for captures in arrivals])
    sequences = np.concatenate(numbers[1:])
    in_ns, index = _first(sequences, arrived, total)
    endpoint = np.full(total, UNSEEN, np.int16)
    endpoint[index != UNSEEN] = places[index[index != UNSEEN]]
    out_ns, _ = _first(numbers[0], np.asarray(departures["time_ns"]), total)
    duplicates = _extra(numbers[0], total) + _extra(sequences, total)
    return Sightings(out_ns, in_ns, endpoint, duplicates)


def _first(
    sequences: npt.NDArray[np.int64], times: npt.NDArray[np.int64], total: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The earliest time of each sequence and its place in `times`, both of shape (total,)."""
    first, places = np.full(total, UNSEEN, np.int64), np.full(total, UNSEEN, np.int64)
    latest_first = np.argsort(times, kind="stable")[::-1]  # the last assignment to a place wins
    first[sequences[latest_first]] = times[latest_first]
    places[sequences[latest_first]] = latest_first
    return first, places


def _extra(sequences: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    return np.maximum(np.bincount(sequences, minlength=total) - 1, 0)
