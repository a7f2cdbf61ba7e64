"""A store with all controllers, worked by hand, and a kubelet that only says what a test tells it to say."""

from __future__ import annotations

import datetime
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from testbed.kube.api import Registry
from testbed.kube.controllers import Manager, all_controllers, create_nodes
from testbed.kube.controllers.metadata import pod_ready
from testbed.kube.objects import KINDS, Manifest
from testbed.kube.store import Object, Store, terminating
from tests.unit.kube.api.builders import cluster, stored


class Clock:
    """A time of day that stands until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> datetime.datetime:
        return datetime.datetime.fromtimestamp(self.seconds, datetime.UTC)


class Playground:
    """Everything settles before the next step."""

    def __init__(self, ip_family: str = "dual", nodes: int = 3, service_subnet: str = "") -> None:
        self.clock = Clock()
        self.store, config = Store(self.clock), cluster(ip_family, nodes)
        if service_subnet:
            networking = replace(config.networking, service_subnets=(ip_network(service_subnet),))
            config = replace(config, networking=networking)
        create_nodes(self.store, config)
        self.registry = Registry(self.store, config)
        self.manager = Manager(self.store, all_controllers(config))
        self._addresses: dict[str, int] = {}

    def apply(self, *manifests: Manifest) -> None:
        self.registry.apply(manifests)
        self.settle()

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        self.registry.delete(kind, namespace, name)
        self.settle()

    def settle(self) -> None:
        assert self.manager.settle(30), "the controllers find no rest"

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        return stored(self.store, kind, name, namespace)

    def names(self, kind: str) -> list[str]:
        return [obj["metadata"]["name"] for obj in self.store.list(kind)]

    def living(self) -> list[str]:
        """The names of all pods that are not told to end."""
        return [p["metadata"]["name"] for p in self.store.list("Pod") if not terminating(p)]

    def later(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.seconds += seconds
        self.settle()

    def told(self, kind: str, name: str) -> list[tuple[str, str, int]]:
        """The events about an object: reason, message and count, in the order in which they came."""
        events = sorted(self.store.list("Event"), key=lambda e: int(e["metadata"]["resourceVersion"]))
        about = [
            e for e in events if (e["involvedObject"]["kind"], e["involvedObject"]["name"]) == (kind, name)
        ]
        return [(e["reason"], e["message"], e["count"]) for e in about]

    def node_of(self, pod: str) -> str | None:
        node: str | None = self.get("Pod", pod)["spec"].get("nodeName")
        return node

    def change(self, kind: str, name: str, **fields: Any) -> None:
        """Replace fields at the top of an object."""
        namespace = "default" if KINDS[kind].namespaced else ""
        self.store.mutate(kind, namespace, name, lambda old: {**old, **fields})
        self.settle()

    def report(self, pod: str, *, ready: bool = True, phase: str = "Running") -> None:
        """What a kubelet says of a pod. A pod's addresses follow from the order in which pods are first seen."""
        number = self._addresses.setdefault(pod, len(self._addresses) + 1)
        ips = [{"ip": f"10.244.0.{number}"}, {"ip": f"fd00:10:244::{number:x}"}]
        condition = {"type": "Ready", "status": "True" if ready else "False"}
        condition["lastTransitionTime"] = self.store.timestamp()
        self.change("Pod", pod, status={"phase": phase, "podIPs": ips, "conditions": [condition]})

    def all_ready(self) -> None:
        """Every pod that is not ready and not about to end becomes ready; those about to end are gone."""
        while waiting := [
            p for p in self.store.list("Pod") if terminating(p) or not p["status"].get("podIPs")
        ]:
            for pod in waiting:
                if terminating(pod):
                    self.gone(pod["metadata"]["name"])
                else:
                    self.report(pod["metadata"]["name"])

    def ready_pods(self) -> list[str]:
        """The names of all pods that are Ready and not told to end."""
        return [p["metadata"]["name"] for p in self.store.list("Pod") if pod_ready(p) and not terminating(p)]

    def gone(self, pod: str) -> None:
        """A kubelet has ended a pod."""
        self.store.delete("Pod", "default", pod)
        self.settle()

    def slices(self, service: str = "web") -> list[Object]:
        label = "kubernetes.io/service-name"
        found = self.store.list("EndpointSlice")
        return [s for s in found if (s["metadata"].get("labels") or {}).get(label) == service]

    def endpoints(self, service: str = "web", family: str = "IPv4") -> dict[str, Object]:
        """The Service's endpoints of one family by pod."""
        found: dict[str, Object] = {}
        for slice_ in self.slices(service):
            if slice_["addressType"] == family:
                for endpoint in slice_["endpoints"]:
                    name = endpoint["targetRef"]["name"]
                    assert name not in found, f"{name} is an endpoint twice"
                    found[name] = endpoint
        return found
