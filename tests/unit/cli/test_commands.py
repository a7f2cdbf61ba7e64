"""Commands on objects, against the real API: what they print, where, and their exit codes, as kubectl's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.errors import ManifestErrors, TestbedError, UsageError
from tests.unit.cli.serving import Served, served
from tests.unit.kube.api.builders import manifest, pod, service
from tests.unit.kube.api.written import ENDED, set_state, write

Capture = pytest.CaptureFixture[str]

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "main", "image": "x:1"}]},
}
DEPLOYMENT = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture
def api() -> Iterator[Served]:
    """Two pods, one of which is ready; a Service and a Deployment that select both; a namespace of its own."""
    with served() as made:
        made.registry.apply(
            [
                pod("web-1"),
                pod("web-2"),
                pod("db-1", labels={"app": "db"}),
                service("web"),
                manifest("Deployment", "web", namespace="default", spec=DEPLOYMENT),
                manifest("Namespace", "blue"),
            ]
        )
        made.set_status("Pod", "web-2", READY)
        yield made


def words(text: str) -> list[list[str]]:
    """A table's lines as words, without the ages, which are some seconds."""
    return [[word for word in line.split() if not re.fullmatch(r"\d+s", word)] for line in text.splitlines()]


def test_get_prints_a_table(api: Served, capsys: Capture) -> None:
    assert api.run("get", "pods") == 0
    assert words(capsys.readouterr().out) == [
        ["NAME", "READY", "STATUS", "RESTARTS", "AGE"],
        ["db-1", "0/1", "Pending", "0"],
        ["web-1", "0/1", "Pending", "0"],
        ["web-2", "0/1", "Running", "0"],
    ]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["pods", "-l", "app=web"], ["web-1", "web-2"]),
        (["pods", "--field-selector", "status.phase=Running"], ["web-2"]),
        (["pods", "web-2", "db-1"], ["web-2", "db-1"]),
        (["pods", "-n", "default", "web-2"], ["web-2"]),
        (["pod/web-2", "pod/db-1"], ["web-2", "db-1"]),
        (["pods", "--sort-by", ".status.phase"], ["db-1", "web-1", "web-2"]),
        (["pods", "--sort-by={.metadata.labels.app}"], ["db-1", "web-1", "web-2"]),
        (["svc"], ["web"]),
    ],
)
def test_get_selects(api: Served, capsys: Capture, options: list[str], names: list[str]) -> None:
    assert api.run("get", "--no-headers", *options) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == names


def test_get_of_several_kinds_says_which(api: Served, capsys: Capture) -> None:
    assert api.run("get", "svc,deploy", "--no-headers") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:1] for line in lines] == [["service/web"], [], ["deployment.apps/web"]]


def test_get_everywhere_says_where(api: Served, capsys: Capture) -> None:
    assert api.run("get", "svc", "-A") == 0
    assert [line[:2] for line in words(capsys.readouterr().out)] == [
        ["NAMESPACE", "NAME"],
        ["default", "web"],
    ]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["get", "pods", "-n", "blue"], "No resources found in blue namespace.\n"),
        (["get", "rs", "-A"], "No resources found\n"),
        (["get", "cm", "-A"], "No resources found\n"),
        (["describe", "pods", "-n", "blue"], "No resources found in blue namespace.\n"),
        (["delete", "pods", "--all", "-n", "blue"], "No resources found\n"),
    ],
)
def test_where_there_is_nothing(api: Served, capsys: Capture, argv: list[str], told: str) -> None:
    assert api.run(*argv) == 0
    assert tuple(capsys.readouterr()) == ("", told)


@pytest.mark.parametrize("verb", ["get", "describe", "delete", "scale", "logs"])
def test_a_name_that_is_not_there(api: Served, capsys: Capture, verb: str) -> None:
    more = ["--replicas", "1"] if verb == "scale" else []
    assert api.run(verb, "deploy/none", *more) == 1
    said = capsys.readouterr()
    assert (said.out, 'Error from server (NotFound): deployments.apps "none" not found' in said.err) == (
        "",
        True,
    )


