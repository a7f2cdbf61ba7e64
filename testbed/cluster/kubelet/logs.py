"""Containers' logs, kept from growing for ever as kubelet keeps them (containerLogMaxSize, containerLogMaxFiles).

A program keeps its log open (O_APPEND), so a log is copied and then emptied, never moved away: what is written
between the two is lost. Knows files; knows nothing of containers.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

LOG = logging.getLogger(__name__)

MAX_BYTES = 10 << 20  # KubeletConfiguration's default, 10Mi
MAX_FILES = 5  # KubeletConfiguration's default: the log itself and `.1` (the latest) to `.4`
CHECK_SECONDS = 1.0  # kubelet looks every 10 s; here logs lie in memory


def rotate(folder: Path, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> None:
    """Rotate each log `POD/CONTAINER.log` below the folder that has more than `max_bytes` bytes.

    Of a log that has grown faster than that, the last `max_bytes` are kept. A log that cannot be rotated is
    told of and left as it is.
    """
    for log in folder.glob("*/*.log"):
        try:
            if log.stat().st_size > max_bytes:
                _rotate(log, max_bytes, max_files)
        except OSError as error:
            LOG.warning("log %s is not rotated: %s", log, error.strerror)


def _rotate(log: Path, max_bytes: int, max_files: int) -> None:
    for number in range(max_files - 2, 0, -1):
        older = _numbered(log, number)
        if older.exists():
            older.replace(_numbered(log, number + 1))
    with log.open("rb") as full, _numbered(log, 1).open("wb") as copy:
        size = full.seek(0, os.SEEK_END)
        full.seek(max(0, size - max_bytes))
        copy.write(full.read(max_bytes))
    os.truncate(log, 0)


def _numbered(log: Path, number: int) -> Path:
    return log.with_name(f"{log.name}.{number}")
