"""Input from the command line: every mistake at once and nothing changed; files, folders, lists, standard input."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.net import manifests as m
from tests.net.command import Command, command, deployed

BAD = """apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - {port: 70000}
  sessionAffinity: Sometimes
---
apiVersion: v1
kind: Pod
metadata:
  name: Web_1
spec:
  containers: []
"""
LINES = {"spec.ports[0].port": 8, "spec.sessionAffinity": 9, "metadata.name": 14, "spec.containers": 16}
KINDS = ("Namespace", "Node", "Pod", "Service", "EndpointSlice", "Deployment")


@pytest.fixture
def lab() -> Iterator[Command]:
    with deployed("input", manifests=m.text(m.cluster(), m.deployment(1), m.service())) as made:
        yield made


def versions(lab: Command) -> dict[str, list[str]]:
    """The resourceVersion of every object."""
    with lab.client() as client:
        found = {kind: client.kube.list(kind).items for kind in KINDS}
    return {kind: [obj["metadata"]["resourceVersion"] for obj in objects] for kind, objects in found.items()}


def told_lines(stderr: str, file: str) -> dict[str, int]:
    """The line of every field that is complained about."""
    found = {}
    for line in stderr.removeprefix("testbed: ").splitlines():
        if line.startswith(f"{file}:"):
            _, number, path, _ = line.removeprefix(file).split(":", 3)
            found[path.strip()] = int(number)
    return found


@pytest.mark.parametrize("verb", ["deploy", "apply"])
def test_every_mistake_is_told_with_file_line_and_field(lab: Command, verb: str) -> None:
    file = lab.person.home / "bad.yaml"
    file.write_text(BAD)
    done = lab.run(verb, "-f", str(file))
    assert done.returncode == 2
    assert told_lines(done.stderr, str(file)) == LINES
    assert "hint: " in done.stderr


@pytest.mark.parametrize("verb", ["deploy", "apply"])
def test_what_the_cluster_refuses_is_told_together_with_what_is_wrong_in_itself(
    lab: Command, verb: str
) -> None:
    refused = m.text(m.pod("lost", spec={"nodeName": "node99"}), m.service("third", clusterIP="10.97.0.1"))
    done = lab.run(verb, "-f", "-", stdin=f"{BAD}---\n{refused}")
    assert done.returncode == 2
    assert {*LINES, "spec.nodeName", "spec.clusterIP"} <= told_lines(done.stderr, "-").keys()


def test_a_bad_deploy_starts_nothing() -> None:
    with command("bad") as lab:
        done = lab.run("deploy", "--topology", "one-node", "-f", "-", stdin=BAD)
        assert done.returncode == 2
        assert told_lines(done.stderr, "-") == LINES
        assert not lab.folder.exists()


def test_a_deploy_that_the_cluster_refuses_leaves_nothing() -> None:
    """What only the running cluster can tell: an address outside of its service range."""
    with command("bad") as lab:
        outside = m.text(m.cluster(), m.service(clusterIP="10.97.0.1"))
        done = lab.run("deploy", "-f", "-", stdin=outside)
        assert done.returncode == 2
        assert "spec.clusterIP" in done.stderr
        assert not lab.folder.exists()


def test_a_bad_apply_changes_nothing(lab: Command) -> None:
    before = versions(lab)
    good = m.text(m.deployment(5), m.service("other", clusterIP="10.96.0.11"))
    assert lab.run("apply", "-f", "-", stdin=f"{good}---\n{BAD}").returncode == 2
    assert versions(lab) == before


def test_an_apply_that_the_cluster_refuses_changes_nothing(lab: Command) -> None:
    before = versions(lab)
    taken = m.text(m.deployment(5), m.service("other"), m.service("third", clusterIP="10.97.0.1"))
    done = lab.run("apply", "-f", "-", stdin=taken)
    assert done.returncode == 2
    assert done.stderr.count("spec.clusterIP") == 2
    assert versions(lab) == before


def test_the_cluster_itself_cannot_be_applied(lab: Command) -> None:
    done = lab.run("apply", "-f", "-", stdin=m.text(m.cluster(nodes=3)))
    assert done.returncode == 2
    assert "a Cluster document cannot be changed while it runs" in done.stderr


def test_applied_again_nothing_changes(lab: Command) -> None:
    before = versions(lab)
    told = lab.ok("apply", "-f", "-", stdin=m.text(m.deployment(1), m.service()))
    assert told.splitlines() == ["deployment.apps/web unchanged", "service/web unchanged"]
    assert versions(lab) == before


def test_created_changed_and_unchanged_are_told_apart(lab: Command) -> None:
    new = m.service("new", clusterIP="10.96.0.11")
    told = lab.ok("apply", "-f", "-", stdin=m.text(m.deployment(3), m.service(), new))
    assert told.splitlines() == [
        "deployment.apps/web configured",
        "service/web unchanged",
        "service/new created",
    ]


def test_what_get_prints_can_be_applied(lab: Command) -> None:
    """The first time all of it becomes what was applied last, as with kubectl; nothing else changes."""
    before, printed = lab.get("services"), lab.ok("get", "services", "-o", "yaml")
    assert lab.ok("apply", "-f", "-", stdin=printed) == "service/web configured\n"
    assert [obj["spec"] for obj in lab.get("services")] == [obj["spec"] for obj in before]
    assert lab.ok("apply", "-f", "-", stdin=printed) == "service/web unchanged\n"


def test_a_list_is_its_items(lab: Command) -> None:
    items = [m.service(f"svc-{number}", clusterIP=f"10.96.1.{number}") for number in (1, 2)]
    told = lab.ok("apply", "-f", "-", stdin=m.text(m.many(items)))
    assert told.splitlines() == ["service/svc-1 created", "service/svc-2 created"]


def test_json_is_yaml(lab: Command) -> None:
    told = lab.ok("apply", "-f", "-", stdin=json.dumps(m.service("json", clusterIP="10.96.1.1")))
    assert told == "service/json created\n"


def test_folders_and_files_come_together(lab: Command) -> None:
    folder = lab.person.home / "manifests"
    folder.mkdir()
    (folder / "b.yaml").write_text(m.text(m.service("b", clusterIP="10.96.1.2")))
    (folder / "a.yml").write_text(m.text(m.service("a", clusterIP="10.96.1.1"), m.pod("single")))
    (folder / "notes.txt").write_text("no manifest: [")
    (lab.person.home / "c.yaml").write_text(m.text(m.service("c", clusterIP="10.96.1.3")))
    told = lab.ok("apply", "-f", str(folder), "-f", str(lab.person.home / "c.yaml"))
    assert sorted(told.splitlines()) == [
        "pod/single created", "service/a created", "service/b created", "service/c created"
    ]  # fmt: skip


def test_an_unknown_kind_is_a_warning_with_a_count(lab: Command) -> None:
    foreign = [
        {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": f"w{n}"}} for n in (1, 2)
    ]
    done = lab.run("apply", "-f", "-", stdin=m.text(*foreign, m.service("known", clusterIP="10.96.1.1")))
    assert (done.returncode, done.stdout) == (0, "service/known created\n")
    assert "warning: " in done.stderr
    assert "Widget" in done.stderr
    assert "2" in done.stderr


def test_a_selector_that_matches_nothing_is_a_warning(lab: Command) -> None:
    done = lab.run("apply", "-f", "-", stdin=m.text(m.service("lone", {"app": "wbe"}, clusterIP="10.96.1.1")))
    assert (done.returncode, done.stdout) == (0, "service/lone created\n")
    assert (
        done.stderr
        == "warning: Service default/lone: selector app=wbe matches no pod; did you mean app=web?\n"
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("apply", "-f", "/no/such/file.yaml"), "/no/such/file.yaml"),
        (("deploy", "--topology", "hundred-nodes"), "no topology 'hundred-nodes'; there are: one-node"),
        (("get", "widgets"), "widgets"),
        (("delete", "pod"), "delete: resource(s) were provided, but no name was specified"),
        (("exec", "node1"), "exec: give a target and a command"),
        (
            ("exec", "node/node9", "--", "true"),
            "exec: no 'node/node9'; there are node1, client1 and pod/NAME",
        ),
        (("exec", "pod/", "--", "true"), "'pod/': give KIND/NAME"),
    ],
)
def test_wrong_usage_is_exit_code_2(lab: Command, words: tuple[str, ...], complaint: str) -> None:
    done = lab.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("get", "pod", "nobody"),
        ("delete", "pod", "nobody"),
        ("exec", "pod/nobody", "--", "true"),
        ("exec", "nobody", "--", "true"),
        ("exec", "deploy/nobody", "--", "true"),
        ("logs", "nobody"),
        ("describe", "pod", "nobody"),
        ("scale", "deploy/nobody", "--replicas", "1"),
    ],
)
def test_what_is_not_there_is_exit_code_1(lab: Command, words: tuple[str, ...]) -> None:
    done = lab.run(*words)
    assert done.returncode == 1
    assert "nobody" in done.stderr
