"""Whatever text comes in: manifests or ManifestErrors, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from testbed.errors import ManifestErrors
from testbed.kube.objects import KINDS, Manifest, defaulted, field_errors, load_text
from testbed.kube.objects.kinds import CLUSTER
from testbed.kube.objects.schema import _part

ALL = (*KINDS.values(), CLUSTER)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["10.0.0.1", "fd00::1", "None", "10.0.0.0/8", "a", "TCP", "ClientIP", "ExternalName", "Local"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def shaped(kind: str, place: tuple[str | int, ...], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that look like what the schema wants at a place: right fields, mostly right types."""
    part = _part(kind, place)
    if depth > 4 or not part:
        return VALUES
    if "properties" in part:
        names = sorted(set(part["properties"]) - {"status", "managedFields", "volumes", "affinity"})
        fields = {name: later(kind, (*place, name), depth + 1) for name in names}
        picked = st.lists(st.sampled_from(names), max_size=6, unique=True)
        full = picked.flatmap(lambda keys: st.fixed_dictionaries({key: fields[key] for key in keys}))
        return st.one_of(full, full, full, VALUES)
    if part.get("type") == "array":
        items = st.lists(later(kind, (*place, 0), depth + 1), max_size=3)
        return st.one_of(items, items, VALUES)
    if part.get("type") == "integer":
        return st.one_of(st.integers(-2, 70000), VALUES)
    return SCALARS


def later(kind: str, place: tuple[str | int, ...], depth: int) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: shaped(kind, place, depth))


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(ALL))
    spec: dict[str, Any] = {
        name: draw(shaped(kind.name, (name,)))
        for name in _part(kind.name, ())["properties"]
        if name not in ("apiVersion", "kind", "metadata", "status")
    }
    metadata = draw(st.one_of(st.just({"name": "a"}), shaped(kind.name, ("metadata",))))
    return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, **spec}


def loads_or_refuses(text: str) -> None:
    try:
        loaded = load_text(text, "f.yaml")
    except ManifestErrors as error:
        assert error.mistakes
        assert all(mistake.line >= 1 and mistake.message for mistake in error.mistakes)
        return
    for manifest in loaded.manifests:
        assert field_errors(manifest.body) == []
        assert defaulted(manifest.body) == manifest.body
        assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest


@given(st.text())
@example("\x85")
@example("a: \ud800")
@example("? ")
@example("%YAML 1.3\n---\na: 1")
@example("&a [*a]")
@example("kind: List\nitems: &a [*a]")
def test_any_text(text: str) -> None:
    loads_or_refuses(text)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@,?\n 10.<~", max_size=60))
def test_text_that_looks_like_yaml(text: str) -> None:
    loads_or_refuses(text)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.one_of(objects(), VALUES), max_size=3))
def test_text_that_looks_like_objects(bodies: list[Any]) -> None:
    loads_or_refuses(yaml.safe_dump_all(bodies, allow_unicode=True))
