"""The fuzzer: `python -m tests.fuzz.run --seconds 60 --seed 1`.

Plays one round after the other, each known by its number, and stops at the first that goes wrong: with a traceback,
and with the command that does it again. Exit code 1 then, else 0 and a line that sums up.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections.abc import Iterator

from tests.fuzz.rounds import STEPS, play


@contextlib.contextmanager
def named(number: int) -> Iterator[None]:
    """Say which round it was if it does not come to its end."""
    done = False
    try:
        yield
        done = True
    finally:
        if not done:
            sys.stderr.write(f"again: python -m tests.fuzz.run --rounds 1 --seed {number}\n")


def main() -> int:
    """Play until the time is over, or the rounds are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="to go on for (default: 60)")
    parser.add_argument("--rounds", type=int, help="to play, instead of going on for a time")
    parser.add_argument("--seed", type=int, help="the number of the first round (default: any)")
    arguments = parser.parse_args()
    first = arguments.seed if arguments.seed is not None else random.randrange(10**9)
    start, played = time.monotonic(), 0
    while played < arguments.rounds if arguments.rounds else time.monotonic() < start + arguments.seconds:
        with named(first + played):
            play(first + played)
        played += 1
    seconds = time.monotonic() - start
    sys.stdout.write(
        f"{played} rounds from {first} on, {played * STEPS} damaged inputs in {seconds:.0f} s: nothing wrong\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
