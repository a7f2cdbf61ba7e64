"""What clients learn before their first request: groups, resources, versions, schemas."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.api.rest.openapi import PROTOBUF
from testbed.kube.objects import KINDS
from tests.unit.kube.api.rest.asking import asked, value

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_versions_of_the_core_group() -> None:
    assert asked().get("/api")["versions"] == ["v1"]


def test_groups() -> None:
    found = {
        group["name"]: group["preferredVersion"]["groupVersion"] for group in asked().get("/apis")["groups"]
    }
    assert found["apps"] == "apps/v1"
    assert set(found.values()) == {kind.api_version for kind in KINDS.values() if "/" in kind.api_version}


def test_one_group() -> None:
    found = asked().get("/apis/apps")
    assert (found["kind"], found["versions"]) == ("APIGroup", [{"groupVersion": "apps/v1", "version": "v1"}])


@pytest.mark.parametrize(
    "path", ["/apis/none", "/apis/none/v1", "/api/v2", "/apis/apps/v2", "/openapi/v3/api/v2", "/"]
)
def test_groups_that_are_not_there(path: str) -> None:
    assert value(asked().ask("GET", path), 404)["reason"] == "NotFound"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_is_a_resource(kind: Any) -> None:
    where = "api" if "/" not in kind.api_version else "apis"
    listed = {entry["name"]: entry for entry in asked().get(f"/{where}/{kind.api_version}")["resources"]}
    entry = listed[kind.plural]
    assert (entry["kind"], entry["namespaced"], entry["singularName"]) == (
        kind.name,
        kind.namespaced,
        kind.singular,
    )
    assert tuple(entry.get("shortNames", ())) == kind.short_names
    assert (f"{kind.plural}/status" in listed) is kind.status
    assert (f"{kind.plural}/scale" in listed) is kind.scale


def test_subresources_of_pods() -> None:
    listed = {entry["name"]: entry for entry in asked().get("/api/v1")["resources"]}
    assert listed["pods/log"]["verbs"] == ["get"]
    assert (listed["pods/eviction"]["group"], listed["pods/eviction"]["kind"]) == ("policy", "Eviction")


@pytest.mark.parametrize("path", ["/api", "/apis"])
def test_all_at_once(path: str) -> None:
    response = asked().ask("GET", path, accept=f"{AGGREGATED},application/json")
    assert response.content_type == AGGREGATED
    found = value(response, 200)
    groups = {group["metadata"]["name"] for group in found["items"]}
    assert groups == ({""} if path == "/api" else {group["name"] for group in asked().get("/apis")["groups"]})
    resources = [r for group in found["items"] for version in group["versions"] for r in version["resources"]]
    assert all(
        KINDS[resource["responseKind"]["kind"]].plural == resource["resource"] for resource in resources
    )


def test_version() -> None:
    found = asked().get("/version")
    assert (found["major"], found["minor"]) == ("1", "36")
    assert found["gitVersion"].startswith("v1.36.")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/ping"])
def test_health(path: str) -> None:
    assert asked().ask("GET", path).body == b"ok"


@pytest.mark.parametrize("accept", [PROTOBUF, PROTOBUF.replace("v2.v1", "v2@v1")])
def test_openapi_v2_in_protobuf(accept: str) -> None:
    response = asked().ask("GET", "/openapi/v2", accept=accept)
    assert response.content_type == PROTOBUF
    assert response.body == b"\x0a\x032.0\x12\x15\x0a\x0aKubernetes\x12\x07v1.36.0\x42\x00"


def test_openapi_v2_in_json() -> None:
    assert asked().get("/openapi/v2")["swagger"] == "2.0"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_openapi_v3_describes_every_kind(kind: Any) -> None:
    made = asked()
    path = ("api/" if "/" not in kind.api_version else "apis/") + kind.api_version
    url = made.get("/openapi/v3")["paths"][path]["serverRelativeURL"]
    found = made.get(url)
    group, _, version = kind.api_version.rpartition("/")
    of = {"group": group, "version": version, "kind": kind.name}
    (schema,) = [
        s
        for s in found["components"]["schemas"].values()
        if of in s.get("x-kubernetes-group-version-kind", [])
    ]
    assert schema["description"]
    patched = [
        path["patch"]
        for path in found["paths"].values()
        if path["patch"]["x-kubernetes-group-version-kind"] == of
    ]
    assert {"dryRun", "fieldValidation"} <= {parameter["name"] for parameter in patched[0]["parameters"]}


def references(part: Any) -> set[str]:
    """Every name that a document refers to."""
    if isinstance(part, list):
        return set().union(*map(references, part))
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"].rsplit("/", 1)[1]} if isinstance(part.get("$ref"), str) else set()
    return own.union(*map(references, part.values()))


def test_no_reference_leads_nowhere() -> None:
    found = asked().get("/openapi/v3/apis/apps/v1")
    assert references(found) <= found["components"]["schemas"].keys()
