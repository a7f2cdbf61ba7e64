"""The verdict on a task: the learner's answer and what must be so, each held against the cluster as it is now.

Knows tasks, facts and connections. Knows neither files nor the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from testbed.errors import NotFound
from testbed.scenario.lab import facts
from testbed.scenario.lab.answers import Seen, agrees
from testbed.scenario.lab.running import Answer, Cluster
from testbed.scenario.lab.spec import Task

CONNECTIONS = 10  # if a check says no other number
FORGETTING_CONNECTIONS = 2  # per round: the second one shows that within a round nothing is forgotten

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is as it must be, and what was seen."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a task."""

    passed: bool
    findings: tuple[Finding, ...]


def judge(task: Task, answer: str | None, passed: Mapping[str, Any], cluster: Cluster) -> Verdict:
    """Judge a task now. `passed` has the tasks that have passed already."""
    waiting = [name for name in task.after if name not in passed]
    if waiting:
        return Verdict(False, (Finding(False, f"comes after {', '.join(waiting)}"),))
    findings = []
    for look in _looks(task, answer, cluster):
        findings.append(_guarded(look))
        if not findings[-1].ok:
            break  # what comes after rests on it, and may take its time
    return Verdict(all(finding.ok for finding in findings), tuple(findings))


def _looks(task: Task, answer: str | None, cluster: Cluster) -> Iterator[Callable[[], Finding]]:
    """What there is to look at, in order; the answer last, since what must be so can be what makes it right."""
    for check in task.checks:
        [(kind, arguments)] = check.items()
        yield partial(CHECKS[kind], cluster, arguments)
    if task.answer is not None:
        yield partial(_answered, task, answer, cluster)


def _guarded(look: Callable[[], Finding]) -> Finding:
    """A look at something that is not there finds just that."""
    try:
        return look()
    except NotFound as error:
        return Finding(False, str(error))


def _answered(task: Task, answer: str | None, cluster: Cluster) -> Finding:
    """Hold the answer against the fact. What was seen is told only to who has the right answer."""
    if answer is None:
        return Finding(False, "no answer yet")
    assert task.answer is not None
    seen = facts.look(cluster, task.answer)
    if agrees(answer, seen.values, seen.compare):
        return Finding(True, f"right: {seen.text}")
    return Finding(False, f"{answer!r} is not what the cluster shows{_why(task, answer, seen)}")


def _why(task: Task, answer: str, seen: Seen) -> str:
    """What is to be said to this wrong answer, if it is a known one."""
    for wrong, because in task.wrong:
        if agrees(answer, wrong.split(), seen.compare):
            return f": {because}"
    return f": {answer} {seen.elsewhere[answer]}" if answer in seen.elsewhere else ""


def _fact(cluster: Cluster, arguments: Arguments) -> Finding:
    seen = facts.look(cluster, arguments["see"])
    if agrees(arguments["is"], seen.values, seen.compare):
        return Finding(True, seen.text)
    return Finding(False, f"{seen.text}; expected {arguments['is']}")


def _connections(cluster: Cluster, arguments: Arguments) -> Finding:
    """Open connections; every one must end as it shall, at the right pods, which see the right source."""
    there, count = facts.target(cluster, arguments["to"]), arguments.get("count", CONNECTIONS)
    answers = cluster.connect(arguments["from"], there, count)
    text = facts.spread(answers, count, f"from {arguments['from']} to {there.title}")
    wanted = [*_complaints(cluster, arguments, answers)]
    return Finding(not wanted, f"{text}{'; expected ' + ' and '.join(wanted) if wanted else ''}")


def _complaints(cluster: Cluster, arguments: Arguments, answers: Sequence[Answer]) -> Iterator[str]:
    """Everything that was expected and not seen."""
    outcome = arguments.get("outcome", "answered")
    if any(answer.outcome != outcome for answer in answers):
        yield f"all to be {outcome}"
        return
    pods = {answer.pod for answer in answers if answer.pod}
    if "pods" in arguments and pods != {*arguments["pods"]}:
        each = "" if len(arguments["pods"]) == 1 else ", by each"
        yield f"answers by {', '.join(sorted(arguments['pods']))}{each}"
    if arguments.get("onePod") and len(pods) != 1:
        yield "one and the same pod each time"
    if "source" in arguments:
        address = cluster.address(arguments["source"])
        if {answer.source for answer in answers if answer.source} != {address}:
            yield f"source {address} ({arguments['source']})"


def _forgets(cluster: Cluster, arguments: Arguments) -> Finding:
    """Connect, let time pass, connect again: if nobody's pod ever changes, nothing was forgotten.

    With n pods and t chances to change, a Service that does forget passes for one that does not once in n^t times.
    """
    there = facts.target(cluster, arguments["to"])
    rounds: list[tuple[str, ...]] = []
    for number in range(arguments["rounds"]):
        if number:
            cluster.pause(arguments["pause"])
        found = [cluster.connect(place, there, FORGETTING_CONNECTIONS) for place in arguments["from"]]
        if any({a.pod for a in answers} != {answers[0].pod} or not answers[0].pod for answers in found):
            return Finding(
                False, f"{there.title}: within one moment not all were answered by one and the same pod"
            )
        rounds.append(tuple(answers[0].pod for answers in found))
    changes = sum(
        a != b for old, new in zip(rounds, rounds[1:], strict=False) for a, b in zip(old, new, strict=True)
    )
    chances = (len(rounds) - 1) * len(arguments["from"])
    silence = f"after {arguments['pause']:g} s of silence"
    text = f"{there.title}: {silence} {changes} of {chances} connections met another pod"
    return Finding(bool(changes), text + ("" if changes else "; expected some to"))


CHECKS: Mapping[str, Callable[[Cluster, Arguments], Finding]] = {
    "fact": _fact,
    "connections": _connections,
    "forgets": _forgets,
}
