"""PATCH: the three kinds of patch, what they refuse, and that a patched object is admitted as any other."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.api.rest.patches import merge
from tests.unit.kube.api.rest.asking import (
    APPS,
    DEFAULT,
    Asked,
    asked,
    config_map,
    deployment,
    service,
    value,
)

MAP = f"{DEFAULT}/configmaps/c"


def with_map() -> Asked:
    made = asked()
    made.post(f"{DEFAULT}/configmaps", config_map())
    return made


@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7386(target: Any, patch: Any, expected: Any) -> None:
    assert merge(target, patch) == expected


def test_merge_patch() -> None:
    assert with_map().patch(MAP, {"data": {"a": None, "x": "y"}})["data"] == {"x": "y"}


def test_strategic_merge_patch() -> None:
    made = asked()
    made.post(f"{DEFAULT}/services", service(ports=[{"name": "a", "port": 80}, {"name": "b", "port": 81}]))
    patch = {"spec": {"ports": [{"port": 81, "targetPort": 8081}]}}
    found = made.patch(f"{DEFAULT}/services/web", patch, "strategic-merge")["spec"]["ports"]
    assert [(port["name"], port["targetPort"]) for port in found] == [("a", 80), ("b", 8081)]


@pytest.mark.parametrize(
    ("operations", "data"),
    [
        ([{"op": "add", "path": "/data/x", "value": "y"}], {"a": "b", "x": "y"}),
        ([{"op": "remove", "path": "/data/a"}, {"op": "add", "path": "/data/b", "value": "1"}], {"b": "1"}),
        ([{"op": "replace", "path": "/data/a", "value": "z"}], {"a": "z"}),
        ([{"op": "move", "from": "/data/a", "path": "/data/c"}], {"c": "b"}),
        ([{"op": "copy", "from": "/data/a", "path": "/data/c"}], {"a": "b", "c": "b"}),
        ([{"op": "test", "path": "/data/a", "value": "b"}], {"a": "b"}),
        ([{"op": "add", "path": "/data/x~1y~0z", "value": "1"}], {"a": "b", "x/y~z": "1"}),
        ([], {"a": "b"}),
    ],
)
def test_json_patch(operations: list[Any], data: dict[str, str]) -> None:
    if "x/y~z" in data:  # no valid key of a ConfigMap, so an annotation takes its place
        pointer = [{**operations[0], "path": "/metadata/annotations"}]
        found = with_map().patch(MAP, [{**pointer[0], "value": {"x/y": "1"}}], "json")
        assert found["metadata"]["annotations"] == {"x/y": "1"}
        return
    assert with_map().patch(MAP, operations, "json")["data"] == data


def test_an_escaped_pointer() -> None:
    made = with_map()
    made.patch(MAP, {"metadata": {"annotations": {"x/y": "1"}}})
    found = made.patch(MAP, [{"op": "replace", "path": "/metadata/annotations/x~1y", "value": "2"}], "json")
    assert found["metadata"]["annotations"] == {"x/y": "2"}


@pytest.mark.parametrize(
    ("patch", "kind", "code"),
    [
        ([{"op": "test", "path": "/data/a", "value": "other"}], "json", 422),
        ([{"op": "remove", "path": "/data/none"}], "json", 422),
        ([{"op": "explode", "path": "/data"}], "json", 422),
        ([{"op": "add", "path": "data", "value": 1}], "json", 422),
        ([{"op": "copy", "path": "/x"}], "json", 422),
        ([{"op": "copy", "from": 7, "path": "/x"}], "json", 422),
        ([7], "json", 422),
        ([{}], "json", 422),
        ([{"op": "add", "path": "", "value": 7}], "json", 400),
        ([{"op": "add", "path": "/metadata/name", "value": "other"}], "json", 400),
        ([{"op": "add", "path": "/kind", "value": "Pod"}], "json", 400),
        ([{"op": "add", "path": "/metadata", "value": "x"}], "json", 400),
        ([{"op": "copy", "from": "/data", "path": f"/data/{n}"} for n in range(30)], "json", 413),
        ([{"op": "test", "path": "", "value": 1}] * 10_001, "json", 413),
        ({}, "json", 400),
        ([], "merge", 400),
        ("x", "merge", 400),
        ({"data": "x"}, "merge", 400),
        ({"data": {"not a key": "x"}}, "merge", 422),
        ({"metadata": {"resourceVersion": "1"}}, "merge", 409),
        ([], "strategic-merge", 400),
        ({"data": {"$patch": "explode"}}, "strategic-merge", 400),
    ],
)
def test_refused(patch: Any, kind: str, code: int) -> None:
    made = with_map()
    version = made.store.version
    assert made.patch(MAP, patch, kind, code)["kind"] == "Status"
    assert made.store.version == version


@pytest.mark.parametrize("content_type", ["", "application/json", "application/patch", "text/plain"])
def test_a_patch_of_no_kind(content_type: str) -> None:
    told = value(with_map().ask("PATCH", MAP, {}, content_type=content_type), 415)
    assert told["reason"] == "UnsupportedMediaType"


def test_a_patch_of_nothing() -> None:
    assert asked().patch(MAP, {}, code=404)["reason"] == "NotFound"


def test_unknown_fields_of_a_patch() -> None:
    made = with_map()
    told = value(
        made.ask(
            "PATCH",
            f"{MAP}?fieldValidation=Strict",
            {"colour": 1},
            content_type="application/merge-patch+json",
        ),
        400,
    )
    assert 'unknown field "colour"' in told["message"]


def test_an_immutable_field_stays() -> None:
    made = asked()
    made.post(f"{APPS}/deployments", deployment())
    patch = {
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}},
        }
    }
    assert "field is immutable" in made.patch(f"{APPS}/deployments/web", patch, code=422)["message"]


# ── scale ────────────────────────────────────────────────────────────────────────────────────────────────

SCALE = f"{APPS}/deployments/web/scale"


def with_deployment() -> Asked:
    made = asked()
    made.post(f"{APPS}/deployments", deployment())
    return made


def test_a_scale() -> None:
    found = with_deployment().get(SCALE)
    assert (found["apiVersion"], found["kind"], found["metadata"]["name"]) == (
        "autoscaling/v1",
        "Scale",
        "web",
    )
    assert (found["spec"], found["status"]) == ({"replicas": 3}, {"replicas": 0, "selector": "app=web"})


def test_put_a_scale() -> None:
    made = with_deployment()
    scale = made.get(SCALE)
    scale["spec"]["replicas"] = 5
    assert value(made.ask("PUT", SCALE, scale), 200)["spec"] == {"replicas": 5}
    assert made.get(f"{APPS}/deployments/web")["spec"]["replicas"] == 5


@pytest.mark.parametrize("kind", ["merge", "strategic-merge"])
def test_patch_a_scale(kind: str) -> None:
    assert with_deployment().patch(SCALE, {"spec": {"replicas": 1}}, kind)["spec"] == {"replicas": 1}


def test_patch_a_scale_by_json_patch() -> None:
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    assert with_deployment().patch(SCALE, operations, "json")["spec"] == {"replicas": 2}


@pytest.mark.parametrize(
    ("scale", "code"),
    [
        ({"spec": {"replicas": -1}}, 422),
        ({"spec": {"replicas": "2"}}, 400),
        ({"spec": {"replicas": True}}, 400),
        ({"spec": 7}, 400),
        ({}, 400),
        ({"metadata": {"name": "other"}, "spec": {"replicas": 1}}, 400),
        ({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 1}}, 409),
    ],
)
def test_a_scale_that_makes_no_sense(scale: Any, code: int) -> None:
    assert with_deployment().ask("PUT", SCALE, scale).code == code
