"""Processes by id, safely: a process id is only trusted together with the time its process was started.

A record on disk may be older than a reboot, and ids are used again; nothing is ever found or stopped by name.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process that can be told from a later one with the same number."""

    pid: int
    started: int  # clock ticks after boot, field 22 of /proc/PID/stat (proc(5))

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The process that has this number now; `started` is 0 if there is none."""
        return cls(pid, _start_time(pid))

    def alive(self) -> bool:
        """True while the very same process exists and has not ended (a zombie has)."""
        return self.started != 0 and _start_time(self.pid) == self.started

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, to this very process or to none."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.alive():
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for its end; True if it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive():
                return True
            return bool(select.select([descriptor], [], [], timeout)[0])
        finally:
            os.close(descriptor)


def _start_time(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text[text.rindex(")") + 2 :].split()
    return 0 if fields[0] in "ZX" else int(fields[19])
