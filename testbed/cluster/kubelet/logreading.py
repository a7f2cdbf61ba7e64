"""Reading containers' logs, whole or in part, and following them while they are written and rotated.

As kubelet does it (pkg/kubelet/kuberuntime/logs): only the newest file of a life is read, `tail` counts its lines,
and following goes on through files to come. Nothing is lost on that way, unless the reader is so slow that a file
was dropped before its turn. Knows the form of the files (`logs.py`); knows no pod.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from testbed.cluster.kubelet.logs import log_path, rotated
from testbed.kube.api.rest.logs import LogQuestion
from testbed.kube.api.rest.message import Stream

BLOCK_BYTES = 1 << 16
LOOK_SECONDS = 0.1  # how often a followed log is looked at
_DAMAGED: tuple[bytes, ...] = (
    b"",
    b"",
    b"",
)  # a record that the file system had no room for; kubelet skips it, too


class LogReader:
    """The logs below a folder. May be asked in any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, question: LogQuestion) -> Stream:
        """The text; with `goes_on` until that says no and all was read, b"" while there is nothing new."""
        path = log_path(self._folder, question.pod, question.container, question.restart)
        return _limited(_texts(_blocks(path, question), question), question.limit)


def _blocks(path: Path, question: LogQuestion) -> Iterator[bytes]:
    """The files' bytes; whole records in each file, but pieces of any size."""
    file = _opened(path)
    try:
        if file is not None and question.tail is not None:
            file.seek(_tail(file, question.tail))
        while True:
            # Asked before it is read: what is written between the two is the last that comes.
            last = question.goes_on is None or not question.goes_on()
            if file is not None and (data := file.read(BLOCK_BYTES)):
                yield data
                continue
            newer = None if question.goes_on is None else _next(path, file)
            if newer is not None:
                if file is not None:
                    yield file.read()  # what came before it was rotated
                    file.close()
                file = newer
            elif last:
                return
            else:
                yield b""
                time.sleep(LOOK_SECONDS)
    finally:
        if file is not None:
            file.close()


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:
        return None  # nothing was written, or the pod is gone


def _next(path: Path, file: BinaryIO | None) -> BinaryIO | None:
    """The file after this one, None if this is the newest (or if there is none)."""
    if file is None:
        return _opened(path)
    mine = os.fstat(file.fileno()).st_ino
    while True:
        chain = _chain(path)
        numbers = [number for _, number in chain]
        if not numbers or numbers[-1] == mine:
            return None
        wanted, number = chain[numbers.index(mine) + 1 if mine in numbers else 0]
        found = _opened(wanted)
        if found is not None:
            if os.fstat(found.fileno()).st_ino == number and _chain(path) == chain:
                return found
            found.close()  # rotated meanwhile


def _chain(path: Path) -> list[tuple[Path, int]]:
    """The files of a log, oldest first, with their inode numbers."""
    files = []
    for each in (*rotated(path), path):
        try:
            files.append((each, each.stat().st_ino))
        except FileNotFoundError:
            continue  # rotated or dropped since
    return files


def _tail(file: BinaryIO, lines: int) -> int:
    """Where the last lines begin (kuberuntime/logs/tail.go)."""
    begin = file.seek(0, os.SEEK_END)
    while begin > 0:
        end, begin = begin, max(0, begin - BLOCK_BYTES)
        file.seek(begin)
        block = file.read(end - begin)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            lines -= 1
            if lines < 0:
                return begin + at + 1
    return 0


def _texts(blocks: Iterator[bytes], question: LogQuestion) -> Iterator[bytes]:
    """What is written in the records, for each block."""
    rest, begins = b"", True
    since = question.since.encode()
    for block in blocks:
        *records, rest = (rest + block).split(b"\n")
        told = []
        for record in records:
            time_, _, tag, *text = record.split(b" ", 3) if record.count(b" ") >= 3 else _DAMAGED
            if text and time_ >= since:
                told += [time_, b" ", *text] if question.timestamps and begins else text
                begins = tag == b"F"
                told.append(b"\n" if begins else b"")
        yield b"".join(told)


def _limited(texts: Iterator[bytes], limit: int | None) -> Stream:
    """The first `limit` bytes."""
    left = limit
    for text in texts:
        yield text if left is None else text[:left]
        if left is not None:
            left -= len(text)
            if left <= 0:
                return
