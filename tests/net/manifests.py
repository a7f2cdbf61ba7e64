"""Short ways to write the manifests that these tests deploy."""

from __future__ import annotations

from typing import Any

import yaml

Object = dict[str, Any]
WEB = {"app": "web"}


def text(*objects: Object) -> str:
    """Objects as a multi-document file."""
    return yaml.safe_dump_all(objects, sort_keys=False)


def cluster(nodes: int = 1, clients: int = 1, mode: str = "iptables", family: str = "ipv4") -> Object:
    """The document that says what Kubernetes does not."""
    return {
        "apiVersion": "testbed.dev/v1alpha1",
        "kind": "Cluster",
        "metadata": {"name": "small"},
        "networking": {"ipFamily": family, "kubeProxyMode": mode},
        "nodes": [{"role": "worker", "count": nodes}],
        "clients": clients,
    }


def container(**fields: Any) -> Object:
    """A container that serves HTTP and echoes UDP, unless it has a command."""
    ports = [{"name": "http", "containerPort": 8080}, {"containerPort": 5353, "protocol": "UDP"}]
    return {"name": "app", "image": "served", "ports": ports, **fields}


def pod(name: str = "web", labels: Object | None = None, spec: Object | None = None, **fields: Any) -> Object:
    """A pod of one container with these `fields`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": WEB if labels is None else labels},
        "spec": {"containers": [container(**fields)], **(spec or {})},
    }


def pods(count: int, name: str = "web") -> list[Object]:
    """As many pods, `web-1`, `web-2`, …, each labelled app=<name>."""
    return [pod(f"{name}-{number}", {"app": name}) for number in range(1, count + 1)]


def deployment(replicas: int, name: str = "web", **fields: Any) -> Object:
    """A Deployment of such pods."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container(**fields)]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template},
    }


def service(name: str = "web", selector: Object | None = None, **spec: Any) -> Object:
    """A Service at 10.96.0.10:80 in front of the pods' HTTP port."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    wanted = {"selector": WEB if selector is None else selector, "clusterIP": "10.96.0.10", "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": wanted | spec}


def many(objects: list[Object]) -> Object:
    """A List, as `kubectl get -o yaml` prints it."""
    return {"apiVersion": "v1", "kind": "List", "items": objects}