def test_what_is_there_is_printed_besides(api: Served, capsys: Capture) -> None:
    assert api.run("get", "pods", "web-1", "none", "web-2", "-o", "name") == 1
    said = capsys.readouterr()
    assert said.out == "pod/web-1\npod/web-2\n"
    assert said.err == 'Error from server (NotFound): pods "none" not found\n'


@pytest.mark.parametrize("argv", [["get", "pod", "none"], ["delete", "pod", "none"]])
def test_absence_can_be_ignored(api: Served, capsys: Capture, argv: list[str]) -> None:
    assert api.run(*argv, "--ignore-not-found") == 0
    assert tuple(capsys.readouterr()) == ("", "")


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ("name", "pod/db-1\npod/web-1\npod/web-2\n"),
        ("jsonpath={.items[*].metadata.name}", "db-1 web-1 web-2\n"),
        ('jsonpath={range .items[*]}{.metadata.name}{"\\n"}{end}', "db-1\nweb-1\nweb-2\n\n"),
    ],
)
def test_get_in_other_forms(api: Served, capsys: Capture, output: str, text: str) -> None:
    assert api.run("get", "pods", "-o", output) == 0
    assert capsys.readouterr().out == text


@pytest.mark.parametrize("output", ["json", "yaml"])
@pytest.mark.parametrize(
    ("argv", "kind"), [(["svc"], "List"), (["svc", "web"], "Service"), (["svc/web"], "Service")]
)
def test_whole_objects(api: Served, capsys: Capture, output: str, argv: list[str], kind: str) -> None:
    assert api.run("get", *argv, "-o", output) == 0
    assert yaml.safe_load(capsys.readouterr().out)["kind"] == kind


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["get"], "give KIND"),
        (["get", "widgets"], "widgets"),
        (["get", "pods", "-o", "custom"], "unable to match a printer"),
        (["get", "pods", "x", "-l", "a=b"], "name cannot be provided when a selector is specified"),
        (["get", "pods", "x", "-A"], "cannot be retrieved by name across all namespaces"),
        (["get", "pods", "..%2fnodes"], "invalid resource name"),
        (["get", "pods/../nodes"], "pods/.."),
        (["get", "pods", "-n", "../../.."], "invalid namespace"),
        (["get", "pods,svc", "-w"], "single resource type"),
        (["get", "pods", "-o", "jsonpath={.a"], "jsonpath"),
        (["describe"], "give KIND"),
        (["delete", "pods"], "no name was specified"),
        (["delete", "pods", "web-1", "--all"], "--all"),
        (["delete", "pod/web-1", "--grace-period=-1"], "--grace-period"),
        (["scale", "svc/web", "--replicas=1"], "have no number of replicas"),
        (["scale", "deploy/web", "--replicas=-1"], "must be 0 or more"),
        (["logs"], "give POD"),
        (["logs", "web-1", "--since=1s", "--since-time=2026-01-02T01:00:01Z"], "at most one of"),
        (["logs", "node/node1"], "has no selector"),
        (["rollout", "status", "svc/web"], "no rollouts of services"),
    ],
)
def test_usage_is_told(api: Served, argv: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        api.run(*argv)
    assert complaint in str(refused.value)


def test_delete_says_what_and_waits(api: Served, capsys: Capture) -> None:
    assert api.run("delete", "svc", "web") == 0
    assert capsys.readouterr().out == 'service "web" deleted from default namespace\n'
    assert api.client.list("Service").items == []


def test_delete_by_selector(api: Served, capsys: Capture) -> None:
    assert api.run("delete", "pods", "-l", "app=web", "-o", "name") == 0
    assert capsys.readouterr().out == "pod/web-1\npod/web-2\n"
    assert [obj["metadata"]["name"] for obj in api.client.list("Pod").items] == ["db-1"]


def test_delete_waits_no_longer_than_that(api: Served) -> None:
    api.store.mutate(
        "Pod", "default", "web-1", lambda pod: {**pod, "spec": {**pod["spec"], "nodeName": "node1"}}
    )
    with pytest.raises(TestbedError, match="not gone after 0.1 s: pods/web-1"):
        api.run("delete", "pod", "web-1", "--timeout", "0.1")


@pytest.mark.parametrize(("mode", "suffix"), [("client", " (dry run)"), ("server", " (server dry run)")])
def test_a_dry_run_deletes_nothing(api: Served, capsys: Capture, mode: str, suffix: str) -> None:
    before = api.store.version
    assert api.run("delete", "svc/web", f"--dry-run={mode}") == 0
    assert capsys.readouterr().out == f'service "web" deleted{suffix} from default namespace\n'
    assert api.store.version == before


def test_force_warns(api: Served, capsys: Capture) -> None:
    assert api.run("delete", "pod", "web-1", "--force") == 0
    said = capsys.readouterr()
    assert said.out == 'pod "web-1" force deleted from default namespace\n'
    assert said.err.startswith("Warning: Immediate deletion does not wait")


def written(folder: Path, *bodies: dict[str, Any]) -> str:
    """A file with manifests."""
    file = folder / "made.yaml"
    file.write_text(yaml.safe_dump_all(bodies))
    return str(file)


def config(name: str, namespace: str = "", **data: str) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_apply_says_what_became_of_each(api: Served, capsys: Capture, tmp_path: Path) -> None:
    file = written(tmp_path, config("a", x="1"), config("b", x="1"))
    assert api.run("apply", "-f", file) == 0
    assert capsys.readouterr().out == "configmap/a created\nconfigmap/b created\n"
    assert api.run("apply", "-f", written(tmp_path, config("a", x="1"), config("b", x="2"))) == 0
    assert capsys.readouterr().out == "configmap/a unchanged\nconfigmap/b configured\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--dry-run"], "configmap/a created (dry run)\n"),
        (["--dry-run=server"], "configmap/a created (server dry run)\n"),
        (["--dry-run=client", "-o", "name"], "configmap/a\n"),
    ],
)
def test_apply_without_doing_it(
    api: Served, capsys: Capture, tmp_path: Path, options: list[str], text: str
) -> None:
    assert api.run("apply", "-f", written(tmp_path, config("a")), *options) == 0
    assert capsys.readouterr().out == text
    assert api.client.list("ConfigMap").items == []


