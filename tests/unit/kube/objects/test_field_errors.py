"""How mistakes of the schema and of a kind's rules come together."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.objects import FieldError, field_errors


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": spec}


def paths(body: dict[str, Any]) -> list[str]:
    return [error.path for error in field_errors(body)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"ports": "none"}, ["spec.ports"]),
        ({"ports": [{"port": "80"}]}, ["spec.ports[0].port"]),
        ({"ports": [{}]}, ["spec.ports[0].port"]),
        ({"ports": [7]}, ["spec.ports[0]"]),
        ({"ports": [{"port": 80, "x": 1}], "type": "x"}, ["spec.ports[0].x", "spec.type"]),
        ({"ports": [{"port": 80}], "externalIPs": [1, "x"]}, ["spec.externalIPs[0]", "spec.externalIPs[1]"]),
        ({"ports": [{"port": 2**31}]}, ["spec.ports[0].port"]),
        ({"ports": [{"port": 80, "targetPort": [1]}]}, ["spec.ports[0].targetPort"]),
    ],
)
def test_a_place_is_complained_about_once(spec: dict[str, Any], expected: list[str]) -> None:
    assert paths(service(**spec)) == expected


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": ""},
        {"kind": "Ingress", "apiVersion": "networking.k8s.io/v1"},
        {"kind": 5},
        {"kind": ["Service"]},
    ],
    ids=str,
)
def test_without_a_known_kind_there_is_one_mistake(body: dict[str, Any]) -> None:
    assert paths(body) == ["kind"]


@pytest.mark.parametrize("version", [None, "", "v2", "apps/v1", 1])
def test_the_version_belongs_to_the_kind(version: Any) -> None:
    (error,) = field_errors({"kind": "Service", "apiVersion": version})
    assert error.path == "apiVersion"
    assert error.hint == "apiVersion: v1"


@pytest.mark.parametrize("metadata", [None, {}, {"name": ""}, {"name": None}])
def test_a_name_is_needed(metadata: Any) -> None:
    body = {**service(ports=[{"port": 80}]), "metadata": metadata}
    assert field_errors(body) == [FieldError("metadata.name", "Required value: name is required")]


def test_annotations_have_a_limit() -> None:
    body = service(ports=[{"port": 80}])
    body["metadata"]["annotations"] = {"a": "x" * 262144}
    assert field_errors(body) == [
        FieldError("metadata.annotations", "Too long: may not be more than 262144 bytes")
    ]


def test_too_many_endpoints() -> None:
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "a"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}] * 1001,
    }
    assert field_errors(body) == [FieldError("endpoints", "Too many: 1001: must have at most 1000 items")]
