"""Logs on disk: their form, their limits, their lives."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.cluster.kubelet import logs
from testbed.cluster.kubelet.logs import LINE_BYTES, Limits, Log, forget_earlier, log_path, rotated, stamp
from tests.unit.cluster.kubelet.lab import COMMAND, Lab, pod

SECOND = 1_767_323_045 * 10**9 + 678  # 2 January 2026, 03:04:05 UTC
OUT, ERR = "2026-01-02T03:04:05.000000678Z stdout", "2026-01-02T03:04:05.000000678Z stderr"
LONG = "x" * LINE_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The log of the first life of a container."""
    return log_path(tmp_path, ("default", "web"), "app", 0)


def written(path: Path, *pieces: tuple[str, str], limits: Limits = logs.AS_KUBELET) -> Log:
    """A log to which this came, in this order."""
    log = Log(path, limits, lambda: SECOND)
    for stream, data in pieces:
        log.take(stream, data.encode())
    return log


def files(path: Path) -> dict[str, str]:
    """What there is, by name."""
    return {each.name: each.read_text() for each in path.parent.iterdir()}


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([("stdout", "one\n")], f"{OUT} F one\n"),
        ([("stdout", "one\n\ntwo\n")], f"{OUT} F one\n{OUT} F \n{OUT} F two\n"),
        ([("stdout", "on"), ("stderr", "bad\n"), ("stdout", "e\n")], f"{ERR} F bad\n{OUT} F one\n"),
        ([("stdout", LONG + "\n")], f"{OUT} F {LONG}\n"),
        ([("stdout", LONG + "yz\n")], f"{OUT} P {LONG}\n{OUT} F yz\n"),
        ([("stdout", LONG), ("stdout", "y"), ("stdout", "z\n")], f"{OUT} P {LONG}\n{OUT} F yz\n"),
        ([("stdout", LONG + LONG + "y")], f"{OUT} P {LONG}\n{OUT} P {LONG}\n"),
        ([("stdout", "waits")], ""),
    ],
)
def test_records(path: Path, pieces: list[tuple[str, str]], expected: str) -> None:
    log = written(path, *pieces)
    assert path.read_text() == expected
    log.close()


def test_a_line_that_never_ends_is_a_part(path: Path) -> None:
    written(path, ("stdout", "one\ntw"), ("stderr", "!")).close()
    assert path.read_text() == f"{OUT} F one\n{OUT} P tw\n{ERR} P !\n"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(0, "1970-01-01T00:00:00.000000000Z"), (SECOND, "2026-01-02T03:04:05.000000678Z")],
)
def test_stamps(nanoseconds: int, text: str) -> None:
    assert stamp(nanoseconds) == text


def test_what_is_too_big_is_rotated(path: Path) -> None:
    written(path, ("stdout", "one\n"), ("stdout", "two\n"), limits=Limits(50)).close()
    assert files(path) == {"0.log": "", "0.log.1": f"{OUT} F one\n{OUT} F two\n"}


def test_the_oldest_goes(path: Path) -> None:
    pieces = [("stdout", f"{number}\n") for number in range(12)]
    written(path, *pieces, limits=Limits(1, 3)).close()
    assert files(path) == {"0.log": "", "0.log.11": f"{OUT} F 10\n", "0.log.12": f"{OUT} F 11\n"}
    assert [each.name for each in rotated(path)] == ["0.log.11", "0.log.12"]


def test_trouble_is_told_of_once_and_ends_nothing(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (path.parent / "0.log.1").mkdir(parents=True)
    (path.parent / "0.log.1" / "file").touch()
    (path.parent / "0.log.2").mkdir()
    written(path, *[("stdout", "one\n")] * 3, limits=Limits(1, 2)).close()
    assert path.parent.joinpath("0.log.3").read_text() == f"{OUT} F one\n"
    assert caplog.text.count("is not whole: Is a directory") == 1


def test_of_the_lives_the_last_two_are_kept(path: Path) -> None:
    for name in ("0.log", "0.log.1", "1.log", "1.log.7"):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.with_name(name).touch()
    forget_earlier(path.with_name("2.log"))
    assert sorted(files(path)) == ["1.log", "1.log.7"]


def test_each_life_has_a_log_of_its_own(lab: Lab, tmp_path: Path) -> None:
    lab.run(pod("web", COMMAND))
    lab.process.exit(1)
    lab.settle(10)
    log = log_path(tmp_path, ("default", "web"), "app", lab.container()["restartCount"])
    assert (lab.process.spec.log, log.name) == (log, "1.log")


def test_logs_go_with_their_pod(lab: Lab, path: Path) -> None:
    lab.run(pod("web", COMMAND))
    written(path, ("stdout", "one\n")).close()
    lab.delete()
    assert not path.parent.parent.exists()
