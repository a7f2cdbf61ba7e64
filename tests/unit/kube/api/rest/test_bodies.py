"""Hostile and broken bodies: each ends in a Status, none in a traceback."""

from __future__ import annotations

import json

import pytest

from testbed.kube.api.rest import batch
from testbed.kube.api.rest.body import MAX_BYTES
from tests.unit.kube.api.rest.asking import DEFAULT, asked, config_map, value

MAPS = f"{DEFAULT}/configmaps"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"\xff\xfe{}", id="no UTF-8"),
        pytest.param(b"\x00", id="a null byte"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="infinity"),
        pytest.param(b'{"a": 1e999}', id="a number beyond a double"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="five thousand digits"),
        pytest.param(b'{"a": 18446744073709551616}', id="a number beyond 64 bits"),
        pytest.param(b'{"a": "\\ud800"}', id="a lone surrogate"),
        pytest.param(b"[" * 100_000, id="open brackets"),
        pytest.param(b"[" * 5_000 + b"]" * 5_000, id="deep lists"),
        pytest.param(b'{"a":' * 500 + b"1" + b"}" * 500, id="deep objects"),
        pytest.param(b'"text"', id="a string"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}{}", id="two values"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_bodies_that_are_no_object(method: str, body: bytes) -> None:
    path = MAPS if method == "POST" else f"{MAPS}/c"
    told = value(asked().ask(method, path, body), 400)
    assert (told["kind"], told["reason"]) == ("Status", "BadRequest")


@pytest.mark.parametrize(
    "metadata",
    [
        {"name": ["a"]}, {"name": {}}, {"name": 7}, {"name": "../../etc"}, {"name": "a b"}, {"name": "a" * 300},
        {"name": ""}, {"name": None}, {"labels": "x"}, {"labels": {"a": 1}}, {"labels": {"a b": "c"}},
        {"annotations": {"a": ["b"]}}, {"annotations": {"a": "x" * 300_000}}, {"finalizers": "x"},
        {"finalizers": [1]}, {"ownerReferences": [{}]}, {"ownerReferences": "x"}, {"generateName": ["x"]},
        {"creationTimestamp": 7},
    ],
    ids=lambda metadata: json.dumps(metadata)[:40],
)  # fmt: skip
def test_metadata_that_makes_no_sense(metadata: dict[str, object]) -> None:
    body = config_map() | {"metadata": {"name": "c"} | metadata}
    response = asked().ask("POST", MAPS, body)
    assert response.code in (400, 422)


def test_null_is_no_value() -> None:
    made = asked().post(MAPS, config_map(labels=None, annotations={"a": None}) | {"binaryData": None})
    assert "binaryData" not in made
    assert "labels" not in made["metadata"]


def test_yaml() -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 'yes'}\n"
    made = value(asked().ask("POST", MAPS, body, content_type="application/yaml"), 201)
    assert made["data"] == {"a": "yes"}


@pytest.mark.parametrize("body", [b"a: [", b"a: 1\n---\nb: 2", b"", b"- a", b"a: \xff", b"{" * 3000])
def test_yaml_that_is_no_object(body: bytes) -> None:
    assert asked().ask("POST", MAPS, body, content_type="application/yaml").code == 400


@pytest.mark.parametrize("media", ["application/cbor", "text/plain", "application/x-www-form-urlencoded"])
def test_types_that_are_not_read(media: str) -> None:
    told = value(asked().ask("POST", MAPS, config_map(), content_type=media), 415)
    assert told["reason"] == "UnsupportedMediaType"


def test_how_much_a_transport_may_take() -> None:
    api = asked().api
    assert api.max_body(MAPS) == MAX_BYTES
    assert api.max_body(batch.PATH) > 100 << 20
