"""The sandbox: namespaces of its own, process 1, and nothing left whoever dies. As root and as an ordinary user."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.kernel.starter import Starter, starting
from tests.net.persons import PERSONS
from tests.waiting import until

ROOT = Path(__file__).parents[2]
LOOK_UP_SECONDS = 1.0  # one time-out of a resolver; a refused connection takes none
NAMESPACES = ("net", "mnt", "pid", "ipc", "uts")


@pytest.fixture(params=PERSONS)
def starter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Starter]:
    with starting(request.param, f"sb-{os.getpid()}-{abs(hash(tmp_path)) % 10**8}") as made:
        yield made


def test_it_has_namespaces_of_its_own(starter: Starter) -> None:
    daemon = starter.start().daemon
    shared = [kind for kind in NAMESPACES if namespace(daemon.pid, kind) == namespace(os.getpid(), kind)]
    assert shared == []
    assert (namespace(daemon.pid, "user") == namespace(os.getpid(), "user")) is (not starter.person.prefix)


def test_its_daemon_is_process_1(starter: Starter) -> None:
    status = Path(f"/proc/{starter.start().daemon.pid}/status").read_text()
    assert "testbed-daemon" in status
    assert status.partition("NSpid:")[2].splitlines()[0].split()[-1] == "1"


def test_its_mounts_are_not_seen_outside(starter: Starter) -> None:
    daemon = starter.start().daemon
    inside = Path(f"/proc/{daemon.pid}/mountinfo").read_text()
    assert f" {starter.folder} " in inside
    assert str(starter.folder) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/etc/resolv.conf", "nameserver 127.0.0.1"),
        ("/etc/hosts", "::1 localhost ip6-localhost ip6-loopback"),
    ],
)
def test_it_looks_up_no_names_of_the_host(starter: Starter, path: str, line: str) -> None:
    before = Path(path).read_text()
    inside = Path(f"/proc/{starter.start().daemon.pid}/root{path}").read_text()
    assert line in inside.splitlines()
    assert Path(path).read_text() == before


def test_a_look_up_fails_at_once(starter: Starter) -> None:
    pid = starter.start().daemon.pid
    enter = ["nsenter", f"--target={pid}", "--user", "--mount", "--net", "--preserve-credentials", "--"]
    if not starter.person.prefix:
        enter.remove("--user")
    look_up = ["getent", "ahosts", "name.example"]
    before = time.monotonic()
    done = subprocess.run([*enter, *look_up], capture_output=True, check=False, timeout=30.0)
    assert (done.returncode, done.stdout) == (2, b"")  # getent(1): not found
    assert time.monotonic() - before < LOOK_UP_SECONDS


@pytest.mark.parametrize("victim", ["daemon", "supervisor"])
def test_whoever_is_killed_all_are_gone(starter: Starter, victim: str) -> None:
    started = starter.start()
    getattr(started, victim).kill()
    until(lambda: not started.daemon.alive(), "the daemon to end")
    until(lambda: not started.supervisor.alive(), "the supervisor to end")


def test_after_a_killed_daemon_no_file_is_left(starter: Starter) -> None:
    started = starter.start()
    started.daemon.kill()
    assert started.supervisor.wait(10.0)
    assert starter.files() == set()


def test_what_a_killed_supervisor_leaves_goes_at_the_next_start_of_any_instance(starter: Starter) -> None:
    started = starter.start()
    started.supervisor.kill()
    until(lambda: not started.daemon.alive(), "the daemon to end")
    starter.start(f"{starter.name}-b")
    assert starter.name not in starter.files()


def test_a_lock_that_a_killed_start_left_goes_at_the_next_start(starter: Starter) -> None:
    left = starter.person.root / f".{starter.name}-c.lock"
    starter.start()
    left.touch()
    owner = left.parent.stat()
    os.chown(left, owner.st_uid, owner.st_gid)
    starter.start(f"{starter.name}-b")
    assert not left.exists()


def test_a_lock_of_somebody_else_stops_no_start(starter: Starter) -> None:
    starter.start(f"{starter.name}-b")
    foreign = starter.person.root / f".{starter.name}-c.lock"
    foreign.touch(mode=0o000)
    assert starter.start().daemon.alive()
    foreign.unlink(missing_ok=True)


def test_a_name_is_free_again_at_once(starter: Starter) -> None:
    for _ in range(3):
        started = starter.start()
        started.daemon.kill()
        assert started.daemon.wait(10.0)
    assert starter.start().daemon.alive()


def test_a_name_is_given_once(starter: Starter) -> None:
    first = starter.start()
    again = starter.run("serve")
    assert again.returncode == 2
    assert f"lab instance '{starter.name}' is running already" in again.stderr
    assert starter.record() == first
    assert first.daemon.alive()


def test_of_many_that_want_a_name_one_gets_it(starter: Starter) -> None:
    with ThreadPoolExecutor(4) as pool:
        codes = sorted(done.returncode for done in pool.map(starter.run, ["serve"] * 4))
    assert codes == [0, 2, 2, 2]


def test_a_daemon_that_fails_is_told_of_and_leaves_nothing(starter: Starter) -> None:
    done = starter.run("fail")
    assert done.returncode == 1
    assert "this daemon fails on purpose" in done.stderr
    assert starter.files() == set()


@pytest.mark.parametrize("victim", ["daemon", "supervisor"])
def test_killed_before_it_is_ready_the_start_ends(starter: Starter, victim: str) -> None:
    with starter.begin("dawdle") as starting:
        started = until(starter.record, "the record")
        getattr(started, victim).kill()
        assert starting.wait(20.0) == 1
        assert "did not start" in (starting.stderr.read() if starting.stderr else "")
    until(lambda: not starter.files(), "the folder to go")


def test_a_start_that_is_interrupted_leaves_nothing(starter: Starter) -> None:
    with starter.begin("dawdle") as starting:
        started = until(starter.record, "the record")
        starting.send_signal(signal.SIGINT)
        assert starting.wait(20.0) != 0
    assert started is not None
    assert not started.daemon.alive()
    assert starter.files() == set()


def namespace(pid: int, kind: str) -> str:
    """The identity of a process's namespace."""
    return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
