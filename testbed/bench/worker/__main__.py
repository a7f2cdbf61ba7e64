"""`python -m testbed.bench.worker [--cpu N]`: serves probes on stdin and stdout until its input ends."""

from __future__ import annotations

import argparse
import sys

from testbed.bench.traffic.child import pin
from testbed.bench.worker.serve import serve


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(prog="testbed.bench.worker", description=__doc__)
    parser.add_argument("--cpu", type=int, help="run on this CPU only")
    pin(parser.parse_args().cpu)
    serve(sys.stdin, sys.stdout)


if __name__ == "__main__":
    main()
