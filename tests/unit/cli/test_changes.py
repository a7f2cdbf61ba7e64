"""Commands that change a part of an object: label, annotate, patch, create, edit; and the list of kinds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.cli.main import main
from testbed.errors import TestbedError, UsageError
from testbed.kube.objects import KINDS
from tests.unit.cli.serving import Served, served
from tests.unit.kube.api.builders import pod, service

Capture = pytest.CaptureFixture[str]


JSON_PATCH = '[{"op": "add", "path": "/metadata/labels/new", "value": "1"}]'


@pytest.fixture
def api() -> Iterator[Served]:
    with served() as made:
        made.registry.apply([pod("web-1"), pod("web-2"), service("web")])
        yield made


def metadata(api: Served, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get("Pod", "default", name)["metadata"]
    return found


@pytest.mark.parametrize(
    ("words", "text", "labels"),
    [
        (["pod", "web-1", "tier=front"], "pod/web-1 labeled\n", {"app": "web", "tier": "front"}),
        (["pod/web-1", "example.com/a=b"], "pod/web-1 labeled\n", {"app": "web", "example.com/a": "b"}),
        (["pod/web-1", "app-"], "pod/web-1 unlabeled\n", {}),
        (["pod/web-1", "app=db", "--overwrite"], "pod/web-1 labeled\n", {"app": "db"}),
        (["pod/web-1", "app=web"], "pod/web-1 not labeled\n", {"app": "web"}),
    ],
)
def test_label(api: Served, capsys: Capture, words: list[str], text: str, labels: dict[str, str]) -> None:
    assert api.run("label", *words) == 0
    assert capsys.readouterr().out == text
    assert metadata(api, "web-1").get("labels", {}) == labels


def test_label_by_selector(api: Served, capsys: Capture) -> None:
    assert api.run("label", "pods", "-l", "app=web", "tier=front") == 0
    assert capsys.readouterr().out == "pod/web-1 labeled\npod/web-2 labeled\n"


def test_a_label_is_not_overwritten_by_accident(api: Served) -> None:
    with pytest.raises(TestbedError, match=r"'app' already has a value \(web\), and --overwrite is false"):
        api.run("label", "pod/web-1", "app=db")


def test_annotate(api: Served, capsys: Capture) -> None:
    assert api.run("annotate", "pod/web-1", "note=a b=c") == 0
    assert capsys.readouterr().out == "pod/web-1 annotated\n"
    assert metadata(api, "web-1")["annotations"]["note"] == "a b=c"


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        (["-p", '{"metadata": {"labels": {"new": "1"}}}'], "pod/web-1 patched\n"),
        (["-p", "metadata: {labels: {new: '1'}}", "--type=merge"], "pod/web-1 patched\n"),
        (["--type=json", "-p", JSON_PATCH], "pod/web-1 patched\n"),
    ],
)  # fmt: skip
def test_patch(api: Served, capsys: Capture, patch: list[str], text: str) -> None:
    assert api.run("patch", "pod", "web-1", *patch) == 0
    assert capsys.readouterr().out == text
    assert metadata(api, "web-1")["labels"] == {"app": "web", "new": "1"}
    assert api.run("patch", "pod", "web-1", *patch) == 0
    assert capsys.readouterr().out == "pod/web-1 patched (no change)\n"


def test_a_patch_from_a_file(api: Served, tmp_path: Path) -> None:
    file = tmp_path / "patch.yaml"
    file.write_text("spec: {sessionAffinity: ClientIP}")
    assert api.run("patch", "svc/web", "--patch-file", str(file)) == 0
    assert api.client.get("Service", "default", "web")["spec"]["sessionAffinity"] == "ClientIP"


def test_create(api: Served, capsys: Capture) -> None:
    assert api.run("create", "namespace", "blue") == 0
    assert api.run("create", "ns", "blue") == 1
    said = capsys.readouterr()
    assert said.out == "namespace/blue created\n"
    assert said.err == 'Error from server (AlreadyExists): namespaces "blue" already exists\n'


def test_create_from_a_file(api: Served, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "made.yaml"
    file.write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: '1'}}")
    assert api.run("create", "-f", str(file), "--dry-run") == 0
    assert api.run("create", "-f", str(file)) == 0
    assert capsys.readouterr().out == "configmap/a created (dry run)\nconfigmap/a created\n"


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["label", "pod/web-1"], "at least one KEY=VALUE"),
        (["label", "pods", "a=b"], "give names"),
        (["label", "pod/web-1", "a=b", "web-2"], "before the changes"),
        (["patch", "pod", "web-1", "-p", "["], "unable to parse"),
        (["patch", "pod", "web-1", "-p", "[]"], "is a mapping"),
        (["patch", "pod", "web-1", "-p", "{}", "--type", "json"], "is a list"),
        (["patch", "pod", "web-1", "--patch-file", "/none"], "unable to parse"),
        (["patch", "pods", "-p", "{}"], "give KIND NAME"),
        (["create", "pod", "x"], "only a namespace"),
        (["create"], "give -f FILE"),
        (["edit", "pods"], "give KIND NAME"),
    ],
)
def test_usage_is_told(api: Served, argv: list[str], complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        api.run(*argv)
    assert complaint in str(refused.value)


Editor = Callable[[str], None]


@pytest.fixture
def editor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Editor:
    """Makes $KUBE_EDITOR a program that does something with the `text` of its `file`, which lies in `tmp_path`."""

    def use(code: str) -> None:
        script = tmp_path / "editor.py"
        script.write_text(
            f"import pathlib, sys\nfile = pathlib.Path(sys.argv[1])\ntext = file.read_text()\n{code}\n"
        )
        monkeypatch.setenv("KUBE_EDITOR", f"{sys.executable} {script}")

    return use


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("file.write_text(text.replace('ty: None', 'ty: ClientIP'))", ("service/web edited\n", "ClientIP")),
        ("file.write_text('# nothing')", ("Edit cancelled, no changes made.\n", "None")),
        ("", ("Edit cancelled, no changes made.\n", "None")),
    ],
)
def test_edit(api: Served, capsys: Capture, editor: Editor, code: str, told: tuple[str, str]) -> None:
    editor(code)
    assert api.run("edit", "svc/web") == 0
    affinity = api.client.get("Service", "default", "web")["spec"]["sessionAffinity"]
    assert (capsys.readouterr().out, affinity) == told


def test_what_was_edited_is_not_lost(api: Served, editor: Editor) -> None:
    editor("file.write_text(text.replace('port: 80', 'port: 800000'))")
    with pytest.raises(TestbedError, match="service 'web' was not changed: .*your text is in ") as refused:
        api.run("edit", "svc/web")
    kept = Path(str(refused.value).rpartition(" ")[2])
    assert "port: 800000" in kept.read_text()
    kept.unlink()


def test_the_kinds_that_there_are(capsys: Capture) -> None:
    assert main(["api-resources"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
    assert {line.split()[-1] for line in lines[1:]} == set(KINDS)


@pytest.mark.parametrize(("namespaced", "word"), [("true", "pods"), ("false", "nodes")])
def test_some_of_the_kinds(capsys: Capture, namespaced: str, word: str) -> None:
    assert main(["api-resources", f"--namespaced={namespaced}", "-o", "name"]) == 0
    told = capsys.readouterr().out.split()
    assert (word in told, {"pods", "nodes"} <= set(told)) == (True, False)
