"""Field paths, their lines, and the way over a socket."""

from __future__ import annotations

import json

import pytest

from testbed.errors import Mistake
from testbed.kube.objects import Manifest, Source
from testbed.kube.objects.source import child, joined, parent

SOURCE = Source("f.yaml", {"": 3, "spec": 4, "spec.ports": 5, "spec.ports[0]": 6, "spec.ports[0].port": 7})


@pytest.mark.parametrize(
    ("path", "key", "whole"),
    [
        ("", "spec", "spec"),
        ("spec", "ports", "spec.ports"),
        ("spec.ports", 0, "spec.ports[0]"),
        ("metadata.labels", "pod-template_hash", "metadata.labels.pod-template_hash"),
        ("metadata.labels", "a.b/c", "metadata.labels[a.b/c]"),
        ("", "a b", "[a b]"),
    ],
)
def test_child_and_parent(path: str, key: str | int, whole: str) -> None:
    assert child(path, key) == whole
    assert parent(whole) == path


def test_joined() -> None:
    assert joined(("spec", "ports", 1, "name")) == "spec.ports[1].name"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("spec.ports[0].port", 7),
        ("spec.ports[0].name", 6),
        ("spec.ports[1].port", 5),
        ("spec.selector[a.b/c]", 4),
        ("metadata.name", 3),
        ("", 3),
    ],
)
def test_a_mistake_is_on_the_nearest_line(path: str, line: int) -> None:
    assert SOURCE.mistake(path, "wrong", "right") == Mistake("f.yaml", line, path, "wrong", "right")


def test_without_lines_a_mistake_is_on_the_first() -> None:
    assert Source("f.yaml").mistake("spec", "wrong").line == 1


def test_source_round_trip() -> None:
    assert Source.from_json(json.loads(json.dumps(SOURCE.to_json()))) == SOURCE


def test_manifest_round_trip() -> None:
    manifest = Manifest({"kind": "Pod", "spec": {"containers": [{"name": "a"}]}}, SOURCE)
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest
