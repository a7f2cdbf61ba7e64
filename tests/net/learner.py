"""A learner at a lab: types whole lines, as a lab's page shows them, at an instance that no other test has.

Knows lines, pages and what `testbed lab` prints as JSON; knows nothing of what a lab teaches.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.datapaths import find
from testbed.errors import TestbedError
from testbed.machine.features import ThisMachine
from testbed.machine.paths import NAME_VARIABLE
from testbed.scenario.lab import catalog, spec
from testbed.scenario.lab.spec import Lab, Task
from tests.net.command import PROGRAM, ROOT, SECONDS, Command, Done, command

SECTION = re.compile(r"^## (.*)$", re.MULTILINE)
LABS = {name: spec.read(catalog.path(name)) for name in catalog.names()}


def runs_here(lab: Lab) -> bool:
    """True if this machine's own kernel has what the lab's datapath needs."""
    cluster = lab.loaded.cluster
    assert cluster is not None
    return not find.load(cluster.networking.kube_proxy_mode).missing(ThisMachine())


HERE = {name: lab for name, lab in LABS.items() if runs_here(lab)}


@dataclass(frozen=True, slots=True)
class Learner:
    """Somebody with a terminal in which TESTBED_NAME is set."""

    command: Command
    lab: Lab

    def types(self, line: str) -> Done:
        """Run a line as a shell does; in a pipe every part counts."""
        path = os.pathsep.join((str(Path(PROGRAM).parent), os.environ["PATH"]))
        env = {**self.command.person.env, "PATH": path, NAME_VARIABLE: self.command.name}
        return subprocess.run(
            [*self.command.person.prefix, "bash", "-o", "pipefail", "-c", line],
            cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=SECONDS,
        )  # fmt: skip

    def ok(self, line: str) -> str:
        """Run a line that must succeed; what it printed. Raises TestbedError."""
        done = self.types(line)
        if done.returncode:
            raise TestbedError(f"{line}: status {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Start the lab's instance."""
        self.ok(f"testbed lab start {self.lab.name} --name {self.command.name}")

    def solve(self, *tasks: str) -> None:
        """Carry out the solutions of tasks, in this order."""
        for task in tasks:
            self.ok(f"testbed lab solution {self.lab.name}.{task} --apply")

    def verdicts(self, task: str = "") -> dict[str, dict[str, Any]]:
        """What `check` says of every task, or of one, by name."""
        word = f"{self.lab.name}.{task}" if task else self.lab.name
        told = json.loads(self.types(f"testbed lab check {word} -o json").stdout)
        return {each["name"]: each for each in told["tasks"]}

    def objects(self) -> list[Any]:
        """What stands in the cluster, without what is new each time."""
        found = []
        for kind in ("pods", "services", "endpointslices"):
            for obj in json.loads(self.ok(f"testbed get {kind} -o json"))["items"]:
                spec_of = obj.get("spec") or obj.get("endpoints")
                found.append(
                    (kind, _lasting(obj["metadata"]), obj.get("status", {}).get("podIP"), _plain(spec_of))
                )
        return sorted(found, key=str)


def _lasting(metadata: dict[str, Any]) -> tuple[str, str]:
    """A name without what the API adds to it (a slice's ends in random letters), and the labels."""
    return str(metadata.get("generateName") or metadata["name"]), str(metadata.get("labels"))


def _plain(value: Any) -> str:
    """Text without uids."""
    return re.sub(r"'uid': '[^']*'", "", str(value))


@contextlib.contextmanager
def learner(lab: Lab, who: str = "root") -> Iterator[Learner]:
    """A learner whose lab has started; the instance is gone in the end."""
    with command(f"lab-{lab.name}", who) as made:
        one = Learner(made, lab)
        one.start()
        yield one


def commands_of(lab: Lab) -> dict[str, list[str]]:
    """The commands that the lab's page shows in its blocks, by the heading that they stand under."""
    text = (lab.folder / spec.README).read_text()
    parts = SECTION.split(text)[1:]
    return {heading: _commands(part) for heading, part in zip(parts[::2], parts[1::2], strict=True)}


def _commands(part: str) -> list[str]:
    return [line.strip() for line in part.splitlines() if line.startswith("    testbed ")]


def heading_of(task: Task) -> str:
    """The heading of a task's section on the lab's page."""
    return f"{task.number}. {task.name}: {task.title[0].lower()}{task.title[1:]}"