def test_apply_puts_objects_into_a_namespace(api: Served, tmp_path: Path) -> None:
    assert api.run("apply", "-n", "blue", "-f", written(tmp_path, config("a"), config("b", "blue"))) == 0
    assert [obj["metadata"]["namespace"] for obj in api.client.list("ConfigMap").items] == ["blue", "blue"]


def test_apply_moves_no_object_from_its_own_namespace(api: Served, tmp_path: Path) -> None:
    file = written(tmp_path, config("a"), config("b", "default"))
    with pytest.raises(ManifestErrors) as refused:
        api.run("apply", "-n", "blue", "-f", file)
    (mistake,) = refused.value.mistakes
    assert (mistake.file, mistake.path) == (file, "metadata.namespace")
    assert "does not match the namespace 'blue'" in mistake.message
    assert api.client.list("ConfigMap").items == []


def test_what_a_file_made_it_can_delete(api: Served, capsys: Capture, tmp_path: Path) -> None:
    file = written(tmp_path, config("a"), config("b", "blue"))
    api.run("apply", "-f", file)
    assert api.run("get", "-f", file, "-o", "name") == 0
    assert api.run("delete", "-f", file) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "configmap/a",
        "configmap/b",
        'configmap "b" deleted from blue namespace',
        'configmap "a" deleted from default namespace',
    ]


def test_scale(api: Served, capsys: Capture) -> None:
    assert api.run("scale", "deploy/web", "--replicas=5", "--current-replicas", "2") == 0
    assert capsys.readouterr().out == "deployment.apps/web scaled\n"
    assert api.client.get("Deployment", "default", "web")["spec"]["replicas"] == 5


