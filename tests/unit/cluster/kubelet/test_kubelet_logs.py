"""Logs that are rotated: what is kept, what is dropped, and that their writers go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.cluster.kubelet import logs
from tests.unit.cluster.kubelet.lab import COMMAND, Lab, pod


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A container's log."""
    path = tmp_path / "default_web" / "app.log"
    path.parent.mkdir()
    return path


def files(log: Path) -> dict[str, str]:
    """What there is, by name."""
    return {path.name: path.read_text() for path in log.parent.iterdir()}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("1234", {"app.log": "1234"}),
        ("12345", {"app.log": "", "app.log.1": "2345"}),
        ("x" * 1000 + "tail", {"app.log": "", "app.log.1": "tail"}),
    ],
)
def test_only_what_is_too_big_is_rotated(tmp_path: Path, log: Path, text: str, kept: dict[str, str]) -> None:
    log.write_text(text)
    logs.rotate(tmp_path, max_bytes=4)
    assert files(log) == kept


def test_the_oldest_goes(tmp_path: Path, log: Path) -> None:
    for text in ("11", "22", "33", "44"):
        log.write_text(text)
        logs.rotate(tmp_path, max_bytes=1, max_files=3)
    assert files(log) == {"app.log": "", "app.log.1": "4", "app.log.2": "3"}


def test_a_program_writes_on_where_its_log_was_emptied(tmp_path: Path, log: Path) -> None:
    with log.open("a") as program:
        program.write("before")
        program.flush()
        logs.rotate(tmp_path, max_bytes=3)
        program.write("after")
    assert files(log) == {"app.log": "after", "app.log.1": "ore"}


def test_a_log_in_trouble_hinders_no_other(
    tmp_path: Path, log: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log.write_text("12")
    log.with_name("app.log.1").mkdir()
    log.with_name("other.log").write_text("12")
    logs.rotate(tmp_path, max_bytes=1, max_files=2)
    assert log.with_name("other.log").read_text() == ""
    assert "app.log is not rotated: Is a directory" in caplog.text


def test_kubelets_look_again_and_again(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    path = lab.process.spec.log
    path.parent.mkdir(parents=True)
    for _ in range(2):
        with path.open("wb") as program:
            program.truncate(logs.MAX_BYTES + 1)
        lab.settle(logs.CHECK_SECONDS)
        assert path.stat().st_size == 0
