"""Holds a guest, as a process of its own: `python -m tests.kernel.guested [SHARE ...]`.

Prints the guest's folder when it is there, and ends when its standard input does. An error of testbed's goes to
standard error and makes its own exit code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from testbed.errors import TestbedError
from testbed.machine.kernels import guests


def main(*shares: str) -> int:
    """Boot, wait; 0 if all went well."""
    try:
        with guests.running("uml", [Path(share) for share in shares]) as guest:
            sys.stdout.write(f"{guest.folder}\n")
            sys.stdout.flush()
            sys.stdin.read()
    except TestbedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
