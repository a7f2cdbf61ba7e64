"""sig-network's end-to-end tests of objects rather than packets, in a running cluster.

Each is named after the test that it re-enacts (tests/data/sig-network-e2e.txt).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from testbed.errors import StatusError
from testbed.kube.client import Client, Query
from testbed.kube.client.client import PATCH_TYPES
from testbed.kube.client.http import Request, Transport, say_nothing
from testbed.kube.client.requests import resource_path
from testbed.kube.objects import KINDS
from tests.net.command import Command, deployed
from tests.net.manifests import pod, service
from tests.waiting import until

Object = dict[str, Any]
FIXTURE = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice"}
CONDITION = {
    "type": "StatusPatched",
    "status": "True",
    "reason": "E2E",
    "message": "set from a test",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
SECONDS = 30.0
SERVICE_NAME = "kubernetes.io/service-name"


@pytest.fixture(scope="module")
def running() -> Iterator[Command]:
    """A cluster of three nodes."""
    with deployed("service-api") as made:
        yield made


@pytest.fixture(scope="module")
def client(running: Command) -> Iterator[Client]:
    """Its API."""
    with Client(running.folder / "kube-api.sock") as made:
        yield made


@pytest.fixture
def namespace(client: Client) -> str:
    """A namespace of its own for a test."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


def within(namespace: str, obj: Object) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def free(obj: Object) -> Object:
    """A Service that takes whatever address it gets."""
    return {**obj, "spec": {key: value for key, value in obj["spec"].items() if key != "clusterIP"}}


def named(objects: list[Object]) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]


def slices_of(client: Client, namespace: str, name: str) -> list[Object]:
    return client.list("EndpointSlice", namespace, Query(labels=f"{SERVICE_NAME}={name}")).items


def addresses(slices: list[Object]) -> list[str]:
    return sorted(a for piece in slices for e in piece["endpoints"] for a in e["addresses"])


def gone(client: Client, kind: str, namespace: str, name: str) -> bool:
    try:
        client.get(kind, namespace, name)
    except StatusError as error:
        return "not found" in str(error)
    return False


def test_should_find_a_service_from_listing_all_namespaces(client: Client, namespace: str) -> None:
    client.create(within(namespace, free(service("far-away"))))
    found = [s["metadata"]["namespace"] for s in client.list("Service").items if named([s]) == ["far-away"]]
    assert found == [namespace]


def test_should_complete_a_service_status_lifecycle(client: Client, running: Command, namespace: str) -> None:
    client.create(within(namespace, free(service())))
    patch = {"status": {"conditions": [CONDITION]}, "spec": {"type": "NodePort"}}
    path = resource_path(KINDS["Service"], namespace, "web", "status")
    with closing(Transport(running.folder / "kube-api.sock", SECONDS, say_nothing)) as transport:
        transport.call(Request("PATCH", path, patch, PATCH_TYPES["merge"]))
    patched = client.get("Service", namespace, "web")
    assert [condition["type"] for condition in patched["status"]["conditions"]] == ["StatusPatched"]
    assert patched["spec"]["type"] == "ClusterIP"
    client.patch("Service", namespace, "web", {"metadata": {"labels": {"test-service": "patched"}}})
    [labelled] = client.list("Service", namespace, Query(labels="test-service=patched")).items
    assert labelled["status"] == patched["status"]
    client.delete("Service", namespace, "web")
    until(lambda: gone(client, "Service", namespace, "web"), "the Service to be gone")


def test_should_create_and_delete_endpoints_and_slices_for_a_service_with_a_selector(
    client: Client, namespace: str
) -> None:
    client.create(within(namespace, free(service(selector={"nobody": "here"}))))
    until(lambda: not gone(client, "Endpoints", namespace, "web"), "its Endpoints")
    [slice_] = until(lambda: slices_of(client, namespace, "web"), "its slice")
    assert slice_["endpoints"] == []
    client.delete("Service", namespace, "web")
    until(lambda: gone(client, "Endpoints", namespace, "web"), "its Endpoints to be gone")
    until(lambda: not slices_of(client, namespace, "web"), "its slices to be gone")


def test_should_create_endpoints_and_slices_for_pods_matching_a_service(
    client: Client, namespace: str
) -> None:
    client.create(within(namespace, free(service())))
    for name in ("one", "two"):
        client.create(within(namespace, pod(name)))
    until(lambda: len(addresses(slices_of(client, namespace, "web"))) == 2, "both pods in the slices")
    pods = client.list("Pod", namespace).items
    wanted = sorted(p["status"]["podIP"] for p in pods)
    assert addresses(slices_of(client, namespace, "web")) == wanted
    until(lambda: subset_addresses(client, namespace) == wanted, "both pods in the Endpoints")
    client.delete("Pod", namespace, "one")
    until(lambda: len(addresses(slices_of(client, namespace, "web"))) == 1, "one pod less")


def subset_addresses(client: Client, namespace: str) -> list[str]:
    """The ready addresses of the Endpoints object."""
    subsets = client.get("Endpoints", namespace, "web").get("subsets") or ()
    return sorted(address["ip"] for subset in subsets for address in subset.get("addresses") or ())


def test_should_support_creating_endpoint_slice_api_operations(client: Client, namespace: str) -> None:
    made = client.create(
        {**FIXTURE, "metadata": {"name": "by-hand", "namespace": namespace, "labels": {"special": "yes"}},
         "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]}
    )  # fmt: skip
    assert named(client.list("EndpointSlice", None, Query(labels="special=yes")).items) == ["by-hand"]
    client.patch("EndpointSlice", namespace, "by-hand", {"metadata": {"annotations": {"patched": "true"}}})
    read = client.get("EndpointSlice", namespace, "by-hand")
    assert read["metadata"]["annotations"] == {"patched": "true"}
    read["metadata"]["annotations"]["updated"] = "true"
    assert client.replace(read)["metadata"]["annotations"]["updated"] == "true"
    with pytest.raises(StatusError):
        client.replace(made)
    client.delete("EndpointSlice", namespace, "by-hand")
    until(lambda: gone(client, "EndpointSlice", namespace, "by-hand"), "the slice to be gone")
