"""Apply and delete: verbs, all or nothing, what the server keeps."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from testbed.errors import ManifestErrors, NotFound, UsageError
from testbed.kube.api import Applied, Deletion, Registry
from testbed.kube.objects import Manifest
from tests.unit.kube.api.builders import (
    cluster,
    deployment,
    manifest,
    names,
    namespace,
    pod,
    service,
    started,
    stored,
)


def test_namespaces_that_are_there_from_the_start() -> None:
    store, _ = started()
    assert names(store, "Namespace") == ["default", "kube-system"]


def test_a_second_registry_finds_them_there() -> None:
    store, _ = started()
    version = store.version
    Registry(store, cluster())
    assert store.version == version


def test_verbs_are_those_of_kubectl() -> None:
    _, registry = started()
    first, second, third = service(), service(), service(sessionAffinity="ClientIP")
    verbs = [registry.apply([m])[0].verb for m in (first, second, third)]
    assert verbs == ["created", "unchanged", "configured"]


def test_answers_come_in_the_order_of_the_manifests() -> None:
    _, registry = started()
    assert registry.apply([service("b"), namespace("a"), pod("c")]) == [
        Applied("created", "Service", "default", "b"),
        Applied("created", "Namespace", "", "a"),
        Applied("created", "Pod", "default", "c"),
    ]


def test_one_mistake_and_nothing_is_written() -> None:
    store, registry = started()
    version = store.version
    with pytest.raises(ManifestErrors):
        registry.apply([service("good"), service("bad", clusterIP="192.0.2.1")])
    assert store.version == version


def test_every_mistake_is_told_with_its_place() -> None:
    _, registry = started()
    with pytest.raises(ManifestErrors) as caught:
        registry.apply([service("a", namespace="nowhere"), service("b", clusterIP="192.0.2.1")])
    assert [(m.file, m.line, m.path) for m in caught.value.mistakes] == [
        ("test.yaml", 1, "metadata.namespace"),
        ("test.yaml", 5, "spec.clusterIP"),
    ]


def test_watchers_get_an_apply_in_one_piece() -> None:
    store, registry = started()
    with store.watch(["Service", "Pod"], initial=False) as watch:
        registry.apply([service("a"), pod("b"), service("c")])
        assert len(watch.drain()) == 3


@pytest.mark.parametrize(
    ("manifests", "message"),
    [
        pytest.param([service(namespace="shop")], 'namespaces "shop" not found', id="namespace is not there"),
        pytest.param([pod(), pod()], "Pod web-1 is given twice", id="twice in one call"),
        pytest.param([pod(nodeName="node9")], "this cluster has no node node9", id="pod for an unknown node"),
        pytest.param([manifest("Node", "node9")], "this cluster has no node node9", id="unknown node"),
    ],
)
def test_refused(manifests: list[Manifest], message: str) -> None:
    _, registry = started()
    with pytest.raises(ManifestErrors, match=re.escape(message)):
        registry.apply(manifests)


def test_namespace_may_come_in_the_same_call_after_its_content() -> None:
    store, registry = started()
    registry.apply([service(namespace="shop"), namespace("shop")])
    assert names(store, "Service", "shop") == ["web"]


def test_namespace_that_goes_takes_nothing_new() -> None:
    _, registry = started()
    registry.apply([namespace("shop"), service("old", namespace="shop")])
    registry.delete("Namespace", "", "shop")
    registry.apply([service("old", namespace="shop", sessionAffinity="ClientIP")])
    with pytest.raises(ManifestErrors, match="because it is being terminated"):
        registry.apply([service("new", namespace="shop")])


def test_namespace_has_its_name_as_label() -> None:
    store, registry = started()
    registry.apply([namespace("shop")])
    assert stored(store, "Namespace", "shop", "")["metadata"]["labels"] == {
        "kubernetes.io/metadata.name": "shop"
    }


def test_metadata_of_another_cluster_is_left_out() -> None:
    store, registry = started()
    foreign = {
        "uid": "u",
        "resourceVersion": "900",
        "creationTimestamp": "2020-01-01T00:00:00Z",
        "ownerReferences": [{"kind": "Service", "name": "web", "uid": "v"}],
        "annotations": {"kept": "yes"},
    }
    registry.apply([manifest("Service", "web", metadata=foreign, spec={"ports": [{"port": 80}]})])
    registry.apply([manifest("Service", "web", metadata=foreign, spec={"ports": [{"port": 81}]})])
    metadata = stored(store, "Service", "web")["metadata"]
    assert metadata["uid"] != "u"
    assert "ownerReferences" not in metadata
    assert metadata["annotations"]["kept"] == "yes"


def test_owner_survives_an_apply() -> None:
    store, registry = started()
    registry.apply([pod()])
    owner = [{"apiVersion": "v1", "kind": "Deployment", "name": "web", "uid": "u", "controller": True}]
    store.mutate(
        "Pod", "default", "web-1", lambda p: {**p, "metadata": {**p["metadata"], "ownerReferences": owner}}
    )
    registry.apply([pod(labels={"app": "other"})])
    assert stored(store, "Pod", "web-1")["metadata"]["ownerReferences"] == owner


def test_pod_begins_pending_whatever_its_manifest_says() -> None:
    store, registry = started()
    recorded = pod()
    recorded.body["status"] = {"phase": "Running", "podIP": "10.244.9.9"}
    registry.apply([recorded])
    assert stored(store, "Pod", "web-1")["status"] == {"phase": "Pending"}


def test_pod_keeps_node_and_status_when_its_labels_change() -> None:
    store, registry = started()
    registry.apply([pod()])
    placed = {"spec": {**stored(store, "Pod", "web-1")["spec"], "nodeName": "node2"}}
    store.mutate("Pod", "default", "web-1", lambda p: {**p, **placed, "status": {"phase": "Running"}})
    assert registry.apply([pod(labels={"app": "new"})])[0].verb == "configured"
    now = stored(store, "Pod", "web-1")
    assert now["spec"]["nodeName"] == "node2"
    assert now["status"] == {"phase": "Running"}
    assert now["metadata"]["labels"] == {"app": "new"}


def test_spec_of_a_pod_cannot_change() -> None:
    _, registry = started()
    registry.apply([pod()])
    with pytest.raises(ManifestErrors, match="delete and create"):
        registry.apply([pod(hostname="other")])


def test_node_keeps_its_pod_range_and_status() -> None:
    store, registry = started()
    before = stored(store, "Node", "node1", "")
    node = manifest("Node", "node1", metadata={"labels": {"disk": "ssd"}}, spec={"unschedulable": True})
    registry.apply([node])
    now = stored(store, "Node", "node1", "")
    assert now["spec"] == {**before["spec"], "unschedulable": True}
    assert now["status"] == before["status"]
    assert now["metadata"]["labels"] == {**before["metadata"]["labels"], "disk": "ssd"}


@pytest.mark.parametrize(
    ("change", "generation"),
    [
        pytest.param(lambda: deployment(), 1, id="nothing"),
        pytest.param(lambda: deployment(replicas=5), 2, id="spec"),
    ],
)
def test_generation_counts_changes_of_the_spec(change: Callable[[], Manifest], generation: int) -> None:
    store, registry = started()
    registry.apply([deployment()])
    registry.apply([change()])
    assert stored(store, "Deployment", "web")["metadata"]["generation"] == generation


def test_selector_of_a_deployment_cannot_change() -> None:
    _, registry = started()
    registry.apply([deployment()])
    with pytest.raises(ManifestErrors, match="spec.selector: field is immutable"):
        template = {
            "metadata": {"labels": {"app": "web", "tier": "x"}},
            "spec": {"containers": [{"name": "main"}]},
        }
        registry.apply([deployment(selector={"matchLabels": {"tier": "x"}}, template=template)])


def test_slice_comes_in_as_it_is() -> None:
    store, registry = started()
    body = {"addressType": "IPv4", "endpoints": [{"addresses": ["10.244.0.9"]}], "ports": [{"port": 80}]}
    registry.apply([manifest("EndpointSlice", "mine", **body)])
    found = stored(store, "EndpointSlice", "mine")
    assert found["endpoints"] == body["endpoints"]
    assert found["addressType"] == "IPv4"


def test_delete_removes() -> None:
    store, registry = started()
    registry.apply([service()])
    registry.delete("Service", "default", "web")
    assert store.get("Service", "default", "web") is None


def test_delete_of_a_running_pod_is_graceful() -> None:
    store, registry = started()
    registry.apply([pod(nodeName="node1")])
    registry.delete("Pod", "default", "web-1", Deletion(grace_seconds=7))
    assert stored(store, "Pod", "web-1")["metadata"]["deletionGracePeriodSeconds"] == 7


@pytest.mark.parametrize(
    ("kind", "space", "message"),
    [("Service", "default", "Service default/web not found"), ("Node", "", "Node web not found")],
)
def test_delete_of_nothing_is_not_found(kind: str, space: str, message: str) -> None:
    _, registry = started()
    with pytest.raises(NotFound, match=message):
        registry.delete(kind, space, "web")


def test_a_node_cannot_be_deleted() -> None:
    store, registry = started()
    with pytest.raises(UsageError, match="nodes come from the Cluster document alone"):
        registry.delete("Node", "", "node1")
    assert "node1" in names(store, "Node")


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_first_namespaces_cannot_be_deleted(name: str) -> None:
    _, registry = started()
    with pytest.raises(UsageError, match="may not be deleted"):
        registry.delete("Namespace", "", name)
