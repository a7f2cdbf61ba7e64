"""The record that a probe hands over: raw samples of one block, with every count that tells how complete.

Knows no file, no arm and no statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy costs 0.1 s to import; a command that only lists results never needs it
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Samples:
    """What one probe saw in one block.

    A packet is *sent* when the sender handed it to the kernel, *seen out* when the first tap stamped it, and
    *matched* when the last tap stamped the same sequence number; `unmatched` were seen out, never matched.
    `warm_up` packets were sent first and are in none of the counts. `rate` was asked for, `achieved_rate`
    came out, both in packets (or connections) per second.
    """

    probe: str  # "first-packet", "established", "connect", "distribution"
    unit: str  # "ns", or "packets" for distribution
    values: npt.NDArray[np.int64]  # shape (matched,), in order of sending
    # for distribution: count per endpoint, shape (endpoints,)
    endpoint: npt.NDArray[np.int16]  # shape (matched,), index of the endpoint that took it, -1 unknown
    # for distribution: empty
    sent: int
    seen_out: int
    matched: int
    unmatched: int
    duplicates: int
    tap_drops: int
    warm_up: int
    rate: float
    achieved_rate: float
    seconds: float
