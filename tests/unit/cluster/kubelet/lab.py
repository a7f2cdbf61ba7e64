"""Kubelets over a store with one node and pretended machinery: time moves when a test says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testbed.cluster.kubelet.fake import FakeMachinery
from testbed.cluster.kubelet.kubelets import Kubelets
from testbed.kube.store.ending import end
from testbed.kube.store.store import Object, Store

NODE = {
    "kind": "Node",
    "metadata": {"name": "node1"},
    "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]},
}
SERVED = {"name": "app", "image": "nginx", "ports": [{"containerPort": 80, "name": "http"}]}
COMMAND = {"name": "app", "command": ["run"]}
ROUNDS = 8  # more than any chain of consequences here is long


def pod(
    name: str = "web", *containers: Mapping[str, Any], node: str = "node1", **spec: Any
) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": list(containers or [SERVED]), **spec},
    }


def ready_of(pod: Object) -> bool:
    [ready] = [c["status"] for c in pod["status"]["conditions"] if c["type"] == "Ready"]
    return bool(ready == "True")


class Lab:
    """Kubelets over a store with one node."""

    def __init__(self, folder: Path) -> None:
        self.store = Store()
        self.store.create({"kind": "Namespace", "metadata": {"name": "default"}})
        self.fake = FakeMachinery()
        self.kubelets = Kubelets(
            self.store, self.fake.network, self.fake.serving, folder, self.fake.machinery()
        )
        self.kubelets.begin()

    def settle(self, seconds: float = 0.0) -> None:
        """Move the clock, and let everything happen that follows."""
        self.fake.time.seconds += seconds
        for _ in range(ROUNDS):
            self.kubelets.step()

    def run(self, *pods: Mapping[str, Any]) -> None:
        for each in pods:
            self.store.create(each)
        self.settle()

    def pod(self, name: str = "web") -> Object:
        found = self.store.get("Pod", "default", name)
        assert found is not None
        return found

    def status(self, name: str = "web") -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.pod(name)["status"]
        return status

    def container(self, name: str = "web") -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.status(name)["containerStatuses"][0]
        return status

    def ready(self, name: str = "web") -> bool:
        return ready_of(self.pod(name))

    def delete(self, name: str = "web", grace: int | None = None) -> None:
        end(self.store, self.pod(name), grace)
        self.settle()

    def gone(self, name: str = "web") -> bool:
        return self.store.get("Pod", "default", name) is None

    def told(self) -> list[tuple[str, str]]:
        """Reason and message of each event, in their order."""
        events = sorted(self.store.list("Event"), key=lambda e: int(e["metadata"]["resourceVersion"]))
        return [(event["reason"], event["message"]) for event in events]

    @property
    def process(self) -> Any:
        return self.fake.processes.started[-1]
