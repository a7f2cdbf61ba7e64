"""Containers' logs on disk, in the form and with the limits of kubelet and the CRI.

    <folder>/NAMESPACE_POD/CONTAINER/<restart>.log      what one life of a container has written
    <folder>/NAMESPACE_POD/CONTAINER/<restart>.log.<n>  the same, rotated; the highest number is the latest

A line is `<RFC3339Nano> stdout|stderr F|P <text>`; after P the text goes on in the next line (the CRI's log format,
design-proposals-archive/node/kubelet-cri-logging.md). Knows files; knows nothing of containers and of who reads
(`logreading.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from testbed.cluster.layout import pod_namespace

LOG = logging.getLogger(__name__)

LINE_BYTES = 16 << 10  # containerd's max_container_log_line_size: longer lines are cut into parts
LIVES = 2  # the one that runs and the one before: kubelet's MaxPerPodContainer keeps one dead container
STREAMS = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is kept of one life: KubeletConfiguration's containerLogMaxSize and containerLogMaxFiles."""

    max_bytes: int = 10 << 20
    max_files: int = 5


AS_KUBELET = Limits()


def log_path(folder: Path, pod: tuple[str, str], container: str, restart: int) -> Path:
    """The log of one life of a container; `pod` is namespace and name."""
    return folder / pod_namespace(*pod) / container / f"{restart}.log"


def rotated(path: Path) -> list[Path]:
    """What was rotated away of a log, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.*"), key=_number)


def _number(path: Path) -> int:
    return int(path.suffix[1:])


def forget_earlier(path: Path) -> None:
    """Drop what lives have written that are too long ago to be asked for, when the life of `path` begins."""
    forgotten = int(path.stem) - LIVES
    if forgotten >= 0:
        for old in path.parent.glob(f"{forgotten}.log*"):
            old.unlink(missing_ok=True)


def stamp(nanoseconds: int) -> str:
    """A time since the epoch in RFC 3339 with all nine digits, so that texts compare as times do."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


class Log:
    """The log of one life, open for writing. For one thread.

    Between two calls it holds no more than the beginning of a line of each stream, `LINE_BYTES` at most. What
    cannot be written (a full file system) is dropped, and told of once.
    """

    def __init__(
        self, path: Path, limits: Limits = AS_KUBELET, now: Callable[[], int] = time.time_ns
    ) -> None:
        """Make the file. Raises OSError."""
        self._path, self._limits, self._now = path, limits, now
        self._begun = dict.fromkeys(STREAMS, b"")
        self._broken = False
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def take(self, stream: str, data: bytes) -> None:
        """Write what came from a stream; a line that has not ended waits for its rest."""
        full, part = self._prefixes(stream)
        *lines, rest = (self._begun[stream] + data).split(b"\n")
        records = []
        for line in lines:
            cut, line = _cut(line, part)
            records += [*cut, full + line + b"\n"]
        cut, self._begun[stream] = _cut(rest, part)
        self._write(b"".join(records + cut))

    def close(self) -> None:
        """Write the lines that never ended, as parts, and close the file."""
        for stream in STREAMS:
            if self._begun[stream]:
                self._write(self._prefixes(stream)[1] + self._begun[stream] + b"\n")
        self._file.close()

    def _prefixes(self, stream: str) -> tuple[bytes, bytes]:
        """What whole lines and parts of lines begin with, now."""
        begin = f"{stamp(self._now())} {stream}"
        return f"{begin} F ".encode(), f"{begin} P ".encode()

    def _write(self, data: bytes) -> None:
        try:
            self._file.write(data)
            self._size += len(data)
            if self._size > self._limits.max_bytes:
                self._rotate()
        except OSError as error:
            if not self._broken:
                LOG.warning("log %s is not whole: %s", self._path, error.strerror)
            self._broken = True

    def _open(self) -> None:
        self._file: BinaryIO = self._path.open("ab", buffering=0)
        self._size = self._file.tell()

    def _rotate(self) -> None:
        older = rotated(self._path)
        latest = _number(older[-1]) if older else 0
        self._path.rename(self._path.with_name(f"{self._path.name}.{latest + 1}"))
        self._file.close()
        self._open()
        for oldest in older[: max(0, len(older) + 2 - self._limits.max_files)]:
            oldest.unlink(missing_ok=True)


def _cut(line: bytes, prefix: bytes) -> tuple[list[bytes], bytes]:
    """The records of a line's full parts, and what is left of it."""
    parts = []
    while len(line) > LINE_BYTES:
        parts.append(prefix + line[:LINE_BYTES] + b"\n")
        line = line[LINE_BYTES:]
    return parts, line
