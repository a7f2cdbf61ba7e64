"""`testbed lab`: learn how Kubernetes moves a packet, in a cluster of your own that judges what you did.

testbed lab list                        which labs there are
testbed lab start clusterip             a lab instance at its beginning
testbed lab show clusterip              the lab's page; tasks, one after the other: testbed lab tasks clusterip
testbed lab answer clusterip.1 WORD     what you found out
testbed lab check clusterip             which tasks have passed, and what was seen
testbed lab hint clusterip.1            the next hint
testbed lab solution clusterip.1        what solves it, and why
testbed lab reset clusterip             back to the beginning
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from testbed.cli import common
from testbed.cli.progress import ReadyBar
from testbed.cli.table import table
from testbed.errors import TestbedError, UsageError
from testbed.machine import sandbox
from testbed.machine.paths import NAME_VARIABLE
from testbed.machine.run import run as run_program
from testbed.machine.sandbox import Instance
from testbed.scenario.lab import catalog, spec, state
from testbed.scenario.lab.judge import Finding, Verdict, judge
from testbed.scenario.lab.running import Running
from testbed.scenario.lab.spec import Lab, Task
from testbed.scenario.lab.state import State

SETTLE_SECONDS = 3.0  # what a learner has just changed gets so long to reach the kernels
PASSED, OPEN = "passed", "not yet"

Judged = dict[str, Any]
"""A task's verdict as it is told: name, number, title, status, and findings, each with `ok` and `text`."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """A learner at a lab: the lab, its running instance, and what is kept with that."""

    lab: Lab
    instance: Instance
    state: State


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its verbs."""
    parser = subparsers.add_parser(
        "lab", help="learn with tasks that are checked", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _verb(verbs, "list", _list, "which labs there are", where="")
    common.add_kernel(_verb(verbs, "start", _start, "start a lab's instance", where="LAB"))
    _verb(verbs, "show", _show, "the lab's page, or one task", where="LAB[.TASK]", running=False)
    _verb(verbs, "tasks", _tasks, "the tasks, and which have passed", where="LAB")
    answer = _verb(verbs, "answer", _answer, "tell what you found out", where="LAB.TASK")
    answer.add_argument("answer", nargs="+", metavar="WORD")
    _verb(verbs, "check", _check, "judge the tasks", where="LAB[.TASK]")
    _verb(verbs, "hint", _hint, "the next hint of a task", where="LAB[.TASK]")
    solution = _verb(verbs, "solution", _solution, "what solves it, and why", where="LAB[.TASK]")
    solution.add_argument("--apply", action="store_true", help="carry it out")
    _verb(verbs, "reset", _reset, "back to the beginning", where="LAB")


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    *,
    where: str,
    running: bool = True,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    if where:
        help_text = "a lab, or one of its tasks by name or number" if "TASK" in where else "a lab"
        parser.add_argument("lab", metavar=where, help=help_text)
        if running:
            parser.add_argument("--name", help="the lab instance's name (default: lab-LAB)")
    common.add_output(parser)
    parser.set_defaults(run=run)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    labs = [spec.read(catalog.path(name)) for name in catalog.names()]
    instances = _instances()
    told: list[dict[str, Any]] = [
        {"name": lab.name, "title": lab.title, "tasks": len(lab.tasks), "minutes": lab.minutes,
         "instances": [instance.name for instance, kept in instances if kept.lab == lab.name]}
        for lab in labs
    ]  # fmt: skip
    if arguments.output:
        common.print_json(told)
        return 0
    rows = [
        (t["name"], str(t["tasks"]), f"{t['minutes']} min", ",".join(t["instances"]), t["title"])
        for t in told
    ]
    print(table(("NAME", "TASKS", "TIME", "RUNNING", "TITLE"), rows))
    return 0


def _start(arguments: argparse.Namespace) -> int:
    # Here, since it imports the whole daemon, which no other verb should pay for.
    from testbed.scenario.lab.start import need, start

    lab = _lab_of(arguments.lab)[0]
    kernel = common.kernel_for(arguments, need(lab), lab.kernel)
    with ReadyBar() as bar:
        instance = start(lab, arguments.name or f"lab-{lab.name}", bar, kernel)
    return _started(arguments, lab, instance, "stands")


def _reset(arguments: argparse.Namespace) -> int:
    from testbed.scenario.lab.start import reset

    sitting, _ = _sitting(arguments)
    with ReadyBar() as bar:
        instance = reset(sitting.lab, sitting.instance, bar)
    return _started(arguments, sitting.lab, instance, "stands again at its beginning")


def _started(arguments: argparse.Namespace, lab: Lab, instance: Instance, how: str) -> int:
    if arguments.output:
        common.print_json({"lab": lab.name, "instance": instance.name, "folder": str(lab.folder)})
        return 0
    print(f"lab {lab.name}: the lab instance {instance.name} {how}, with {len(lab.tasks)} tasks")
    print(
        f"\n    export {NAME_VARIABLE}={instance.name}    # so that `testbed get`, `exec` and all others mean it"
    )
    print(f"    testbed lab show {lab.name}                # read this first")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    lab, task = _lab_of(arguments.lab)
    if arguments.output:
        tasks = [_described(each) for each in ([task] if task else lab.tasks)]
        common.print_json({"lab": lab.name, "title": lab.title, "learn": lab.learn, "tasks": tasks})
    elif task:
        print(f"{lab.name}.{task.number} {task.name}: {task.title}\n\n{task.text}")
    else:
        print((lab.folder / spec.README).read_text(), end="")
    return 0


def _described(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "number": task.number,
        "title": task.title,
        "text": task.text,
        "hints": len(task.hints),
    }


def _tasks(arguments: argparse.Namespace) -> int:
    sitting, _ = _sitting(arguments)
    kept = sitting.state
    told: list[dict[str, Any]] = [
        {
            **_described(task),
            "status": PASSED if task.name in kept.passed else OPEN,
            "answer": kept.answers.get(task.name),
        }
        for task in sitting.lab.tasks
    ]
    if arguments.output:
        common.print_json(told)
        return 0
    for each in told:
        print(f"{sitting.lab.name}.{each['number']} {each['name']}: {each['title']} ({each['status']})\n")
        print("".join(f"    {line}\n" if line else "\n" for line in each["text"].splitlines()))
    return 0


def _answer(arguments: argparse.Namespace) -> int:
    sitting, task = _sitting(arguments, need_task=True)
    assert task is not None
    if task.answer is None:
        raise UsageError(f"{sitting.lab.name}.{task.name} asks for no answer: do it, then testbed lab check")
    sitting.state.answers[task.name] = " ".join(arguments.answer)
    return _told(arguments, sitting, _judge(sitting, [task]))


def _check(arguments: argparse.Namespace) -> int:
    """What has passed is not judged again, since later tasks change what it was about; a task that is named is."""
    sitting, task = _sitting(arguments)
    tasks = [task] if task else sitting.lab.tasks
    return _told(arguments, sitting, _judge(sitting, tasks, again=task is not None))


def _judge(sitting: Sitting, tasks: Sequence[Task], *, again: bool = True) -> list[Judged]:
    """Judge tasks, those that have passed only if `again`, and keep the verdicts."""
    kept, told = sitting.state, []
    with Running(sitting.instance) as running, _Steps(len(tasks)) as steps:
        steps("waiting for the rules")
        running.settle(sitting.lab.unready, SETTLE_SECONDS, lambda _: None)
        for task in tasks:
            steps(task.name)
            if again or task.name not in kept.passed:
                verdict = judge(task, kept.answers.get(task.name), kept.passed, running)
                if not verdict.passed and task.name in kept.passed:
                    before = Finding(True, "it has passed before, and counts as passed")
                    verdict = replace(verdict, findings=(*verdict.findings, before))
                kept.judged(task.name, verdict.passed, [finding.text for finding in verdict.findings])
                state.write(sitting.instance, kept)
            else:
                verdict = Verdict(True, tuple(Finding(True, text) for text in kept.passed[task.name]))
            told.append(_judged(task, verdict))
    return told


def _told(arguments: argparse.Namespace, sitting: Sitting, told: Sequence[Judged]) -> int:
    """Print verdicts; the exit code is 0 if all tasks among them have passed."""
    if arguments.output:
        common.print_json({"lab": sitting.lab.name, "instance": sitting.instance.name, "tasks": told})
    else:
        for each in told:
            _print_verdict(sitting.lab, each)
        _print_rest(sitting, len(told))
    return 0 if all(each["status"] == PASSED for each in told) else 1


def _judged(task: Task, verdict: Verdict) -> Judged:
    findings = [asdict(finding) for finding in verdict.findings]
    status = PASSED if verdict.passed else OPEN
    return {
        "name": task.name, "number": task.number, "title": task.title, "status": status, "findings": findings
    }  # fmt: skip


def _print_verdict(lab: Lab, each: Judged) -> None:
    print(f"{each['status']:8}{lab.name}.{each['number']} {each['name']}: {each['title']}")
    for finding in each["findings"]:
        print(f"          {'+' if finding['ok'] else '-'} {finding['text']}")


def _print_rest(sitting: Sitting, told: int) -> None:
    """How far the lab is, unless one task was asked about."""
    lab = sitting.lab
    left = [task for task in lab.tasks if task.name not in sitting.state.passed]
    if not left:
        print(
            f"\nAll {len(lab.tasks)} tasks passed. What really happened: the end of testbed lab show {lab.name}"
        )
    elif told > 1:
        done = f"{len(lab.tasks) - len(left)} of {len(lab.tasks)} passed"
        print(f"\n{done}; next: testbed lab show {lab.name}.{left[0].number}")


def _hint(arguments: argparse.Namespace) -> int:
    sitting, asked = _sitting(arguments)
    task = asked or next((t for t in sitting.lab.tasks if t.name not in sitting.state.passed), None)
    if task is None:
        raise UsageError(f"lab {sitting.lab.name}: every task has passed; name one for its hints")
    shown = min(sitting.state.hints.get(task.name, 0) + 1, len(task.hints))
    had_all = sitting.state.hints.get(task.name, 0) >= len(task.hints)
    sitting.state.hints[task.name] = shown
    state.write(sitting.instance, sitting.state)
    if arguments.output:
        hints, left = task.hints[:shown], len(task.hints) - shown
        common.print_json({"task": task.name, "hints": hints, "left": left})
        return 0
    for number in range(0 if had_all else shown - 1, shown):
        head = f"{sitting.lab.name}.{task.number} {task.name}, hint {number + 1} of {len(task.hints)}"
        print(f"{head}: {task.hints[number]}")
    if had_all:
        print(f"That was all; what is left is: testbed lab solution {sitting.lab.name}.{task.number}")
    return 0


def _solution(arguments: argparse.Namespace) -> int:
    lab, task = _lab_of(arguments.lab)
    tasks = [task] if task else lab.tasks
    if arguments.apply:
        sitting, _ = _sitting(arguments)
        return _apply(arguments, sitting, tasks)
    told = [{"name": t.name, "why": t.solution.why, "commands": _commands(lab, t)} for t in tasks]
    if arguments.output:
        common.print_json(told)
        return 0
    for each, number in zip(told, (t.number for t in tasks), strict=True):
        print(f"{lab.name}.{number} {each['name']}\n\n{each['why']}\n")
        print("".join(f"    {command}\n" for command in each["commands"]))
    return 0


def _commands(lab: Lab, task: Task) -> list[str]:
    """The commands as one types them here."""
    folder = os.path.relpath(lab.folder)
    shown = folder if not folder.startswith("..") else str(lab.folder)
    return [command.replace("{lab}", shown) for command in task.solution.commands]


def _apply(arguments: argparse.Namespace, sitting: Sitting, tasks: Sequence[Task]) -> int:
    """Carry solutions out, and judge each: a later one changes what an earlier one was about."""
    told: list[Judged] = []
    for task in tasks:
        for command in _commands(sitting.lab, task):
            _carry_out(sitting, task, command)
        # The commands have answered in their own processes.
        sitting = replace(sitting, state=state.read(sitting.instance))
        told += _judge(sitting, [task])
        print(
            f"{told[-1]['status']}: {sitting.lab.name}.{task.number} {task.name}", file=sys.stderr, flush=True
        )
    return _told(arguments, sitting, told)


def _carry_out(sitting: Sitting, task: Task, command: str) -> None:
    """Run one line of a solution as a learner's shell would. Raises TestbedError if it fails."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    print(f"$ {command}", file=sys.stderr, flush=True)
    env = {**os.environ, NAME_VARIABLE: sitting.instance.name, "PATH": path}
    done = run_program(["sh", "-c", command], env=env, check=False)
    if " lab answer " in command:
        return  # its verdict comes with the task's
    print(done.stdout + done.stderr, end="", file=sys.stderr, flush=True)
    if done.status:
        where = f"{sitting.lab.name}.{task.name}"
        raise TestbedError(f"solution of {where}: {command}: status {done.status}")


