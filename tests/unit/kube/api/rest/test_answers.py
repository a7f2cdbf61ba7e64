"""The Accept header: whole objects, metadata alone, tables."""

from __future__ import annotations

import pytest

from tests.unit.kube.api.builders import service
from tests.unit.kube.api.rest.asking import DEFAULT, asked, value

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "Service"),
        ("*/*", "Service"),
        ("application/json", "Service"),
        ("application/json;stream=watch", "Service"),
        ("application/vnd.kubernetes.protobuf,application/json", "Service"),
        (TABLE, "Table"),
        (f"{TABLE},application/json", "Table"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "Service"),
        (f"application/json;as=Table;v=v1beta1;g=meta.k8s.io, {TABLE}", "Table"),
        (PARTIAL, "PartialObjectMetadata"),
    ],
)
def test_one_object(accept: str, kind: str) -> None:
    made = asked()
    made.apply(service("a"))
    assert made.get(f"{DEFAULT}/services/a", accept=accept)["kind"] == kind


def test_list_of_metadata() -> None:
    made = asked()
    made.apply(service("a"))
    accept = PARTIAL.replace("Metadata", "MetadataList")
    found = made.get(f"{DEFAULT}/services", accept=accept)
    assert found["kind"] == "PartialObjectMetadataList"
    assert found["items"][0].keys() == {"kind", "apiVersion", "metadata"}


@pytest.mark.parametrize(
    ("include", "kind"),
    [("", "PartialObjectMetadata"), ("Metadata", "PartialObjectMetadata"), ("Object", "Service")],
)
def test_what_a_row_has_of_its_object(include: str, kind: str) -> None:
    made = asked()
    made.apply(service("a"))
    table = made.get(f"{DEFAULT}/services?includeObject={include}", accept=TABLE)
    assert [(row["cells"][0], row["object"]["kind"]) for row in table["rows"]] == [("a", kind)]
    assert table["metadata"]["resourceVersion"] == str(made.store.version)


@pytest.mark.parametrize(
    ("path", "accept", "code"),
    [
        ("services", "application/vnd.kubernetes.protobuf", 406),
        ("services", "text/html", 406),
        ("services", "application/json;as=Picture;v=v1;g=meta.k8s.io", 406),
        ("services?includeObject=All", "application/json", 400),
    ],
)
def test_refused(path: str, accept: str, code: int) -> None:
    assert value(asked().ask("GET", f"{DEFAULT}/{path}", accept=accept), code)["kind"] == "Status"
