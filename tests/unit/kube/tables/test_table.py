"""The Table itself: its shape, its columns, what goes along with a row."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.api.tables import LAYOUTS, table
from testbed.kube.objects import KINDS, Kind
from tests.unit.kube.tables.cells import BORN, NOW

POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "default", "uid": "1", "creationTimestamp": BORN},
    "spec": {"containers": [{"name": "c"}]},
    "status": {"phase": "Succeeded"},
}
SHOWN = {  # headers of `kubectl get`, and those that `-o wide` adds
    "Pod": ("NAME READY STATUS RESTARTS AGE", "IP NODE NOMINATED_NODE READINESS_GATES"),
    "Service": ("NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE", "SELECTOR"),
    "Endpoints": ("NAME ENDPOINTS AGE", ""),
    "EndpointSlice": ("NAME ADDRESSTYPE PORTS ENDPOINTS AGE", ""),
    "ServiceCIDR": ("NAME CIDRS AGE", ""),
    "Node": (
        "NAME STATUS ROLES AGE VERSION",
        "INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME",
    ),
    "Namespace": ("NAME STATUS AGE", ""),
    "Deployment": ("NAME READY UP-TO-DATE AVAILABLE AGE", "CONTAINERS IMAGES SELECTOR"),
    "ReplicaSet": ("NAME DESIRED CURRENT READY AGE", "CONTAINERS IMAGES SELECTOR"),
    "StatefulSet": ("NAME READY AGE", "CONTAINERS IMAGES"),
    "DaemonSet": (
        "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE_SELECTOR AGE",
        "CONTAINERS IMAGES SELECTOR",
    ),
    "ControllerRevision": ("NAME CONTROLLER REVISION AGE", ""),
    "ConfigMap": ("NAME DATA AGE", ""),
    "Secret": ("NAME TYPE DATA AGE", ""),
    "Event": ("LAST_SEEN TYPE REASON OBJECT MESSAGE", "SUBOBJECT SOURCE FIRST_SEEN COUNT NAME"),
}


def headers(kind: Kind, priority: int) -> str:
    """The columns of a priority as a person sees them."""
    columns = table(kind, [], NOW)["columnDefinitions"]
    return " ".join(c["name"].upper().replace(" ", "_") for c in columns if c["priority"] == priority)


@pytest.mark.parametrize("kind", sorted(SHOWN))
def test_columns_are_those_of_kubectl(kind: str) -> None:
    assert (headers(KINDS[kind], 0), headers(KINDS[kind], 1)) == SHOWN[kind]


def test_every_kind_with_columns_is_judged() -> None:
    assert LAYOUTS.keys() == SHOWN.keys()


@pytest.mark.parametrize("kind", sorted(SHOWN))
def test_a_client_finds_the_name_by_its_format(kind: str) -> None:
    columns = table(KINDS[kind], [], NOW)["columnDefinitions"]
    assert [c["name"] for c in columns if c["format"] == "name"] == ["Name"]
    assert all(c["description"] and c["type"] in ("string", "integer") for c in columns)


def test_a_kind_without_columns_has_name_and_age() -> None:
    kind = Kind("Widget", "example.com/v1", "widgets", "widget", (), True)
    made = table(kind, [POD], NOW)
    assert headers(kind, 0) == "NAME AGE"
    assert made["rows"][0]["cells"] == ["web", "5m"]


def test_it_says_what_it_is() -> None:
    made = table(KINDS["Pod"], [], NOW)
    assert (made["kind"], made["apiVersion"], made["rows"]) == ("Table", "meta.k8s.io/v1", [])


@pytest.mark.parametrize(
    ("include", "along"),
    [
        ("None", None),
        ("Object", POD),
        (
            "Metadata",
            {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": POD["metadata"],
            },
        ),
    ],
)
def test_as_much_of_the_object_goes_along_as_was_asked_for(include: str, along: Any) -> None:
    (row,) = table(KINDS["Pod"], [POD], NOW, include)["rows"]
    assert row.get("object") == along


def test_a_pod_that_is_done_is_marked() -> None:
    (row,) = table(KINDS["Pod"], [POD], NOW)["rows"]
    assert [(c["type"], c["reason"]) for c in row["conditions"]] == [("Completed", "Succeeded")]


def test_a_pod_that_runs_is_not_marked() -> None:
    (row,) = table(KINDS["Pod"], [{**POD, "status": {"phase": "Running"}}], NOW)["rows"]
    assert "conditions" not in row
