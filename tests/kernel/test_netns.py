"""Named network namespaces: made, entered, used by threads at the same time, and gone. Needs root."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.errors import CommandFailed, KernelStateError
from testbed.machine import netns
from testbed.machine.netns import Netns

NAMES = ("red", "green", "blue")


@pytest.fixture
def spaces(tmp_path: Path) -> Iterator[list[Netns]]:
    made = netns.create(NAMES, tmp_path)
    yield made
    for each in made:
        if each.exists():
            netns.delete(each)


def here() -> int:
    """The identity of the calling thread's network namespace."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


def test_each_is_another(spaces: list[Netns]) -> None:
    assert len({here(), *(space.call(here) for space in spaces)}) == 4


def test_making_some_leaves_the_thread_where_it_was(tmp_path: Path) -> None:
    before = here()
    inside: list[int] = []
    made = netns.create(["one"], tmp_path, within=lambda _: inside.append(here()))
    assert here() == before
    assert inside == [made[0].call(here)]
    netns.delete(made[0])


def test_an_error_inside_brings_the_thread_back(spaces: list[Netns]) -> None:
    before = here()
    with pytest.raises(CommandFailed):
        spaces[0].call(lambda: Netns("green", spaces[0].path.parent).run(["false"]))
    assert here() == before


def test_one_may_be_entered_from_another(spaces: list[Netns]) -> None:
    red, green, _ = spaces
    assert red.call(lambda: (green.call(here), here())) == (green.call(here), red.call(here))


def test_a_name_is_given_once(spaces: list[Netns]) -> None:
    before = here()
    with pytest.raises(KernelStateError, match="network namespace red exists already"):
        netns.create(["red"], spaces[0].path.parent)
    assert here() == before


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    before = here()
    with pytest.raises(KernelStateError, match="File name too long"):
        netns.create(["a" * 256], tmp_path)
    assert here() == before


def test_what_is_not_there_cannot_be_deleted(tmp_path: Path) -> None:
    with pytest.raises(KernelStateError, match="No such file"):
        netns.delete(Netns("nobody", tmp_path))


def test_a_program_runs_inside(spaces: list[Netns]) -> None:
    assert spaces[0].run(["ip", "-o", "link"]).stdout.count("\n") == 1


def test_a_failing_program_tells_where(spaces: list[Netns]) -> None:
    with pytest.raises(CommandFailed, match="in red: status 3: no"):
        spaces[0].run(["sh", "-c", "echo no >&2; exit 3"])


def test_a_socket_stays_inside(spaces: list[Netns]) -> None:
    red, green, _ = spaces
    for space in (red, green):
        space.run(["ip", "link", "set", "lo", "up"])
    with (
        red.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        green.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        one.bind(("127.0.0.1", 9999))
        other.bind(("127.0.0.1", 9999))
        one.sendto(b"hello", ("127.0.0.1", 9999))
        assert one.recv(10) == b"hello"
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.recv(10)


def test_threads_do_not_meet(spaces: list[Netns]) -> None:
    barrier = threading.Barrier(len(spaces))

    def look(space: Netns) -> tuple[int, int]:
        with space.entered():
            barrier.wait(10.0)  # all are inside now
            return here(), os.getpid()

    expected = [space.call(here) for space in spaces]
    with ThreadPoolExecutor(len(spaces)) as pool:
        assert [number for number, _ in pool.map(look, spaces)] == expected


def test_deleted_it_is_gone(spaces: list[Netns]) -> None:
    netns.delete(spaces[0])
    assert not spaces[0].exists()
    with pytest.raises(KernelStateError, match="network namespace red: No such file"):
        spaces[0].call(here)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(KernelStateError, match="network namespace nobody: No such file"):
        Netns("nobody", tmp_path).run(["true"])


def test_a_file_that_is_no_namespace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    before = here()
    with pytest.raises(KernelStateError, match="entering network namespace file: Invalid argument"):
        Netns("file", tmp_path).call(here)
    assert here() == before


def test_descriptors_are_not_kept(spaces: list[Netns]) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    for _ in range(20):
        spaces[0].call(here)
    assert count() == before
