"""`python -m testbed.machine.kernels.guest.look`, run inside a guest: every probe's answer there, as JSON."""

from __future__ import annotations

import json
import sys

from testbed.machine.kernels import offers

if __name__ == "__main__":
    json.dump(offers.told(), sys.stdout)
