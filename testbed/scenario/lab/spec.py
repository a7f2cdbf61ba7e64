"""A lab as written: `scenario.yaml` of a folder (kind: Lab), read with the line of every mistake.

Knows the file's fields and the manifests that a learner starts from. Knows nothing of how a task is judged.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs

from testbed.errors import ManifestErrors, Mistake, UsageError
from testbed.kube.objects import Loaded, load
from testbed.kube.objects.documents import Document, documents
from testbed.kube.objects.source import joined

FILE = "scenario.yaml"
README = "README.md"

Fact = Mapping[str, Mapping[str, Any]]
"""One entry: a fact's name, as `facts.py` knows it, and its arguments."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What solves a task: why, and the commands. `{lab}` in a command stands for the lab's folder."""

    why: str
    commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """One task: what to do or to find out, how it is judged, hints one after the other.

    `answer` is the fact that the learner's answer is held against; `wrong` has what to say to answers that are
    wrong in a known way. `after` are the tasks that must have passed before this one means anything.
    """

    name: str
    number: int
    title: str
    text: str
    after: tuple[str, ...]
    answer: Fact | None
    wrong: tuple[tuple[str, str], ...]
    checks: tuple[Fact, ...]
    hints: tuple[str, ...]
    solution: Solution


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run inside once the cluster stands: `place` is a node, a client or `pod/NAME`."""

    place: str
    argv: str


@dataclass(frozen=True, slots=True)
class Lab:
    """A whole lab. Pods in `unready` are not ready at the start, on purpose; `kernel` is None if it runs on any."""

    name: str
    title: str
    minutes: int
    learn: tuple[str, ...]
    loaded: Loaded
    unready: tuple[str, ...]
    run: tuple[Command, ...]
    tasks: tuple[Task, ...]
    folder: Path
    kernel: str | None = None

    def task(self, word: str) -> Task:
        """A task by its name or number. Raises UsageError."""
        for task in self.tasks:
            if word in (task.name, str(task.number)):
                return task
        known = ", ".join(f"{task.number} {task.name}" for task in self.tasks)
        raise UsageError(f"lab {self.name} has no task {word!r}; there are: {known}")


def read(folder: Path) -> Lab:
    """The lab in a folder. Raises ManifestErrors with every mistake at once."""
    file = folder / FILE
    try:
        text = file.read_text()
    except OSError as error:
        hint = f"a lab is a folder with a {FILE}, e.g. scenarios/labs/clusterip"
        raise ManifestErrors(
            [Mistake(str(file), 1, "", f"cannot be read: {error.strerror}", hint)]
        ) from error
    found = list(documents(text, str(file)))
    if len(found) != 1:
        raise ManifestErrors([Mistake(str(file), 1, "", "a lab is exactly one document")])
    mistakes = [*found[0].mistakes, *_schema_mistakes(found[0])]
    if mistakes:
        raise ManifestErrors(mistakes)
    return _checked(found[0], folder)


def _schema_mistakes(document: Document) -> Iterator[Mistake]:
    schema = json.loads(Path(__file__).with_name("lab.schema.json").read_text())
    for error in jsonschema_rs.Draft7Validator(schema).iter_errors(document.body):
        yield document.source.mistake(joined(tuple(error.instance_path)), error.message)


def _checked(document: Document, folder: Path) -> Lab:
    mistakes = [*_own_mistakes(document, folder)]
    try:
        loaded = load([str(folder / document.body["start"]["manifests"])])
    except ManifestErrors as error:
        raise ManifestErrors([*mistakes, *error.mistakes]) from error
    mistakes += _start_mistakes(document, loaded)
    if mistakes:
        raise ManifestErrors(mistakes)
    return _lab(document.body, loaded, folder)


def _own_mistakes(document: Document, folder: Path) -> Iterator[Mistake]:
    """What is wrong with the tasks whatever the manifests say."""
    tasks, mistake = document.body["tasks"], document.source.mistake
    if not (folder / README).is_file():
        yield mistake("", f"the lab has no {README}", "what will be learned, the picture, the tasks in order")
    for name, count in Counter(task["name"] for task in tasks).items():
        if count > 1:
            yield mistake("tasks", f"{count} tasks are called {name!r}", "each name once")
    for number, task in enumerate(tasks):
        path, earlier = f"tasks[{number}]", [other["name"] for other in tasks[:number]]
        if "answer" not in task and "check" not in task:
            hint = "answer: a fact to find out; check: what must be so"
            yield mistake(path, f"nothing judges the task {task['name']!r}", hint)
        if "wrong" in task and "answer" not in task:
            yield mistake(
                f"{path}.wrong", "a task that asks for no answer gets no wrong ones", "leave it out"
            )
        for other in sorted({*task.get("after", ())} - {*earlier}):
            yield mistake(f"{path}.after", f"no task {other!r} before this one", _one_of(earlier))


def _start_mistakes(document: Document, loaded: Loaded) -> Iterator[Mistake]:
    """What does not fit together with the manifests of the start."""
    start, mistake = document.body["start"], document.source.mistake
    if loaded.cluster is None:
        yield mistake("start.manifests", "no Cluster document among the manifests", "kind: Cluster")
        return
    pods = [m.body["metadata"]["name"] for m in loaded.manifests if m.body["kind"] == "Pod"]
    for name in start.get("unready", ()):
        if name not in pods:
            yield mistake("start.unready", f"no Pod {name!r} among the manifests", _one_of(pods))
    places = [f"client{number}" for number in range(1, loaded.cluster.clients + 1)]
    places += [*(node.name for node in loaded.cluster.nodes), *(f"pod/{pod}" for pod in pods)]
    for number, command in enumerate(start.get("run", ())):
        if command["in"] not in places:
            yield mistake(f"start.run[{number}].in", f"no place {command['in']!r}", _one_of(places))


def _lab(body: Mapping[str, Any], loaded: Loaded, folder: Path) -> Lab:
    start = body["start"]
    return Lab(
        name=body["metadata"]["name"],
        title=body["title"],
        minutes=body["minutes"],
        learn=tuple(body["learn"]),
        loaded=loaded,
        unready=tuple(start.get("unready", ())),
        run=tuple(Command(command["in"], command["command"]) for command in start.get("run", ())),
        tasks=tuple(_task(task, number) for number, task in enumerate(body["tasks"], 1)),
        folder=folder,
        kernel=body.get("kernel"),
    )


def _task(body: Mapping[str, Any], number: int) -> Task:
    return Task(
        name=body["name"],
        number=number,
        title=body["title"],
        text=body["text"].strip(),
        after=tuple(body.get("after", ())),
        answer=body.get("answer"),
        wrong=tuple((entry["answer"], entry["because"].strip()) for entry in body.get("wrong", ())),
        checks=tuple(body.get("check", ())),
        hints=tuple(hint.strip() for hint in body["hints"]),
        solution=Solution(body["solution"]["why"].strip(), tuple(body["solution"]["commands"])),
    )


def _one_of(names: list[str]) -> str:
    return f"one of {', '.join(names)}" if names else ""
