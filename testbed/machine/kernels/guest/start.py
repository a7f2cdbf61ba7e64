"""`python -m testbed.machine.kernels.guest.start NAME <DAEMON`: starts a sandbox inside a guest, as natively.

DAEMON, on standard input, is the pickled function that becomes the daemon. Prints JSON: `pid`, the daemon's number
in this guest, or `error`. From then on the guest lives as long as the daemon: when it ends the guest is switched
off, which is what a native instance's end looks like from outside.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from typing import Any

from testbed.errors import TestbedError, error_to_json
from testbed.machine import detached, libc, sandbox
from testbed.machine.process import ProcessId

LOG = detached.CONSOLE
LONG_SECONDS = 3600.0


def start(name: str, pickled: bytes) -> dict[str, Any]:
    """What is to be printed."""
    try:
        # It comes from our own command line, over a socket that only its user may open.
        instance = sandbox.start(name, pickle.loads(pickled))
    except TestbedError as error:
        return {"error": error_to_json(error)}
    _end_with(instance.daemon)
    return {"pid": instance.daemon.pid}


def _end_with(daemon: ProcessId) -> None:
    """Leave a process that switches the guest off when the daemon has ended."""
    if detached.fork():
        return
    try:
        os.setsid()
        detached.redirect(LOG)
        while not daemon.wait(LONG_SECONDS):
            pass
        os.sync()
        libc.power_off()
    finally:
        os._exit(1)


if __name__ == "__main__":
    json.dump(start(sys.argv[1], sys.stdin.buffer.read()), sys.stdout)