def test_scale_from_another_number_is_refused(api: Served) -> None:
    with pytest.raises(TestbedError, match="Expected replicas to be 3, was 2"):
        api.run("scale", "deploy/web", "--replicas=5", "--current-replicas", "3")


UPDATED = {"updatedReplicas": 2, "replicas": 2}


def log(api: Served, pod: str, text: str) -> None:
    set_state(api.store, pod)
    write(api.logs, text, pod)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["web-1"], "one\ntwo\n"),
        (["pod/web-1", "--tail=1"], "two\n"),
        (["web-1", "main"], "one\ntwo\n"),
        (["web-1", "--limit-bytes=5"], "one\nt"),
        (["web-1", "--since-time=2026-01-02T01:00:01Z"], ""),
        (["web-1", "--timestamps", "--tail=1"], "2026-01-02T01:00:00.000000000Z two\n"),
        (["web-1", "-c", "main", "--tail=-1"], "one\ntwo\n"),
        (["svc/web"], "ready\n"),
        (["deploy/web", "--all-pods"], "[pod/web-2/main] ready\n[pod/web-1/main] one\n[pod/web-1/main] two\n"),
        (["-l", "app=web", "--prefix"], "[pod/web-2/main] ready\n[pod/web-1/main] one\n[pod/web-1/main] two\n"),
        (["-l", "app=web", "--tail=1"], "ready\ntwo\n"),
        (["web-1", "--all-containers"], "one\ntwo\n"),
        (["-l", "app=none"], ""),
    ],
)  # fmt: skip
def test_logs(api: Served, capsys: Capture, argv: list[str], text: str) -> None:
    log(api, "web-1", "one\ntwo\n")
    log(api, "web-2", "ready\n")
    assert api.run("logs", *argv) == 0
    assert capsys.readouterr().out == text


def test_logs_of_several_pods_say_which(api: Served, capsys: Capture) -> None:
    log(api, "web-2", "ready\n")
    assert api.run("logs", "deploy/web") == 0
    assert capsys.readouterr().err == "Found 2 pods, using pod/web-2\n"


def test_logs_of_several_are_followed_to_their_ends(api: Served, capsys: Capture) -> None:
    for name in ("web-1", "web-2"):
        log(api, name, f"{name} ends\n")
        set_state(api.store, name, ENDED)
    assert api.run("logs", "-f", "-l", "app=web") == 0
    assert sorted(capsys.readouterr().out.splitlines()) == ["web-1 ends", "web-2 ends"]


@pytest.mark.parametrize(
    ("status", "text", "done"),
    [
        ({}, "Waiting for deployment spec update to be observed...", False),
        ({"updatedReplicas": 1}, "1 out of 2 new replicas have been updated...", False),
        ({"updatedReplicas": 2, "replicas": 3}, "1 old replicas are pending termination...", False),
        ({**UPDATED, "availableReplicas": 1}, "1 of 2 updated replicas are available...", False),
        ({**UPDATED, "availableReplicas": 2}, 'deployment "web" successfully rolled out', True),
    ],
)  # fmt: skip
def test_rollout_status(api: Served, capsys: Capture, status: dict[str, Any], text: str, done: bool) -> None:
    seen = {"observedGeneration": 1} if status else {}
    api.set_status("Deployment", "web", {**status, **seen})
    assert api.run("rollout", "status", "deploy/web", f"--watch={'true' if done else 'false'}") == 0
    assert text in capsys.readouterr().out


def test_rollout_restart_changes_the_template(api: Served, capsys: Capture) -> None:
    assert api.run("rollout", "restart", "deploy/web") == 0
    assert capsys.readouterr().out == "deployment.apps/web restarted\n"
    template = api.client.get("Deployment", "default", "web")["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]


def test_rollout_that_does_not_end(api: Served) -> None:
    with pytest.raises(TestbedError, match="timed out waiting for the condition"):
        api.run("rollout", "status", "deploy/web", "--timeout", "0.1")
