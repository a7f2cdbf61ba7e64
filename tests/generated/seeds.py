"""Which numbers the generated tests run with."""

from __future__ import annotations

import os

VARIABLE = "TESTBED_SEEDS"


def seeds(usual: int) -> range:
    """The first `usual` numbers, or what TESTBED_SEEDS asks for: a count, or `first-last`."""
    first, dash, last = os.environ.get(VARIABLE, str(usual)).partition("-")
    return range(int(first), int(last) + 1) if dash else range(int(first))
