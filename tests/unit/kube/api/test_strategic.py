"""Strategic merge patches: lists by their keys, and the directives (apimachinery strategicpatch)."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.errors import UsageError
from testbed.kube.api.strategic import strategic_merge


def ports(*found: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"ports": list(found)}}


A, B = {"port": 80, "name": "a"}, {"port": 81, "name": "b"}
TOLERATIONS = {"spec": {"tolerations": [{"key": "a"}]}}
CONTAINERS = {
    "spec": {"containers": [{"name": "a", "image": "x", "env": [{"name": "E", "value": "1"}]}, {"name": "b"}]}
}


@pytest.mark.parametrize(
    ("kind", "current", "patch", "expected"),
    [
        pytest.param("Service", {"spec": {"a": 1}}, {"spec": {"x": 1}}, {"spec": {"a": 1, "x": 1}}, id="map"),
        pytest.param("Service", {"spec": {"type": "A"}}, {"spec": {"type": None}}, {"spec": {}}, id="null removes"),
        pytest.param("Service", {}, {"spec": {"a": {"b": None, "c": 1}}}, {"spec": {"a": {"c": 1}}}, id="new map"),
        pytest.param(
            "Service", ports(A, B), ports({"port": 81, "name": "c"}), ports(A, B | {"name": "c"}), id="by key"
        ),
        pytest.param("Service", ports(A), ports(B), ports(A, B), id="another key is added"),
        pytest.param(
            "Service", ports(A, B), ports({"port": 80, "$patch": "delete"}), ports(B), id="item deleted"
        ),
        pytest.param(
            "Service", ports(A, B), ports({"$patch": "replace"}, {"port": 1}), ports({"port": 1}),
            id="list replaced",
        ),
        pytest.param(
            "Service", ports(A, B), {"spec": {"$setElementOrder/ports": [{"port": 81}, {"port": 80}]}}, ports(B, A),
            id="order alone",
        ),
        pytest.param(
            "Service", ports(A),
            {"spec": {"$setElementOrder/ports": [{"port": 81}, {"port": 80}], "ports": [B]}}, ports(B, A),
            id="order of what is new",
        ),
        pytest.param("Pod", TOLERATIONS, {"spec": {"tolerations": [{"key": "b"}]}},
                     {"spec": {"tolerations": [{"key": "b"}]}}, id="atomic list"),
        pytest.param(
            "Pod", CONTAINERS,
            {"spec": {"containers": [{"name": "a", "env": [{"name": "F", "value": "2"}]}]}},
            {"spec": {"containers": [
                {"name": "a", "image": "x", "env": [{"name": "E", "value": "1"}, {"name": "F", "value": "2"}]},
                {"name": "b"},
            ]}}, id="lists in lists",
        ),
        pytest.param(
            "Pod", {"metadata": {"finalizers": ["a", "b"]}}, {"metadata": {"finalizers": ["c", "a"]}},
            {"metadata": {"finalizers": ["a", "b", "c"]}}, id="plain values are joined",
        ),
        pytest.param(
            "Pod", {"metadata": {"finalizers": ["a", "b"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}},
            {"metadata": {"finalizers": ["b"]}}, id="plain values are deleted",
        ),
        pytest.param(
            "Deployment", {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
            {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
            {"spec": {"strategy": {"type": "Recreate"}}}, id="keys that are not retained go",
        ),
        pytest.param("Service", {"spec": {"a": 1, "b": 2}}, {"spec": {"$patch": "replace", "c": 3}},
                     {"spec": {"c": 3}}, id="map replaced"),
        pytest.param("Service", {"spec": {"a": 1}}, {"spec": {"$patch": "delete"}}, {"spec": {}}, id="map emptied"),
        pytest.param("ConfigMap", {"data": {"a": "1"}}, {"data": {"b": "2"}}, {"data": {"a": "1", "b": "2"}},
                     id="free keys"),
    ],
)  # fmt: skip
def test_merge(kind: str, current: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    assert strategic_merge(kind, current, patch) == expected


def test_what_is_stored_is_not_changed() -> None:
    current = ports(dict(A))
    strategic_merge("Service", current, ports({"port": 80, "name": "z"}))
    assert current == ports(A)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (ports({"name": "x"}), "does not contain declared merge key: port"),
        ({"spec": {"ports": [7]}}, "does not contain declared merge key: port"),
        ({"spec": {"$patch": "explode"}}, 'Unknown patch type "explode"'),
        ({"spec": {"$retainKeys": "type"}}, "must be a list"),
        ({"spec": {"$setElementOrder/ports": [{}]}}, "declared merge key"),
        (ports({"port": []}), "declared merge key"),
        ({"metadata": {"finalizers": [[]]}}, "a list of lists"),
        ({"metadata": {"finalizers": ["a"], "$setElementOrder/finalizers": [[]]}}, "must list plain values"),
    ],
)
def test_refused(patch: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("$", r"\$")):
        strategic_merge("Service", ports(A), patch)
