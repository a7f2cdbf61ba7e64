"""The labs that this machine's own kernel cannot run, in a guest whose kernel can: from the start to the end."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.machine.kernels import NATIVE, guests
from testbed.machine.kernels.guests import Guest
from testbed.machine.paths import NAME_VARIABLE
from testbed.scenario.lab.spec import Lab
from tests.net.command import PROGRAM, ROOT, SECONDS, Command, Done
from tests.net.learner import LABS, Learner, commands_of, heading_of, runs_here
from tests.net.persons import person
from tests.require import require_in

ELSEWHERE = {name: lab for name, lab in LABS.items() if not runs_here(lab)}


@dataclass(frozen=True, slots=True)
class Inside(Learner):
    """A learner whose terminal is in a guest, where everything is native."""

    guest: Guest

    def types(self, line: str) -> Done:
        """Run a line as a shell does; in a pipe every part counts."""
        path = os.pathsep.join((str(Path(PROGRAM).parent), os.environ["PATH"]))
        env = [f"PATH={path}", f"TESTBED_KERNEL={NATIVE}", f"{NAME_VARIABLE}={self.command.name}"]
        argv = self.guest.argv(["env", *env, "bash", "-o", "pipefail", "-c", line])
        return subprocess.run(
            argv,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )


@pytest.fixture(scope="module", params=ELSEWHERE.values(), ids=ELSEWHERE)
def lab(request: pytest.FixtureRequest) -> Lab:
    """Each of them."""
    require_in("uml", "ip_vs")
    found: Lab = request.param
    return found


@pytest.fixture
def beginner(lab: Lab) -> Iterator[Inside]:
    """A learner in a guest who has just started."""
    with guests.running("uml") as guest, person("root") as somebody:
        one = Inside(Command(somebody, f"lab-{lab.name}"), lab, guest)
        one.start()
        yield one


def test_at_the_start_no_task_passes(beginner: Inside) -> None:
    done = beginner.types(f"testbed lab check {beginner.lab.name} -o json")
    verdicts = json.loads(done.stdout)["tasks"]
    assert done.returncode == 1
    assert [each["name"] for each in verdicts if each["status"] == "passed"] == []


@pytest.mark.timeout(240)
def test_who_follows_the_page_gets_through(beginner: Inside) -> None:
    by_heading = commands_of(beginner.lab)
    for line in by_heading.pop("Begin")[1:]:
        beginner.ok(line)
    for task in beginner.lab.tasks:
        for line in by_heading.pop(heading_of(task)):
            beginner.ok(line)
        beginner.solve(task.name)
    told = beginner.ok(f"testbed lab check {beginner.lab.name}")
    assert f"All {len(beginner.lab.tasks)} tasks passed" in told
