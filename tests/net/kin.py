"""Runs a command and ends only when no process is left that it started, however far removed.

`python kin.py COMMAND [ARGUMENT ...]`; the exit code is the command's. As a subreaper
(PR_SET_CHILD_SUBREAPER, prctl(2)) it inherits every orphan among the command's descendants, so the kernel
itself counts them: wait(2) says that there are none any more. Process 1 of a sandbox inherits those inside, and
none of them outlives it (pid_namespaces(7)).
"""

from __future__ import annotations

import os
import sys

from testbed.machine import libc

PR_SET_CHILD_SUBREAPER = 36


def main(argv: list[str]) -> int:
    """Run, and wait for everybody."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    command, status = os.posix_spawnp(argv[0], argv, os.environ), 0
    while True:
        try:
            pid, ended = os.wait()
        except ChildProcessError:
            return status
        if pid == command:
            status = os.waitstatus_to_exitcode(ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
