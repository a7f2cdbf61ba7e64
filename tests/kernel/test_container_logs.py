"""What real processes write comes into their logs: to the last line, by its stream, and beside one that floods."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.cluster.kubelet.contract import ProcessSpec
from testbed.cluster.kubelet.logreading import LogReader
from testbed.cluster.kubelet.logs import AS_KUBELET, log_path, rotated
from testbed.cluster.kubelet.processes import HostProcess, HostProcesses
from testbed.kube.api.rest.logs import LogQuestion
from tests.namespaces import fresh_namespace
from tests.waiting import until

SECONDS = 20.0  # how long a condition may take to come true on a busy machine
POD = ("default", "web")
LINES = 400_000  # some 20 MB with their times: two rotations


class Container:
    """A shell script as a container, its log, and its exit code when it comes."""

    def __init__(self, processes: HostProcesses, netns: str, folder: Path, name: str, script: str) -> None:
        self._exits: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._read, self._name = LogReader(folder), name
        self.over = threading.Event()
        self.followed: list[bytes] = []
        self.log = log_path(folder, POD, name, 0)
        spec = ProcessSpec(("sh", "-c", script), {}, "", netns, "web", self.log)
        self.process: HostProcess = processes.start(spec, self._exits.put)

    def code(self) -> int:
        return self._exits.get(timeout=SECONDS)

    def text(self) -> str:
        return b"".join(self._read(LogQuestion(POD, self._name))).decode()

    def follow(self) -> threading.Thread:
        """Gather its lines in `followed` until it is over and all is read."""
        question = LogQuestion(POD, self._name, goes_on=lambda: not self.over.is_set())

        def gather() -> None:
            self.followed = b"".join(self._read(question)).split()

        thread = threading.Thread(target=gather)
        thread.start()
        return thread

    def said(self, text: str) -> None:
        until(lambda: text in self.text(), f"{text!r} in the log", SECONDS)


Run = Callable[..., Container]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Starts a container from its name and script."""
    folder = tmp_path / "netns"
    with fresh_namespace(folder, "web") as netns:
        processes = HostProcesses(folder)
        yield lambda name, script: Container(processes, netns.name, tmp_path / "logs", name, script)
        processes.stop()


@pytest.mark.parametrize(("end", "code"), [("exit 3", 3), ("exec sh -c 'exit 0'", 0)])
def test_an_end_is_told_when_the_last_line_is_in_the_log(run: Run, end: str, code: int) -> None:
    container = run("app", f"seq 8000; printf 'no newline'; {end}")
    assert container.code() == code
    assert container.text() == "".join(f"{number}\n" for number in range(1, 8001)) + "no newline"


def test_what_a_killed_container_had_written_is_there(run: Run) -> None:
    container = run("app", "echo before; exec sleep 60")
    container.said("before\n")
    container.process.kill()
    assert (container.code(), container.text()) == (137, "before\n")


def test_streams_are_told_apart_and_are_no_terminal(run: Run) -> None:
    container = run("app", "echo out; echo err >&2; [ -t 1 ] || echo none")
    assert container.code() == 0
    records = container.log.read_text().splitlines()
    assert sorted(record.split(" ", 1)[1] for record in records) == [
        "stderr F err", "stdout F none", "stdout F out"
    ]  # fmt: skip


def test_a_program_that_closes_its_output_lives_on(run: Run) -> None:
    container = run("app", "echo one; exec >&- 2>&-; exec sleep 60")
    container.said("one\n")
    container.process.kill()
    assert container.code() == 137


def test_a_container_that_floods_hinders_nobody_and_fills_nothing(run: Run) -> None:
    flood = run("flood", "exec yes 'a line that comes again and again, without end'")
    until(lambda: len(rotated(flood.log)) == AS_KUBELET.max_files - 1, "the log to be full", SECONDS)
    neighbour = run("neighbour", "echo here; exit 5")
    assert neighbour.code() == 5
    assert neighbour.text() == "here\n"
    flood.process.kill()
    assert flood.code() == 137
    files = [flood.log, *rotated(flood.log)]
    assert len(files) == AS_KUBELET.max_files
    assert max(each.stat().st_size for each in files) < AS_KUBELET.max_bytes * 1.1


def test_who_follows_a_flood_gets_every_line(run: Run) -> None:
    container = run("app", f"seq {LINES}")
    followed = container.follow()
    assert container.code() == 0
    container.over.set()
    followed.join(SECONDS)
    assert rotated(container.log)
    assert container.followed == [f"{number}".encode() for number in range(1, LINES + 1)]
