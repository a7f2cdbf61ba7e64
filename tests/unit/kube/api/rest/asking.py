"""An API over a small cluster, and requests to it as short as they can be written."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from testbed.cluster.kubelet.logreading import LogReader
from testbed.kube.api import Registry
from testbed.kube.api.rest import Api, Request, Response
from testbed.kube.objects import Manifest
from testbed.kube.store import Store
from tests.unit.kube.api.builders import started

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
DEFAULT = "/api/v1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"


@dataclass
class Asked:
    """One API, and where its pods' logs lie."""

    store: Store
    registry: Registry
    logs: Path = Path("/nonexistent")
    api: Api = field(init=False)

    def __post_init__(self) -> None:
        self.api = Api(self.store, self.registry, LogReader(self.logs), now=lambda: NOW)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        """Send a request; `path` may have a query, headers have `_` for `-`."""
        path, _, query = path.partition("?")
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        found = dict(parse_qsl(query, keep_blank_values=True))
        return self.api.handle(Request(method, path, found, given, data))

    def get(self, path: str, **headers: str) -> Any:
        """The JSON of an answer with code 200."""
        return value(self.ask("GET", path, **headers), 200)

    def post(self, path: str, body: Any, code: int = 201) -> Any:
        """Create something."""
        return value(self.ask("POST", path, body), code)

    def patch(self, path: str, body: Any, kind: str = "merge", code: int = 200) -> Any:
        """Patch something; `kind` is json, merge or strategic-merge."""
        return value(self.ask("PATCH", path, body, content_type=f"application/{kind}-patch+json"), code)

    def events(self, path: str, count: int) -> list[dict[str, Any]]:
        """The first events of a watch."""
        stream = self.ask("GET", path).body
        assert not isinstance(stream, bytes), stream
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += [json.loads(line) for line in next(stream).splitlines()]
        stream.close()
        return found

    def apply(self, *manifests: Manifest) -> None:
        """Bring objects in."""
        self.registry.apply(manifests)


def asked(ip_family: str = "dual") -> Asked:
    """An API over a cluster of three nodes."""
    return Asked(*started(ip_family))


def value(response: Response, code: int) -> Any:
    """The JSON of an answer, which must have this code."""
    assert isinstance(response.body, bytes)
    found = json.loads(response.body)
    assert response.code == code, found
    return found


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A Service's body."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], "selector": {"app": name}} | spec,
    }


def config_map(name: str = "c", **metadata: Any) -> dict[str, Any]:
    """A ConfigMap's body: the plainest kind that there is."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": {"a": "b"},
    }


def deployment(name: str = "web", replicas: int = 3) -> dict[str, Any]:
    """A Deployment's body."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def names(found: Mapping[str, Any]) -> list[str]:
    """The names in a list."""
    return [item["metadata"]["name"] for item in found["items"]]


def causes(status: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Field and reason of each cause of a Status."""
    return [(cause["field"], cause["reason"]) for cause in status["details"]["causes"]]
