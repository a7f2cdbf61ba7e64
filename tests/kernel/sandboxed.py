"""Starts a sandbox with a small daemon, as a process of its own.

    python -m tests.kernel.sandboxed NAME DAEMON [KERNEL]

A fork of the test's own process would take its threads' locks along. Prints the instance's record as JSON; an
error of testbed's goes to standard error and makes its own exit code.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial

from testbed.errors import TestbedError
from testbed.machine import sandbox
from testbed.machine.kernels import NATIVE, guests
from tests.kernel.daemons import DAEMONS


def main(name: str, daemon: str, kernel: str = NATIVE) -> int:
    """Start; 0 if it stands."""
    start = sandbox.start if kernel == NATIVE else partial(guests.start, kernel)
    try:
        instance = start(name, DAEMONS[daemon])
    except TestbedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(asdict(instance)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
