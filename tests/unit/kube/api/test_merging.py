"""What an apply leaves: fields that left the manifest, fields that others set, and kubectl's annotation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testbed.kube.api import Deletion
from testbed.kube.api.merging import LAST_APPLIED, last_applied, merged, with_last_applied
from testbed.kube.objects import Manifest, load_text
from tests.unit.kube.api.builders import started, stored


def written(text: str) -> Manifest:
    (manifest,) = load_text(text, "test.yaml").manifests
    return manifest


def service(**spec: Any) -> Manifest:
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}
    return written(json.dumps(body))


def body(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": spec,
    }


A = {"port": 80, "protocol": "TCP", "name": "a"}
B = {"port": 81, "protocol": "TCP", "name": "b"}
DNS = [{"port": 53, "protocol": "UDP", "name": "u"}, {"port": 53, "protocol": "TCP", "name": "t"}]


@pytest.mark.parametrize(
    ("before", "now", "stored_spec", "expected"),
    [
        pytest.param({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, id="changed"),
        pytest.param({"a": 1, "b": 1}, {"a": 1}, {"a": 1, "b": 1}, {"a": 1}, id="left the manifest"),
        pytest.param({"a": 1}, {"a": 1}, {"a": 1, "b": 9}, {"a": 1, "b": 9}, id="set by another"),
        pytest.param({"a": 1}, {"a": 1}, {"a": 9}, {"a": 1}, id="changed by another, and named"),
        pytest.param({}, {"a": None}, {"a": 1, "b": 1}, {"b": 1}, id="null"),
        pytest.param(
            {"selector": {"x": "1", "y": "1"}}, {"selector": {"x": "1"}},
            {"selector": {"x": "1", "y": "1", "z": "1"}}, {"selector": {"x": "1", "z": "1"}}, id="a map in it",
        ),
        pytest.param(
            {"ports": [A]}, {"ports": [A]}, {"ports": [A | {"nodePort": 30001}]},
            {"ports": [A | {"nodePort": 30001}]}, id="a field that the server gave an item",
        ),
        pytest.param(
            {"ports": [A, B]}, {"ports": [B]}, {"ports": [A, B]}, {"ports": [B]}, id="an item left the manifest"
        ),
        pytest.param({"ports": [A]}, {"ports": [A]}, {"ports": [A, B]}, {"ports": [A, B]}, id="another's item"),
        pytest.param(
            {"ports": [{"port": 80}]}, {"ports": [{"port": 80, "name": "z"}]}, {"ports": [A]},
            {"ports": [A | {"name": "z"}]}, id="the key's default",
        ),
        pytest.param(
            {"ports": DNS}, {"ports": DNS}, {"ports": [p | {"nodePort": 30000 + n} for n, p in enumerate(DNS)]},
            {"ports": [p | {"nodePort": 30000 + n} for n, p in enumerate(DNS)]}, id="one port in two protocols",
        ),
        pytest.param(
            {"externalIPs": ["192.0.2.1"]}, {"externalIPs": ["192.0.2.2"]}, {"externalIPs": ["192.0.2.1"]},
            {"externalIPs": ["192.0.2.2"]}, id="an atomic list",
        ),
    ],
)  # fmt: skip
def test_three_ways(
    before: dict[str, Any], now: dict[str, Any], stored_spec: dict[str, Any], expected: dict[str, Any]
) -> None:
    current = with_last_applied(body(stored_spec), body(before))
    assert merged("Service", body(now), current)["spec"] == expected


def test_a_strategy_keeps_only_the_keys_that_are_named() -> None:
    def deployment(strategy: dict[str, Any]) -> dict[str, Any]:
        return body({"strategy": strategy}) | {"kind": "Deployment"}

    current = with_last_applied(deployment({"type": "RollingUpdate", "rollingUpdate": {}}), deployment({}))
    new = merged("Deployment", deployment({"type": "Recreate"}), current)
    assert new["spec"] == {"strategy": {"type": "Recreate"}}


def test_the_annotation_is_kubectls() -> None:
    """As kubectl 1.32 wrote it for the same manifest."""
    store, registry = started()
    registry.apply(
        [written("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}")]
    )
    assert stored(store, "Service", "web")["metadata"]["annotations"][LAST_APPLIED] == (
        '{"apiVersion":"v1","kind":"Service","metadata":{"annotations":{},"name":"web","namespace":"default"},'
        '"spec":{"ports":[{"port":80}]}}\n'
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"x"'])
def test_an_annotation_that_makes_no_sense_is_none(text: str) -> None:
    assert last_applied({"metadata": {"annotations": {LAST_APPLIED: text}}}) == {}


def test_what_is_too_large_for_an_annotation_is_not_kept_in_one() -> None:
    large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "x" * 300_000}}
    store, registry = started()
    registry.apply([written(json.dumps(large))])
    assert "annotations" not in stored(store, "ConfigMap", "c")["metadata"]


def test_replicas_that_a_manifest_does_not_name_stay_scaled() -> None:
    text = (
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {a: b}},"
        " template: {metadata: {labels: {a: b}}, spec: {containers: [{name: m, image: %s}]}}}}"
    )
    store, registry = started()
    registry.apply([written(text % "x")])
    registry.update(
        ("Deployment", "default", "web"), lambda old: {**old, "spec": {**old["spec"], "replicas": 7}}
    )
    registry.apply([written(text % "new")])
    spec = stored(store, "Deployment", "web")["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["image"]) == (7, "new")


def test_a_default_comes_back_when_its_field_leaves_the_manifest() -> None:
    store, registry = started()
    registry.apply([service(ports=[{"port": 80}], sessionAffinity="ClientIP")])
    registry.apply([service(ports=[{"port": 80}])])
    spec = stored(store, "Service", "web")["spec"]
    assert (spec["sessionAffinity"], "sessionAffinityConfig" in spec) == ("None", False)


def test_an_apply_of_the_same_changes_nothing() -> None:
    store, registry = started()
    registry.apply([service(ports=[{"port": 80}], type="NodePort")])
    version = store.version
    assert registry.apply([service(ports=[{"port": 80}], type="NodePort")])[0].verb == "unchanged"
    assert store.version == version


def test_a_dry_run_says_what_would_be_and_stores_nothing() -> None:
    store, registry = started()
    registry.apply([service(ports=[{"port": 80}])])
    version = store.version
    manifests = [
        service(ports=[{"port": 81}]),
        written("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"),
    ]
    assert [each.verb for each in registry.apply(manifests, dry_run=True)] == ["configured", "created"]
    assert store.version == version


def test_an_object_made_anew_remembers_nothing() -> None:
    store, registry = started()
    registry.apply([service(ports=[{"port": 80}], type="NodePort")])
    registry.delete("Service", "default", "web", Deletion())
    registry.apply([service(ports=[{"port": 80}])])
    assert stored(store, "Service", "web")["spec"]["type"] == "ClusterIP"
