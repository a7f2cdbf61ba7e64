"""Starts sandboxes as somebody, on a kernel, and tells what is left of them on the host."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testbed.machine.kernels import NATIVE
from testbed.machine.process import ProcessId
from tests.net.persons import Person, person

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Started:
    """A sandbox as its record tells."""

    daemon: ProcessId
    supervisor: ProcessId


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts sandboxes as a person."""

    person: Person
    name: str
    kernel: str = NATIVE

    @property
    def folder(self) -> Path:
        return self.person.folder(self.name)

    def run(self, daemon: str, name: str = "") -> subprocess.CompletedProcess[str]:
        """Start one with this daemon; see `sandboxed.py`."""
        return subprocess.run(
            self._argv(daemon, name),
            cwd=ROOT,
            env=self.person.env,
            text=True,
            capture_output=True,
            check=False,
        )

    def begin(self, daemon: str) -> subprocess.Popen[str]:
        """The same, not waited for."""
        return subprocess.Popen(
            self._argv(daemon), cwd=ROOT, env=self.person.env, text=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def start(self, name: str = "") -> Started:
        """Start one that serves."""
        done = self.run("serve", name)
        assert done.returncode == 0, done.stderr
        return _started(json.loads(done.stdout))

    def record(self, name: str = "") -> Started | None:
        """What the record on disk says, if there is one."""
        path = self.person.folder(name or self.name) / "record.json"
        return _started(json.loads(path.read_text())) if path.exists() else None

    def files(self) -> set[str]:
        """Everything in the person's folder that has our name in it."""
        root = self.person.root
        return {path.name for path in root.iterdir() if self.name in path.name} if root.is_dir() else set()

    def _argv(self, daemon: str, name: str = "") -> list[str]:
        module = (sys.executable, "-m", "tests.kernel.sandboxed")
        return [*self.person.prefix, *module, name or self.name, daemon, self.kernel]


def _started(record: dict[str, dict[str, int]]) -> Started:
    return Started(ProcessId(**record["daemon"]), ProcessId(**record["supervisor"]))


@contextlib.contextmanager
def starting(kind: str, name: str, kernel: str = NATIVE) -> Iterator[Starter]:
    """A starter for a kind of person; whatever it has left is gone afterwards."""
    with person(kind) as somebody:
        made = Starter(somebody, name, kernel)
        yield made
        for other in (name, f"{name}-b"):
            if left := made.record(other):
                left.daemon.kill()
                left.supervisor.wait(10.0)
            # Where a test has killed the supervisor nobody was there to do it.
            shutil.rmtree(somebody.folder(other), ignore_errors=True)