def _lab_of(word: str) -> tuple[Lab, Task | None]:
    """`LAB` or `LAB.TASK`. Raises UsageError."""
    name, dot, task = word.partition(".")
    lab = spec.read(catalog.path(name))
    return lab, lab.task(task) if dot else None


def _sitting(arguments: argparse.Namespace, *, need_task: bool = False) -> tuple[Sitting, Task | None]:
    """The lab, its instance and the task that a command is about. Raises UsageError."""
    lab, task = _lab_of(arguments.lab)
    if need_task and task is None:
        raise UsageError(f"which task? e.g. {lab.name}.1; see testbed lab tasks {lab.name}")
    name = arguments.name or _default_name(lab)
    instance = sandbox.find(name)
    if instance is None:
        raise UsageError(f"no lab instance {name!r} is running; start it with: testbed lab start {lab.name}")
    kept = state.read(instance)
    if kept.lab != lab.name:
        raise UsageError(f"lab instance {name!r} is of lab {kept.lab}, not of {lab.name}")
    return Sitting(lab, instance, kept), task


def _default_name(lab: Lab) -> str:
    """The instance of the environment if it is one of this lab, else the one that `start` makes without a name."""
    named = os.environ.get(NAME_VARIABLE, "")
    ours = {instance.name for instance, kept in _instances() if kept.lab == lab.name}
    return named if named in ours else f"lab-{lab.name}"


def _instances() -> list[tuple[Instance, State]]:
    """All lab instances that were started as labs."""
    running = [i for i in sandbox.instances() if (i.folder / state.FILE).is_file()]
    return [(instance, state.read(instance)) for instance in running]


class _Steps:
    """A bar over the tasks being judged, on a terminal."""

    def __init__(self, total: int) -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm  # here, since a quick command should not pay for it

            self._bar = tqdm(total=total + 1, desc="checking", leave=False, dynamic_ncols=True)

    def __call__(self, what: str) -> None:
        """Show the next step."""
        if self._bar is not None:
            self._bar.set_postfix_str(what)
            self._bar.update()

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
