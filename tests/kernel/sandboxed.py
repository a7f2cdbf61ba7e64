"""Starts a sandbox with a small daemon, as a process of its own: `python -m tests.kernel.sandboxed NAME DAEMON`.

A fork of the test's own process would take its threads' locks along. Prints the instance's record as JSON; an
error of testbed's goes to standard error and makes its own exit code.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from testbed.errors import TestbedError
from testbed.machine import sandbox
from testbed.machine.sandbox import Ready


def serve(folder: Path, ready: Ready) -> None:
    """Ready at once, then there for ever."""
    ready()
    signal.pause()


def fail(folder: Path, ready: Ready) -> None:
    """Dies before it is ready."""
    raise TestbedError("this daemon fails on purpose")


def dawdle(folder: Path, ready: Ready) -> None:
    """Never gets ready."""
    signal.pause()


def main(name: str, daemon: str) -> int:
    """Start; 0 if it stands."""
    try:
        instance = sandbox.start(name, {"serve": serve, "fail": fail, "dawdle": dawdle}[daemon])
    except TestbedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(asdict(instance)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
