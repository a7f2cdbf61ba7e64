"""Files, directories, standard input; and what is wrong across documents."""

from __future__ import annotations

import gc
import io
from pathlib import Path

import pytest

from testbed.errors import ManifestErrors
from testbed.kube.objects import load, load_text, read
from testbed.kube.objects.load import MAX_CHARACTERS

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\nspec: {{ports: [{{port: 80}}]}}\n"
DUMP = Path(__file__).parents[3] / "data" / "kube-proxy-dumps" / "objects.json"


def names(paths: list[str], stdin: str | None = None) -> list[str]:
    loaded = load(paths, None if stdin is None else io.StringIO(stdin))
    return [manifest.body["metadata"]["name"] for manifest in loaded.manifests]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """b.yaml, a/c.yml, a/d.json, and files that are no manifests."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b.yaml").write_text(SERVICE.format("b"))
    (tmp_path / "a" / "c.yml").write_text(SERVICE.format("c") + "---\n" + SERVICE.format("c2"))
    (tmp_path / "a" / "d.json").write_text(
        '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "d"}, "spec": {"ports": [{"port": 80}]}}'
    )
    (tmp_path / "README.md").write_text("not YAML: [")
    return tmp_path


def test_a_directory_is_read_in_order(tree: Path) -> None:
    assert names([str(tree)]) == ["c", "c2", "d", "b"]


def test_files_are_read_in_the_order_given(tree: Path) -> None:
    assert names([str(tree / "b.yaml"), str(tree / "a" / "d.json")]) == ["b", "d"]


def test_standard_input(tree: Path) -> None:
    assert names(["-", str(tree / "b.yaml")], SERVICE.format("in")) == ["in", "b"]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SERVICE.format("a").encode())
    assert names([str(file)]) == ["a"]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "nothing to read"),
        (["{}/none.yaml"], "{}/none.yaml: No such file or directory"),
        (["{}/empty"], "{}/empty: no *.yaml, *.yml or *.json file in this directory"),
        (["{}/empty.yaml"], "no objects in {}/empty.yaml"),
        (["-"], "there is no standard input here"),
        (["{}/latin1.yaml"], "{}/latin1.yaml: 'utf-8' codec can't decode byte 0xe4 in position 3"),
        (["{}/\0"], "embedded null byte"),
    ],
)
def test_nothing_to_read(tmp_path: Path, paths: list[str], message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "latin1.yaml").write_bytes(b"a: \xe4\n")
    with pytest.raises(ManifestErrors) as caught:
        load([path.format(tmp_path) for path in paths])
    (mistake,) = caught.value.mistakes
    assert message.format(tmp_path) in mistake.message


def test_mistakes_of_all_files_come_together(tree: Path) -> None:
    (tree / "b.yaml").write_text(SERVICE.format("B"))
    (tree / "a" / "c.yml").write_text("kind: [")
    with pytest.raises(ManifestErrors) as caught:
        load([str(tree), str(tree / "none")])
    files = [mistake.file.removeprefix(f"{tree}/") for mistake in caught.value.mistakes]
    assert files == ["", "a/c.yml", "b.yaml"]


def test_the_same_file_twice_is_the_same_object_twice(tree: Path) -> None:
    file = str(tree / "b.yaml")
    with pytest.raises(ManifestErrors, match=f'Service "default/b" is at {file}:3 already'):
        load([file, file])


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        (SERVICE.format("a"), ()),
        (
            "---\nkind: Ingress\napiVersion: networking.k8s.io/v1\n" * 2,
            ("kind Ingress (networking.k8s.io/v1) is not known here: 2 objects are ignored",),
        ),
        (
            "kind: Servce\nspec: [no, shape, at, all]\n",
            ("kind Servce (no apiVersion) is not known here: 1 object is ignored; did you mean Service?",),
        ),
        (
            "kind: cluster\napiVersion: v1\n---\nkind: B\napiVersion: v1\n",
            (
                "kind B (v1) is not known here: 1 object is ignored",
                "kind cluster (v1) is not known here: 1 object is ignored; did you mean Cluster?",
            ),
        ),
    ],
)
def test_unknown_kinds_are_counted(text: str, warnings: tuple[str, ...]) -> None:
    assert load_text(text, "f.yaml").warnings == warnings


def test_what_another_server_has_set_is_left_out() -> None:
    metadata = "{name: a, uid: u, resourceVersion: '7', generation: 2, managedFields: [{}], labels: {a: b}}"
    text = SERVICE.format("a").replace("{name: a}", metadata)
    (manifest,) = load_text(text, "f.yaml").manifests
    assert manifest.body["metadata"] == {"name": "a", "namespace": "default", "labels": {"a": "b"}}


def test_manifests_are_defaulted_and_know_their_lines() -> None:
    (manifest,) = load_text("# first\n" + SERVICE.format("a"), "f.yaml").manifests
    assert manifest.body["spec"]["type"] == "ClusterIP"
    assert str(manifest.source.mistake("spec.type", "no")) == "f.yaml:5: spec.type: no"


def test_the_collector_runs_again_after_a_mistake() -> None:
    with pytest.raises(ManifestErrors):
        load_text("[", "f.yaml")
    assert gc.isenabled()


def test_objects_of_a_real_cluster() -> None:
    loaded = load([str(DUMP)])
    assert len(loaded.manifests) == 35
    assert loaded.warnings == ()


GOOD = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n"
BAD_SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 70000}]}\n"
BAD_NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: Team_1}\n"


@pytest.mark.parametrize(
    ("texts", "sound"),
    [
        ((GOOD, BAD_SERVICE), ["team"]),
        ((GOOD, GOOD), ["team"]),
        ((GOOD, BAD_NAMESPACE), []),
        ((GOOD, "kind: ["), []),
    ],
)
def test_beside_mistakes_there_is_what_a_cluster_can_judge(texts: tuple[str, ...], sound: list[str]) -> None:
    loaded = read(["-"], io.StringIO("---\n".join(texts)))
    assert [manifest.body["metadata"]["name"] for manifest in loaded.manifests] == sound
    assert loaded.mistakes


def test_a_text_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(ManifestErrors, match="/dev/zero:1: longer than 32 MiB"):
        load(["/dev/zero"])


def test_standard_input_has_the_same_limit() -> None:
    with pytest.raises(ManifestErrors, match="-:1: longer than 32 MiB"):
        load(["-"], io.StringIO("#" * (MAX_CHARACTERS + 1)))
