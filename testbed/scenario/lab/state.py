"""What is kept with a lab instance: the learner's answers, the hints shown, the tasks passed.

It is a file in the instance's own folder, which goes when the instance goes. Knows nothing of how tasks are judged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from testbed.errors import UsageError
from testbed.machine.sandbox import Instance

FILE = "lab.json"


@dataclass(slots=True)
class State:
    """`answers` and `passed` (what was seen then) by task; `hints` how many of a task's hints were shown."""

    lab: str
    answers: dict[str, str] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    passed: dict[str, list[str]] = field(default_factory=dict)

    def judged(self, task: str, passed: bool, findings: Sequence[str]) -> None:
        """Keep a verdict. What has passed stays so: later tasks change what it was about."""
        if passed:
            self.passed[task] = list(findings)


def read(instance: Instance) -> State:
    """The state of a lab instance. Raises UsageError if it was not started as a lab."""
    try:
        text = (instance.folder / FILE).read_text()
    except OSError as error:
        hint = "start one with: testbed lab start LAB"
        raise UsageError(f"lab instance {instance.name!r} was not started as a lab; {hint}") from error
    return State(**json.loads(text))


def write(instance: Instance, state: State) -> None:
    """Keep the state; a reader sees the old one or the new one, whole."""
    new = instance.folder / f"{FILE}.new"
    new.write_text(json.dumps(asdict(state), indent=2))
    new.rename(instance.folder / FILE)
