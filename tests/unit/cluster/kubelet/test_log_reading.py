"""Logs read back: followed through rotations, in whole lines and in parts of lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.cluster.kubelet.logreading import BLOCK_BYTES, LogReader
from testbed.cluster.kubelet.logs import LINE_BYTES, Limits, Log, log_path
from testbed.kube.api.rest.logs import LogQuestion

POD = ("default", "web")
STAMP = "2026-01-02T03:04:05.000000000Z"


class Life:
    """A container that writes, and who reads it."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.ended = False
        self.path = log_path(folder, POD, "app", 0)
        self.log = Log(self.path, limits, lambda: 1_767_323_045 * 10**9)
        self._reader = LogReader(folder)

    def says(self, text: str) -> None:
        self.log.take("stdout", text.encode())

    def read(self, **how: Any) -> str:
        return b"".join(self._reader(LogQuestion(POD, "app", **how))).decode()

    def follow(self, **how: Any) -> Iterator[str]:
        """What is new, each time."""
        question = LogQuestion(POD, "app", goes_on=lambda: not self.ended, **how)
        return (text.decode() for text in self._reader(question))


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    life = Life(tmp_path, Limits(100, 3))  # two short lines a file
    yield life
    life.log.close()


def until_silence(stream: Iterator[str]) -> str:
    """What is said until there is nothing new, or until the end."""
    said, silent = "", 0
    while silent < 2:  # one may be of a rotation
        new = next(stream, None)
        if new is None:
            return said
        said, silent = said + new, 0 if new else silent + 1
    return said


def test_only_the_newest_file_is_read(life: Life) -> None:
    for number in range(5):
        life.says(f"{number}\n")
    assert life.read() == "3\n4\n"


@pytest.mark.parametrize("lines", [1, 2, 3, 4, 5])
def test_following_goes_on_through_rotations(life: Life, lines: int) -> None:
    life.says("first\n")
    stream = life.follow()
    assert until_silence(stream) == "first\n"
    for number in range(lines):
        life.says(f"{number}\n")
    life.ended = True
    assert "".join(stream) == "".join(f"{number}\n" for number in range(lines))


def test_following_begins_at_the_tail_and_loses_nothing_after(life: Life) -> None:
    life.says("first\nsecond\n")
    stream = life.follow(tail=1)
    assert until_silence(stream) == "second\n"
    life.says("third\n")
    assert until_silence(stream) == "third\n"


def test_who_reads_too_slowly_goes_on_with_the_oldest_file_that_is_left(life: Life) -> None:
    life.says("first\n")
    stream = life.follow()
    assert until_silence(stream) == "first\n"
    for number in range(10):
        life.says(f"{number}\n")
    life.ended = True
    kept = "".join(stream).split()
    assert kept == [str(number) for number in range(10 - len(kept), 10)]


def test_following_what_is_not_there_yet(tmp_path: Path) -> None:
    stream = LogReader(tmp_path)(LogQuestion(POD, "app", goes_on=lambda: True))
    assert next(stream) == b""
    Log(log_path(tmp_path, POD, "app", 0)).take("stdout", b"here\n")
    assert next(text for text in stream if text) == b"here\n"


def test_following_what_is_taken_away_ends(life: Life) -> None:
    stream = life.follow()
    life.says("first\n")
    assert until_silence(stream) == "first\n"
    life.path.unlink()
    life.ended = True
    assert list(stream) == []


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, "x" * LINE_BYTES + "y\nz"),
        ({"timestamps": True}, f"{STAMP} {'x' * LINE_BYTES}y\n{STAMP} z"),
    ],
)
def test_parts_of_a_line_are_joined(tmp_path: Path, how: dict[str, Any], expected: str) -> None:
    life = Life(tmp_path, Limits())
    life.says("x" * LINE_BYTES + "y\nz")
    life.log.close()
    assert life.read(**how) == expected


@pytest.mark.parametrize("tail", [0, 1, 2, 5_000, 5_001, 6_000])
def test_a_tail_across_blocks(tmp_path: Path, tail: int) -> None:
    life = Life(tmp_path, Limits())
    lines = [f"{number}\n" for number in range(5_000)]
    life.says("".join(lines))
    life.log.close()
    assert life.path.stat().st_size > 3 * BLOCK_BYTES
    assert life.read(tail=tail) == "".join(lines[5_000 - min(tail, 5_000) :])


def test_a_damaged_record_is_passed_over(life: Life) -> None:
    life.says("one\n")
    life.path.write_bytes(life.path.read_bytes() + b"2026-01-02T03\n\n")
    assert life.read() == "one\n"
