"""The lock that leaves no file: held by one at a time, whoever removes the file meanwhile."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.errors import KernelStateError, TestbedError
from testbed.machine import lock

ROOT = Path(__file__).parents[3]


def test_it_leaves_neither_file_nor_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.lock"
    with lock.held(path) as ours:
        assert ours
        assert path.exists()
    assert not path.parent.exists()


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    with lock.held(tmp_path / "new" / "a.lock"):
        (tmp_path / "new" / "file").touch()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_held_it_is_not_given_again(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with lock.held(path), lock.held(path, wait=False) as again:
        assert not again
    with lock.held(path, wait=False) as later:
        assert later


def test_who_does_not_get_it_leaves_it_to_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with lock.held(path):
        with lock.held(path, wait=False):
            pass
        assert path.exists()


def test_an_error_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with pytest.raises(TestbedError), lock.held(path):
        raise TestbedError("on purpose")
    assert not path.exists()


def test_where_there_cannot_be_a_lock_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a.lock", tmp_path / "no" / "such" / "a.lock"):
        with pytest.raises(KernelStateError, match=f"lock {path}: "), lock.held(path):
            pass


def test_of_many_one_has_it_at_a_time(tmp_path: Path) -> None:
    """Each round adds one to a number in a file, which gets lost if two do it at once."""
    path, number = tmp_path / "new" / "a.lock", tmp_path / "number"
    number.write_text("0")

    def count(_: int) -> None:
        for _ in range(25):
            with lock.held(path):
                number.write_text(str(int(number.read_text()) + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(8)))
    assert number.read_text() == "200"


def test_who_is_killed_gives_it_back(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    code = (
        "import sys, signal, pathlib; from testbed.machine import lock\n"
        "with lock.held(pathlib.Path(sys.argv[1])): print('held', flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with lock.held(path, wait=False) as ours:
            assert not ours
        holder.kill()
        with lock.held(path) as ours:
            assert ours
