"""Our own annotations: what a Service and its pods may say to a datapath beyond Kubernetes' fields.

    Service      testbed.dev/<word>: value      an option of its service ports, e.g. testbed.dev/ipvs-scheduler: wrr
    Pod          testbed.dev/weight: "3"        its share of new connections, where a mechanism knows weights
    EndpointSlice  testbed.dev/weights: "10.244.0.3=3,10.244.1.7=0"   the same for proxies, which read no pods

The slice controller writes the last one; who makes slices by hand may write it too. Who is not named in it has the
weight 1; 0 is drained: no new connections, and those that there are go on (net/netfilter/ipvs). Knows these texts;
knows no datapath, and not which of them reads what.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

OURS = "testbed.dev/"
WEIGHT, WEIGHTS = f"{OURS}weight", f"{OURS}weights"
SCHEDULER = f"{OURS}ipvs-scheduler"
PLAIN_WEIGHT, MOST_WEIGHT = 1, 65535  # the greatest that ipvsadm(8) takes

SCHEDULERS = ("dh", "fo", "lblc", "lblcr", "lc", "mh", "nq", "ovf", "rr", "sed", "sh", "wlc", "wrr")
"""The kernel's schedulers by their names (net/netfilter/ipvs/ip_vs_*.c), without twos."""

Options = tuple[tuple[str, str], ...]


def options_of(obj: Mapping[str, Any]) -> Options:
    """An object's annotations of ours as (word, value), sorted."""
    annotations = obj["metadata"].get("annotations")
    if not annotations:
        return ()
    return tuple(
        sorted((key.removeprefix(OURS), text) for key, text in annotations.items() if key.startswith(OURS))
    )


def weight_of(text: str) -> int | None:
    """A weight as it is written, 0 to MOST_WEIGHT; None for text that is none."""
    plain = text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_WEIGHT))
    return int(text) if plain and int(text) <= MOST_WEIGHT else None


def weights_text(weights: Mapping[str, int]) -> str:
    """Weights by address as one annotation's value; empty if all are plain."""
    unlike = ((address, weight) for address, weight in sorted(weights.items()) if weight != PLAIN_WEIGHT)
    return ",".join(f"{address}={weight}" for address, weight in unlike)


@functools.lru_cache(maxsize=1024)  # each node's plan reads the same slices
def weights_by_address(text: str) -> Mapping[str, int]:
    """What `weights_text` wrote, or somebody by hand: what cannot be read counts as not written."""
    pairs = (item.strip().partition("=") for item in text.split(","))
    found = ((address, weight_of(weight)) for address, _, weight in pairs)
    return {address: weight for address, weight in found if weight is not None}
