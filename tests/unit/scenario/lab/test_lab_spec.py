"""A lab as written: what is read, and every mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import ManifestErrors, Mistake, UsageError
from testbed.scenario.lab import catalog, spec
from testbed.scenario.lab.spec import Command, Lab
from tests.net.learner import commands_of, heading_of

CHECK = "  - connections: {from: client1, to: {node: node1, port: 30080}, pods: [web-1]}\n"
LAB = f"""\
apiVersion: testbed.dev/v1alpha1
kind: Lab
metadata: {{name: tiny}}
title: A tiny lab
minutes: 5
learn: [one thing]
start:
  manifests: start
  unready: [web-1]
  run:
  - {{in: client1, command: ip route}}
tasks:
- name: look
  title: Look
  text: Look at it.
  answer: {{serviceChain: {{node: node1, service: web}}}}
  wrong: [{{answer: KUBE-SERVICES, because: you begin there}}]
  hints: [here, there]
  solution: {{why: so, commands: [testbed inspect]}}
- name: change
  title: Change
  text: Change it.
  after: [look]
  check:
{CHECK}  hints: [here, there]
  solution: {{why: so, commands: [testbed inspect]}}
"""
START = """\
apiVersion: testbed.dev/v1alpha1
kind: Cluster
metadata: {name: tiny}
nodes: [{role: worker, count: 1}]
clients: 1
---
apiVersion: v1
kind: Pod
metadata: {name: web-1}
spec: {containers: [{name: web, image: served}]}
"""
OURS = [spec.read(catalog.path(name)) for name in catalog.names()]


def folder(home: Path, text: str = LAB, start: str = START) -> Path:
    (home / "start").mkdir()
    (home / "start/all.yaml").write_text(start)
    (home / "scenario.yaml").write_text(text)
    (home / "README.md").write_text("# Tiny\n")
    return home


def mistakes(home: Path, *changes: tuple[str, str]) -> tuple[Mistake, ...]:
    text = LAB
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(ManifestErrors) as caught:
        spec.read(folder(home, text))
    assert caught.value.exit_code == 2
    return caught.value.mistakes


def test_a_right_lab_is_read(tmp_path: Path) -> None:
    lab = spec.read(folder(tmp_path))
    assert [(task.number, task.name) for task in lab.tasks] == [(1, "look"), (2, "change")]
    assert (lab.unready, lab.run) == (("web-1",), (Command("client1", "ip route"),))
    assert lab.task("2") is lab.task("change")
    assert lab.tasks[0].wrong == (("KUBE-SERVICES", "you begin there"),)


def test_a_task_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lab tiny has no task '3'; there are: 1 look, 2 change"):
        spec.read(folder(tmp_path)).task("3")


@pytest.mark.parametrize(
    ("change", "line", "path", "words"),
    [
        (("minutes: 5", "minutes: soon"), 5, "minutes", "is not of type"),
        (("serviceChain: {", "serviceChian: {"), 16, "tasks[0].answer", "serviceChian"),
        (("hints: [here, there]", "hints: [here]"), 18, "tasks[0].hints", "has less than 2 items"),
        (("[testbed inspect]", "[rm -rf x]"), 19, "tasks[0].solution.commands[0]", "does not match"),
        (("name: change", "name: look"), 12, "tasks", "2 tasks are called 'look'"),
        (("after: [look]", "after: [later]"), 23, "tasks[1].after", "no task 'later' before this one"),
        (("unready: [web-1]", "unready: [web-9]"), 9, "start.unready", "no Pod 'web-9'"),
        (("in: client1", "in: client2"), 11, "start.run[0].in", "no place 'client2'"),
        ((f"  check:\n{CHECK}", ""), 20, "tasks[1]", "nothing judges the task 'change'"),
    ],
    ids=lambda value: value[0][:20].strip() if isinstance(value, tuple) else None,
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, change: tuple[str, str], line: int, path: str, words: str
) -> None:
    found = [m for m in mistakes(tmp_path, change) if words in m.message]
    assert [(m.line, m.path) for m in found] == [(line, path)]
    assert found[0].file == str(tmp_path / "scenario.yaml")


def test_mistakes_of_the_manifests_come_along(tmp_path: Path) -> None:
    bad = START.replace("kind: Pod", "kind: Pod\nmetdata: {}")
    with pytest.raises(ManifestErrors) as caught:
        spec.read(folder(tmp_path, LAB.replace("after: [look]", "after: [later]"), bad))
    assert {Path(m.file).name for m in caught.value.mistakes} == {"scenario.yaml", "all.yaml"}


def test_a_lab_has_a_cluster_and_a_page(tmp_path: Path) -> None:
    home = folder(tmp_path, start=START.partition("---\n")[2])
    (home / "README.md").unlink()
    with pytest.raises(ManifestErrors) as caught:
        spec.read(home)
    told = " ".join(mistake.message for mistake in caught.value.mistakes)
    assert "no README.md" in told
    assert "no Cluster document" in told


def test_a_folder_without_a_lab(tmp_path: Path) -> None:
    with pytest.raises(ManifestErrors, match="cannot be read"):
        spec.read(tmp_path)


def test_a_lab_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no lab 'nosuch'; there are: affinity, clusterip"):
        catalog.path("nosuch")


@pytest.mark.parametrize("lab", OURS, ids=[lab.name for lab in OURS])
def test_our_own_labs_are_called_as_their_folders(lab: Lab) -> None:
    assert lab.name == lab.folder.name


@pytest.mark.parametrize("lab", OURS, ids=[lab.name for lab in OURS])
def test_the_page_has_the_tasks_in_their_order(lab: Lab) -> None:
    headings = list(commands_of(lab))
    assert headings == ["The picture", "Begin", *map(heading_of, lab.tasks), "What really happened"]
    page = (lab.folder / spec.README).read_text().replace("`", "").replace(":", "")
    assert [line for line in lab.learn if f"- {line}" not in page] == []


@pytest.mark.parametrize("lab", OURS, ids=[lab.name for lab in OURS])
def test_the_page_gives_no_answer_away(lab: Lab) -> None:
    page = (lab.folder / spec.README).read_text().partition("## What really happened")[0]
    answers = [
        c.rpartition(" ")[2] for task in lab.tasks for c in task.solution.commands if " lab answer " in c
    ]
    assert [answer for answer in answers if answer.startswith("KUBE-") and answer in page] == []
