"""The labs: nothing passes at the start, everything passes with the solutions, the pages' commands are real."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from testbed.scenario.lab.spec import Lab
from tests.net.command import command
from tests.net.learner import HERE, LABS, Learner, commands_of, heading_of, learner

# A plausible mistake: the tasks solved before it, what is typed, the task that must not pass by it, and a word of
# what the check says.
WRONG: dict[str, tuple[str, tuple[str, ...], str, str, str]] = {
    "the Service's own port changed instead of its targetPort": (
        "clusterip", (), "sed 's/port: 80, targetPort: 9090/port: 8080, targetPort: 8080/' {start}/services.yaml"
        " | testbed apply -f -", "repair", "expected all to be answered",
    ),
    "a fourth pod without the label": (
        "clusterip", (), "sed 's/app: web/app: web4/' {solution}/web-4.yaml | testbed apply -f - --wait", "grow",
        "expected 1/4 1/3 1/2 1",
    ),
    "three equal probabilities": (
        "clusterip", (), "testbed lab answer clusterip.chances 1/3 1/3 1/3 || true", "chances",
        "no endpoint at all",
    ),
    "the chain of another Service": (
        "clusterip", (), "testbed lab answer clusterip.chain"
        " $(testbed exec node1 -- iptables -t nat -S KUBE-SERVICES | grep -o 'KUBE-SVC-.*'"
        " | grep -v CDGGSHYLG3RE2FKL) || true", "chain", "10.96.0.90/32",
    ),
    "the internal policy for the external one": (
        "nodeport", ("source",), "sed 's/externalTrafficPolicy/internalTrafficPolicy/' {solution}/local.yaml"
        " | testbed apply -f - --wait", "keep", "and source 203.0.113.11 (client1)",
    ),
    "the outcome before the policy was changed": (
        "nodeport", (), "testbed lab answer nodeport.price answered || true", "price", "comes after keep",
    ),
    "the probe taken away": (
        "endpoints", (), "testbed delete pod web-2 && sed '/readinessProbe/,$d' {solution}/web-2.yaml"
        " | testbed apply -f - --wait", "ready", "has no readiness probe",
    ),
    "a slice whose port has another name": (
        "endpoints", (), "sed 's/name: http/name: web/' {solution}/legacy.yaml | testbed apply -f -", "by-hand",
        "expected all to be answered",
    ),
    "a successor beside a pod that nobody told to end": (
        "endpoints", (), "testbed apply -f {solution}/drain-2.yaml", "relief", "comes after ending",
    ),
    "a policy that only looks like affinity": (
        "affinity", (), "sed '/sessionAffinity/s/.*/  externalTrafficPolicy: Local/' {solution}/on.yaml"
        " | testbed apply -f - --wait", "turn-on", "one and the same pod",
    ),
    "the chain of a pod that client1 never met": (
        "affinity", ("turn-on",), "testbed exec client1 -- curl -s http://192.168.0.1:30080 &&"
        " testbed lab answer affinity.memory $(testbed exec node1 -- sh -c"
        " 'cd /proc/net/xt_recent; grep -L src=203.0.113.11 KUBE-SEP-* | head -1') || true", "memory",
        "is not what the cluster shows",
    ),
    "what the objects say of a cluster with leftover rules": (
        "two-datapaths", ("second",), "testbed datapath remove nftables --keep-rules &&"
        " testbed apply -f {solution}/web-3.yaml --wait &&"
        " testbed lab answer two-datapaths.leftover web-1 web-2 web-3 || true", "leftover",
        "the first table that translates",
    ),
    "the chain's own line taken for a rule": (
        "many-services", (), "testbed lab answer many-services.list 202 || true", "list", "not a rule",
    ),
    "a timeout of an hour": (
        "affinity", ("turn-on",), "sed 's/timeoutSeconds: 2/timeoutSeconds: 3600/' {solution}/timeout.yaml"
        " | testbed apply -f - --wait", "timeout", "remember a source for 3600 seconds; expected 2",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=HERE.values(), ids=HERE)
def beginner(request: pytest.FixtureRequest) -> Iterator[Learner]:
    """A learner who has just started, and changes nothing."""
    with learner(request.param) as one:
        yield one


@pytest.fixture(scope="module")
def at_node_ports() -> Iterator[Learner]:
    """A learner whose instance is of the lab about node ports."""
    with learner(LABS["nodeport"]) as one:
        yield one


def test_at_the_start_no_task_passes(beginner: Learner) -> None:
    done = beginner.types(f"testbed lab check {beginner.lab.name} -o json")
    verdicts = json.loads(done.stdout)["tasks"]
    assert done.returncode == 1
    assert [each["name"] for each in verdicts] == [task.name for task in beginner.lab.tasks]
    assert [each["name"] for each in verdicts if each["status"] == "passed"] == []


def test_the_hints_come_one_after_the_other(beginner: Learner) -> None:
    task = beginner.lab.tasks[-1]
    shown = [beginner.ok(f"testbed lab hint {beginner.lab.name}.{task.name}") for _ in task.hints]
    assert [f"hint {n} of {len(task.hints)}" in text for n, text in enumerate(shown, 1)] == [True] * len(
        shown
    )
    again = beginner.ok(f"testbed lab hint {beginner.lab.name}.{task.number}")
    assert f"testbed lab solution {beginner.lab.name}.{task.number}" in again


@pytest.mark.parametrize("verb", ["show", "tasks", "solution"])
def test_what_there_is_to_read(beginner: Learner, verb: str) -> None:
    shown = beginner.ok(f"testbed lab {verb} {beginner.lab.name}")
    assert [task.name for task in beginner.lab.tasks if task.name not in shown] == []
    assert json.loads(beginner.ok(f"testbed lab {verb} {beginner.lab.name} -o json"))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("lab", HERE.values(), ids=HERE)
def test_who_follows_the_page_gets_through(lab: Lab) -> None:
    """Every command of the page works at its place, and after each section the solution passes its task."""
    by_heading = commands_of(lab)
    with command(f"lab-{lab.name}") as made:
        one = Learner(made, lab)
        begin = by_heading.pop("Begin")
        assert begin[0] == f"testbed lab start {lab.name}"
        one.ok(f"{begin[0]} --name {made.name}")
        for line in begin[1:]:
            one.ok(line)
        for task in lab.tasks:
            for line in by_heading.pop(heading_of(task)):
                one.ok(line)
            one.solve(task.name)
        assert f"All {len(lab.tasks)} tasks passed" in one.ok(f"testbed lab check {lab.name}")
        assert [lines for lines in by_heading.values() if lines] == []


@pytest.mark.parametrize("lab", HERE.values(), ids=HERE)
def test_reset_brings_the_beginning_back(lab: Lab) -> None:
    with learner(lab) as one:
        before = one.objects()
        for path in sorted((lab.folder / "solution").glob("*.yaml")):
            one.types(f"testbed apply -f {path}")
        one.ok(f"testbed lab hint {lab.name}.1")
        assert one.objects() != before
        one.ok(f"testbed lab reset {lab.name}")
        assert one.objects() == before
        assert json.loads(one.ok(f"testbed lab hint {lab.name}.1 -o json"))["hints"] == [
            lab.tasks[0].hints[0]
        ]


@pytest.mark.parametrize("mistake", WRONG)
def test_a_plausible_mistake_is_refused(mistake: str) -> None:
    name, before, line, task, word = WRONG[mistake]
    lab = LABS[name]
    with learner(lab) as one:
        one.solve(*before)
        one.ok(line.format(start=lab.folder / "start", solution=lab.folder / "solution"))
        verdict = one.verdicts(task)[task]
        assert verdict["status"] == "not yet"
        assert word in " ".join(finding["text"] for finding in verdict["findings"])


def test_a_lab_is_anybodys() -> None:
    """An ordinary user starts a lab, solves a task that is judged by packets, and is told so."""
    with learner(LABS["nodeport"], "ordinary") as one:
        one.solve("source", "keep")
        assert one.verdicts("keep")["keep"]["status"] == "passed"


def test_what_has_passed_stays_so_and_a_named_task_is_judged_anew() -> None:
    with learner(LABS["nodeport"]) as one:
        one.solve("source", "keep")
        assert one.verdicts()["source"]["status"] == "passed"
        assert one.verdicts("source")["source"]["status"] == "not yet"
        assert one.verdicts()["source"]["status"] == "passed"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("testbed lab check nosuch", "no lab 'nosuch'; there are: affinity, clusterip"),
        ("testbed lab check clusterip.nosuch", "no task 'nosuch'; there are: 1 chain, 2 chances"),
        ("testbed lab check affinity --name no-such-lab", "testbed lab start affinity"),
        ("testbed lab answer nodeport yes", "which task? e.g. nodeport.1"),
        ("testbed lab answer nodeport.keep yes", "asks for no answer"),
        ("testbed lab check clusterip --name {name}", "is of lab nodeport, not of clusterip"),
    ],
)
def test_wrong_use_is_told(at_node_ports: Learner, line: str, words: str) -> None:
    done = at_node_ports.types(line.format(name=at_node_ports.command.name))
    assert done.returncode == 2
    assert words in done.stderr


def test_an_instance_that_is_no_lab() -> None:
    with command("lab-none") as made:
        made.ok("deploy", "-t", "one-node")
        done = Learner(made, LABS["nodeport"]).types(f"testbed lab check nodeport --name {made.name}")
        assert done.returncode == 2
        assert "was not started as a lab" in done.stderr


def test_the_list_names_every_lab() -> None:
    with command("lab-list") as made:
        listed = json.loads(Learner(made, LABS["nodeport"]).ok("testbed lab list -o json"))
        assert [each["name"] for each in listed] == sorted(LABS)
