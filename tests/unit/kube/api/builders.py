"""Manifests and clusters for tests, as short as they can be written."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from testbed.kube.api import Registry
from testbed.kube.controllers import create_nodes
from testbed.kube.objects import KINDS, ClusterConfig, Manifest, Networking, NodeConfig, Source, defaulted
from testbed.kube.objects.addresses import (
    LOAD_BALANCER_SUBNETS,
    POD_SUBNETS,
    SERVICE_SUBNETS,
    of_family,
)
from testbed.kube.store import Object, Store


def cluster(ip_family: str = "dual", nodes: int = 3) -> ClusterConfig:
    """A cluster of workers node1, node2, …"""
    networking = Networking(
        ip_family=ip_family,
        pod_subnets=of_family(POD_SUBNETS, ip_family),
        service_subnets=of_family(SERVICE_SUBNETS, ip_family),
        load_balancer_subnets=of_family(LOAD_BALANCER_SUBNETS, ip_family),
    )
    return ClusterConfig("test", tuple(NodeConfig(f"node{n + 1}") for n in range(nodes)), networking)


def started(
    ip_family: str = "dual", nodes: int = 3, now: Callable[[], datetime.datetime] | None = None
) -> tuple[Store, Registry]:
    """A store with nodes, and the way into it. `now` is its clock."""
    store, config = Store(now), cluster(ip_family, nodes)
    create_nodes(store, config)
    return store, Registry(store, config)


def manifest(kind: str, name: str, *, namespace: str = "", **body: Any) -> Manifest:
    """A manifest whose fields all stand on line 1 of test.yaml, but spec on line 5."""
    version = KINDS[kind].api_version
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **body.pop("metadata", {})}
    whole = {"apiVersion": version, "kind": kind, "metadata": metadata, **body}
    return Manifest(defaulted(whole), Source("test.yaml", {"": 1, "spec": 5}))


def service(name: str = "web", *, namespace: str = "default", **spec: Any) -> Manifest:
    """A Service of port 80; `spec` adds or replaces fields."""
    status = {"status": spec.pop("status")} if "status" in spec else {}
    whole = {"ports": [{"port": 80}], "selector": {"app": name}} | spec
    return manifest("Service", name, namespace=namespace, spec=whole, **status)


def pod(name: str = "web-1", *, namespace: str = "default", **spec: Any) -> Manifest:
    """A pod labelled app=web that serves port 8080 under the name `http`."""
    labels = spec.pop("labels", {"app": "web"})
    containers = [
        {"name": "main", "image": "x:1", "ports": [{"name": "http", "containerPort": 8080}]},
    ]
    whole = {"containers": containers} | spec
    return manifest("Pod", name, namespace=namespace, metadata={"labels": labels}, spec=whole)


def deployment(name: str = "web", replicas: int = 3, image: str = "x:1", **spec: Any) -> Manifest:
    """A Deployment of pods labelled app=<name>."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }
    whole = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template} | spec
    return manifest("Deployment", name, namespace="default", spec=whole)


def namespace(name: str) -> Manifest:
    """A Namespace."""
    return manifest("Namespace", name)


def stored(store: Store, kind: str, name: str, namespace: str = "default") -> Object:
    """An object that has to be there."""
    found = store.get(kind, namespace, name)
    assert found is not None, f"no {kind} {namespace}/{name}"
    return found


def names(store: Store, kind: str, namespace: str | None = None) -> list[str]:
    """The names of all objects of a kind."""
    return [obj["metadata"]["name"] for obj in store.list(kind, namespace)]
