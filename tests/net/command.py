"""The command line as somebody uses it, for one lab instance whose name no other test has.

Knows how commands are started and answered; knows nothing of what they do.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.cluster.rpc import Client
from testbed.errors import TestbedError
from testbed.kube import client as kube
from testbed.machine.process import ProcessId
from tests.net.persons import Person, person
from tests.waiting import until

ROOT = Path(__file__).parents[2]
PROGRAM = str(Path(sys.executable).with_name("testbed"))
SECONDS = 60.0  # longer than any command here may take on a busy machine

Done = subprocess.CompletedProcess[str]
Running = subprocess.Popen[str]

_numbers = itertools.count(1)


class Daemon(Client):
    """A daemon's own verbs, and its Kubernetes API."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "api.sock")
        self.kube = kube.Client(folder / "kube-api.sock")

    def close(self) -> None:
        """Hang up both."""
        self.kube.close()
        super().close()


@dataclass(frozen=True, slots=True)
class Record:
    """The two processes of an instance."""

    daemon: ProcessId
    supervisor: ProcessId


@dataclass(frozen=True, slots=True)
class Command:
    """`testbed` as `person` types it, always with `--name` of the same instance."""

    person: Person
    name: str

    def run(self, verb: str, *arguments: str, stdin: str = "") -> Done:
        """Run a command to its end, whatever that is."""
        return subprocess.run(
            self.argv(verb, *arguments), cwd=ROOT, env=self.person.env, input=stdin, capture_output=True,
            text=True, check=False, timeout=SECONDS,
        )  # fmt: skip

    def ok(self, verb: str, *arguments: str, stdin: str = "") -> str:
        """Run a command that must succeed; what it printed. Raises TestbedError with what it complained about."""
        done = self.run(verb, *arguments, stdin=stdin)
        if done.returncode:
            raise TestbedError(f"testbed {verb}: status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def begin(self, verb: str, *arguments: str) -> Running:
        """Start a command and go on."""
        return self._begin(self.argv(verb, *arguments))

    def begin_watched(self, *argv: str) -> Running:
        """Start a program that ends only when all that it started has ended, too (`kin.py`)."""
        return self._begin([*self.person.prefix, sys.executable, "-m", "tests.net.kin", *argv])

    def argv(self, verb: str, *arguments: str) -> list[str]:
        """The whole command line."""
        return [*self.person.prefix, PROGRAM, verb, "--name", self.name, *arguments]

    def _begin(self, argv: list[str]) -> Running:
        return subprocess.Popen(
            argv, cwd=ROOT, env=self.person.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def folder(self) -> Path:
        """Where the instance keeps its record, its log and its pods' logs."""
        return self.person.folder(self.name)

    def client(self) -> Daemon:
        """A connection to the daemon, for what is asked many times."""
        return Daemon(self.folder)

    def record(self) -> Record | None:
        """What the record on disk says; None if there is none."""
        return record(self.folder)

    def get(self, kind: str, *arguments: str) -> list[dict[str, Any]]:
        """Objects as `testbed get -o json` prints them."""
        items: list[dict[str, Any]] = json.loads(self.ok("get", "-o", "json", kind, *arguments))["items"]
        return items

    def end(self) -> None:
        """End the instance if there is one."""
        found = self.record()
        if found:
            found.daemon.kill()
            found.supervisor.wait(SECONDS)


def record(folder: Path) -> Record | None:
    """The record in an instance's folder; None if there is none."""
    try:
        told = json.loads((folder / "record.json").read_text())
    except FileNotFoundError:
        return None
    return Record(ProcessId(**told["daemon"]), ProcessId(**told["supervisor"]))


@contextlib.contextmanager
def command(word: str, who: str = "root") -> Iterator[Command]:
    """A command line for an instance of its own, which is gone in the end."""
    with person(who) as somebody:
        made = Command(somebody, f"{word}-{os.getpid()}-{next(_numbers)}")
        try:
            yield made
        finally:
            made.end()


@contextlib.contextmanager
def deployed(word: str, who: str = "root", manifests: str = "", topology: str = "") -> Iterator[Command]:
    """A running lab instance."""
    with command(word, who) as made:
        shape = ["--topology", topology] if topology else []
        made.ok("deploy", *shape, *(["-f", "-"] if manifests else []), stdin=manifests)
        yield made


def process_inside(daemon: ProcessId, words: str) -> int | None:
    """The pid, outside, of a process in the daemon's sandbox whose command line contains `words`."""
    home = Path(f"/proc/{daemon.pid}/ns/pid").readlink()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            told = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if words in told and (folder / "ns/pid").readlink() == home:
                return int(folder.name)
    return None


def finished(running: Running, timeout: float = SECONDS) -> Done:
    """The end of a started command. Raises TestbedError if it does not come."""
    try:
        out, said = running.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        running.kill()
        raise TestbedError(f"{running.args!r}: no end within {timeout:g} s") from error
    return subprocess.CompletedProcess(running.args, running.returncode, out, said)


def quickly(condition: Any, what: str) -> Any:
    """Like `until`, looking every few milliseconds: for moments that pass."""
    return until(condition, what, longest=0.003)
