"""What containers write, on its way from their pipes to their logs.

A container's stdout and stderr are pipes, so it blocks when it writes faster than they are emptied, as it does in
Kubernetes. Knows pipes and logs; which thread pumps, and when a container has ended, is its caller's business
(`processes.py`).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from testbed.cluster.kubelet.logs import STREAMS, Log

READ_BYTES = 1 << 16  # a pipe's size by default, pipe(7)


class Output:
    """The stdout and stderr of one container, and the log that they go to. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Make the log and the pipes. Raises OSError."""
        self._log = Log(path)
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in STREAMS]
        self._streams = {reader: stream for (reader, _), stream in zip(pipes, STREAMS, strict=True)}
        self._writers = [writer for _, writer in pipes]
        for reader in self._streams:
            os.set_blocking(reader, False)  # not the writers' ends: a container expects those to block

    @property
    def stdout(self) -> int:
        """The end for the container to write to."""
        return self._writers[0]

    @property
    def stderr(self) -> int:
        """As `stdout`."""
        return self._writers[1]

    @property
    def readers(self) -> tuple[int, ...]:
        """The descriptors to watch."""
        return tuple(self._streams)

    def handed_over(self) -> None:
        """The container has its ends: ours are closed, so that its end is the pipes' end."""
        for writer in self._writers:
            os.close(writer)

    def pump(self, reader: int) -> int:
        """Move what is there, one read of it. The number of bytes; -1 at the end, when it wants to be closed."""
        try:
            data = os.read(reader, READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            return -1
        self._log.take(self._streams[reader], data)
        return len(data)

    def close(self, reader: int) -> None:
        """Nothing comes from it any more."""
        del self._streams[reader]
        os.close(reader)

    def finish(self) -> None:
        """The container has ended: move what is left in the pipes, and close everything.

        No more than a pipe holds is moved: somebody outside may have been given an end, and write for ever.
        """
        for reader in self.readers:
            left = fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ)
            while left > 0 and (moved := self.pump(reader)) > 0:
                left -= moved
            self.close(reader)
        self._log.close()
