"""What a container's environment and volumes are made of, and kubelet's words for what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.cluster.kubelet.contract import Mount
from testbed.cluster.kubelet.environment import Addresses, Surroundings, environment
from testbed.cluster.kubelet.volumes import lay_out, not_made
from testbed.errors import UsageError

OBJECTS = {
    ("ConfigMap", "settings"): {
        "kind": "ConfigMap",
        "data": {"color": "blue", "size": "9"},
        "binaryData": {"logo": "AAE="},
    },
    ("Secret", "login"): {"kind": "Secret", "data": {"password": "aHVudGVyMg=="}},
}


def around(**spec: Any) -> Surroundings:
    """A pod among two objects."""
    metadata = {"name": "web-1", "namespace": "shop", "uid": "u1", "labels": {"app": "web"}}
    pod = {"metadata": metadata, "spec": {"nodeName": "node1", **spec}}
    addresses = Addresses(("10.244.0.2", "fd00::2"), ("192.168.0.1",))
    return Surroundings(pod, addresses, lambda kind, name: OBJECTS.get((kind, name)))


def env_of(source: dict[str, Any], **container: Any) -> dict[str, str]:
    return environment({"env": [{"name": "X", "valueFrom": source}], **container}, around())


# ── environment ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "shop"),
        ("metadata.uid", "u1"),
        ("metadata.labels['app']", "web"),
        ("metadata.labels['none']", ""),
        ("spec.nodeName", "node1"),
        ("status.podIP", "10.244.0.2"),
        ("status.podIPs", "10.244.0.2,fd00::2"),
        ("status.hostIP", "192.168.0.1"),
    ],
)
def test_field_references(path: str, value: str) -> None:
    assert env_of({"fieldRef": {"fieldPath": path}})["X"] == value


def test_each_value_is_expanded_with_those_before_it() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}, {"name": "EMPTY"}]
    found = environment({"env": env}, around())
    assert found == {"HOSTNAME": "web-1", "A": "1", "B": "12", "EMPTY": ""}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"configMapKeyRef": {"name": "settings", "key": "color"}}, "blue"),
        ({"secretKeyRef": {"name": "login", "key": "password"}}, "hunter2"),
        ({"configMapKeyRef": {"name": "settings", "key": "none", "optional": True}}, None),
        ({"secretKeyRef": {"name": "none", "key": "k", "optional": True}}, None),
    ],
)
def test_from_config_maps_and_secrets(source: dict[str, Any], value: str | None) -> None:
    assert env_of(source).get("X") == value


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
        (
            {"configMapKeyRef": {"name": "settings", "key": "k"}},
            "couldn't find key k in ConfigMap shop/settings",
        ),
        ({"fieldRef": {"fieldPath": "status.phase"}}, "fieldPath status.phase is not supported"),
    ],
)
def test_what_is_not_there_is_told(source: dict[str, Any], wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        env_of(source)


def test_all_keys_of_an_object_with_a_prefix() -> None:
    source = [{"prefix": "CFG_", "configMapRef": {"name": "settings"}}, {"secretRef": {"name": "login"}}]
    found = environment({"envFrom": source}, around())
    assert found["CFG_color"] == "blue"
    assert found["password"] == "hunter2"


def test_an_optional_object_that_is_not_there_adds_nothing() -> None:
    source = [{"configMapRef": {"name": "none", "optional": True}}]
    assert environment({"envFrom": source}, around()) == {"HOSTNAME": "web-1"}


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "1m", "1500"),
        ("limits.cpu", None, "2"),
        ("requests.memory", "1Mi", "64"),
        ("limits.x", None, "0"),
    ],
)
def test_resource_references(resource: str, divisor: str | None, value: str) -> None:
    resources = {"limits": {"cpu": "1500m"}, "requests": {"memory": "64Mi"}}
    reference = {"resource": resource, **({"divisor": divisor} if divisor else {})}
    assert env_of({"resourceFieldRef": reference}, resources=resources)["X"] == value


# ── volumes ──────────────────────────────────────────────────────────────────────────────────────────────────


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def laid(tmp_path: Path, volume: dict[str, Any], **mount: Any) -> Mount:
    """The one mount of a container that has this volume at /etc/app."""
    spec = around(volumes=[{"name": "v", **volume}])
    container = {"volumeMounts": [{"name": "v", "mountPath": "/etc/app", **mount}]}
    (found,) = lay_out(container, tmp_path, spec)
    return found


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        pytest.param({"configMap": {"name": "settings"}},
                     {"color": b"blue", "size": b"9", "logo": b"\x00\x01"}, id="config map"),
        pytest.param({"configMap": {"name": "settings", "items": [{"key": "color", "path": "a/b"}]}},
                     {"a/b": b"blue"}, id="chosen keys"),
        pytest.param({"secret": {"secretName": "login"}}, {"password": b"hunter2"}, id="secret"),
        pytest.param({"secret": {"secretName": "none", "optional": True}}, {}, id="optional"),
        pytest.param({"emptyDir": {}}, {}, id="empty"),
        pytest.param({"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
                     {"l": b'app="web"'}, id="downward"),
        pytest.param({"projected": {"sources": [
                         {"secret": {"name": "login"}}, {"serviceAccountToken": {"path": "t"}},
                         {"configMap": {"name": "settings", "items": [{"key": "size", "path": "s"}]}}]}},
                     {"password": b"hunter2", "s": b"9"}, id="projected"),
    ],
)  # fmt: skip
def test_files_of_a_volume(tmp_path: Path, volume: dict[str, Any], expected: dict[str, bytes]) -> None:
    found = laid(tmp_path, volume)
    assert files(found.source) == expected
    assert (found.path, found.read_only) == ("/etc/app", "emptyDir" not in volume)


def test_a_part_of_a_volume(tmp_path: Path) -> None:
    assert laid(tmp_path, {"configMap": {"name": "settings"}}, subPath="color").source.read_bytes() == b"blue"


@pytest.mark.parametrize(
    ("volume", "mount", "wrong"),
    [
        ({"configMap": {"name": "none"}}, {}, 'configmap "none" not found'),
        (
            {"configMap": {"name": "settings", "items": [{"key": "k", "path": "k"}]}},
            {},
            "non-existent config key: k",
        ),
        ({"configMap": {"name": "settings"}}, {"subPath": "none"}, 'volume "v" has no none'),
        ({"emptyDir": {}}, {"subPath": "../../x"}, "must not lead out"),
        (
            {"configMap": {"name": "settings", "items": [{"key": "size", "path": "../x"}]}},
            {},
            "must not lead out",
        ),
    ],
)
def test_volumes_that_cannot_be_made(
    tmp_path: Path, volume: dict[str, Any], mount: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(UsageError, match=wrong):
        laid(tmp_path, volume, **mount)


def test_volumes_that_are_not_made_here_are_named() -> None:
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "other", "hostPath": {}},
    ]
    container = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    assert not_made(around(volumes=volumes).pod, container) == ["data (persistentVolumeClaim)"]
