"""`testbed bench` from end to end: a tiny scenario measured, stopped in the middle, and failing."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.bench.results.files import load_run
from testbed.bench.results.model import Run
from tests.net.command import PROGRAM, ROOT, Command, command, finished, record
from tests.waiting import until

SCENARIO = """
apiVersion: testbed.dev/v1alpha1
kind: Scenario
metadata: {name: tiny}
title: A tiny scenario
question: What does a Service cost?
manifests: manifests
client: client
noise: {from: noise, to: noise-sink}
target: {service: zz-target, udpPort: 9, tcpPort: 80}
arms:
- {id: direct, datapath: none, path: direct, services: [0]}
- {id: nft, datapath: iptables, variant: nft, path: service, services: [20]}
probes:
- {probe: first-packet, count: 100, rate: 1000, warmUp: 10}
- {probe: established, count: 100, rate: 1000, warmUp: 10, load: [0, 5000]}
- {probe: connect, count: 50, rate: 500, warmUp: 10}
- {probe: distribution, count: 100, rate: 5000}
"""
CELLS = 9  # two arms, five probes under a load each, no distribution without a Service
REPEATS = 2
INTERRUPTED = 130
CTRL_C = b"\x03"
SECONDS = 60.0


@pytest.fixture
def lab() -> Iterator[Command]:
    """Only for its person: a bench names its instances itself."""
    with command("bench") as made:
        yield made


def scenario(lab: Command) -> str:
    """The folder of the tiny scenario."""
    home = lab.person.home
    (home / "scenario.yaml").write_text(SCENARIO)
    (home / "manifests").symlink_to(ROOT / "scenarios/first-light/manifests")
    return str(home)


def bench(lab: Command, folder: str, *options: str) -> list[str]:
    return [PROGRAM, "bench", folder, "--out", str(lab.person.home / "out"), *options]


def started_by(kin: int) -> int:
    """The pid of what `tests.net.kin` was asked to run."""
    children = Path(f"/proc/{kin}/task/{kin}/children")
    return int(until(children.read_text, "the bench to start").split()[0])


def instances(lab: Command, pid: int) -> list[Path]:
    """What the lab instances of a bench have left on disk. Their processes are `tests.net.kin`'s to wait for."""
    return list(lab.person.root.glob(f"bench-{pid}-*"))


def test_measures_everything_and_says_so(lab: Command) -> None:
    done = finished(lab.begin_watched(*bench(lab, scenario(lab), "--repeats", str(REPEATS))))
    assert done.returncode == 0, done.stderr
    run = load_run(lab.person.home / "out")
    assert not run.partial
    assert len(run.blocks) == CELLS * REPEATS
    assert {block.unmatched for block in run.blocks} == {0}
    assert {block.tap_drops for block in run.blocks} == {0}
    assert {sync.kind for sync in run.syncs} == {"full", "delta"}


def test_a_report_can_be_made_again(lab: Command) -> None:
    finished(lab.begin_watched(*bench(lab, scenario(lab), "--repeats", "1")))
    page = lab.person.home / "out/report.html"
    page.unlink()
    done = subprocess.run(
        [PROGRAM, "report", str(page.parent)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "A tiny scenario" in page.read_text()


def test_no_block_is_begun_when_the_time_is_over(lab: Command) -> None:
    done = finished(lab.begin_watched(*bench(lab, scenario(lab), "--time", "0.001")))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "the time was over too early" in done.stderr
    assert not kept(lab).blocks


def test_a_block_that_fails_keeps_those_before(lab: Command) -> None:
    running = lab.begin_watched(*bench(lab, scenario(lab)))
    pid = started_by(running.pid)
    assert running.stderr is not None
    assert any("repeat 2" in line for line in running.stderr)
    found = record(lab.person.folder(f"bench-{pid}-1"))
    assert found is not None
    found.daemon.kill()
    done = finished(running)
    run = kept(lab)
    assert done.returncode == 1
    assert len(run.blocks) >= CELLS
    assert any("The run ended early" in note for note in run.notes)
    assert not instances(lab, pid)


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal of its own, and the bench in its foreground."""

    master: int
    running: subprocess.Popen[bytes]

    def read_until(self, word: str) -> str:
        """What is printed up to `word`, or up to the end of everything if that never comes."""
        said = ""
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
            while word not in said and select.select([self.master], [], [], SECONDS)[0]:
                said += os.read(self.master, 4096).decode(errors="replace")
        return said

    def read(self) -> str:
        """Everything to the end."""
        return self.read_until("\0never printed")


@contextlib.contextmanager
def terminal(argv: list[str]) -> Iterator[Terminal]:
    """Run a program as somebody does who sits at a terminal: Ctrl-C goes to all in the foreground at once."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 120))
    watched = [sys.executable, "-m", "tests.net.kin", "setsid", "--ctty", *argv]
    try:
        with subprocess.Popen(watched, cwd=ROOT, stdin=slave, stdout=slave, stderr=slave) as running:
            os.close(slave)
            try:
                yield Terminal(master, running)
                running.wait(SECONDS)
            finally:
                running.kill()
    finally:
        os.close(master)


def kept(lab: Command) -> Run:
    """The result, which must be whole as a file and partial as a run."""
    out = lab.person.home / "out"
    run = load_run(out)
    assert run.partial
    assert run.finished
    assert not (out / "journal.jsonl").exists()
    assert (out / "report.html").exists() == bool(run.blocks)
    return run


@pytest.mark.parametrize(
    ("moment", "blocks"), [("build", 0), ("prove", 0), ("repeat:", 0), (" 2/33", 1), ("syncs", CELLS)]
)
def test_ctrl_c_keeps_what_is_done(lab: Command, moment: str, blocks: int) -> None:
    with terminal(bench(lab, scenario(lab), "--repeats", "3")) as screen:
        screen.read_until(moment)
        pid = started_by(screen.running.pid)
        os.write(screen.master, CTRL_C)
        said = screen.read()
    assert screen.running.returncode == INTERRUPTED, said
    assert "Traceback" not in said
    assert len(kept(lab).blocks) >= blocks
    assert not instances(lab, pid)


@pytest.mark.parametrize("moment", ["build", "repeat 1"])
def test_a_termination_keeps_what_is_done(lab: Command, moment: str) -> None:
    running = lab.begin_watched(*bench(lab, scenario(lab)))
    assert running.stderr is not None
    assert any(moment in line for line in running.stderr)
    pid = started_by(running.pid)
    os.kill(pid, signal.SIGTERM)
    assert finished(running).returncode == INTERRUPTED
    kept(lab)
    assert not instances(lab, pid)
