"""What objects cost: loading, admission, allocation, scheduling and endpoint slices at cluster size. No root.

    .venv/bin/python benchmarks/bench_objects.py --services 10000 --pods 1000

CPU seconds of this process (others on the machine do not count), the median of some repeats, each in a store of
its own.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from testbed.kube.api.registry import Registry
from testbed.kube.controllers import Manager, all_controllers, create_nodes
from testbed.kube.objects import ClusterConfig, Manifest, NodeConfig, Source, load_text
from testbed.kube.store import Object, Store
from testbed.machine import collecting

NODES = 10
SETTLE_SECONDS = 120.0
SOURCE = Source("(made)", {"": 1})
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: service-{0}}}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {{app: app-{0}}}
  ports:
  - {{name: http, port: 80, targetPort: 8080}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata:
  name: pod-{0}
  labels: {{app: app-{0}}}
spec:
  containers:
  - {{name: web, image: served}}
"""


@dataclass(frozen=True, slots=True)
class Size:
    """How many of each."""

    services: int
    pods: int


class Cluster:
    """Store, admission and controllers, with nobody to run the pods."""

    def __init__(self) -> None:
        cluster = ClusterConfig("bench", tuple(NodeConfig(f"node{n + 1}") for n in range(NODES)))
        self.store = Store()
        create_nodes(self.store, cluster)
        self.registry = Registry(self.store, cluster)
        self.manager = Manager(self.store, all_controllers(cluster))

    def settle(self) -> None:
        """Until the controllers are at rest."""
        self.manager.settle(SETTLE_SECONDS)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--pods", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    collecting.rarely()  # as the daemon does
    size = Size(arguments.services, arguments.pods)
    found: dict[str, list[float]] = {}
    for _ in range(arguments.repeats):
        for what, seconds in steps(size):
            found.setdefault(what, []).append(seconds)
    for what, times in found.items():
        print(f"{what:<58} {statistics.median(times):9.4f} s  ({min(times):.4f} to {max(times):.4f})")


def steps(size: Size) -> Iterator[tuple[str, float]]:
    """Every step of one repeat with its CPU seconds."""
    text = "---".join(SERVICE.format(n) for n in range(size.services))
    pods = [m for n in range(size.pods) for m in load_text(POD.format(n), "pods").manifests]
    loaded, seconds = timed(lambda: load_text(text, "services").manifests)
    yield f"load and validate {size.services} Services", seconds
    cluster = Cluster()
    yield (
        f"admit {size.services} Services, addresses included",
        timed(lambda: cluster.registry.apply(loaded))[1],
    )
    yield f"endpoint slices of {size.services} Services", timed(cluster.settle)[1]
    yield f"admit {size.pods} pods", timed(lambda: cluster.registry.apply(pods))[1]
    yield f"schedule {size.pods} pods on {NODES} nodes", timed(cluster.settle)[1]
    report_ready(cluster.store, "pod-0")
    yield "one pod ready: its slices, among all others", timed(cluster.settle)[1]
    one = Manifest({**loaded[0].body, "metadata": {"name": "late", "namespace": "default"}}, SOURCE)
    yield "admit one more Service", timed(lambda: cluster.registry.apply([one]))[1]


def report_ready(store: Store, name: str) -> None:
    """What a kubelet writes when a pod has become ready."""
    ready = [{"type": "Ready", "status": "True"}]
    status = {
        "phase": "Running",
        "podIP": "10.244.0.9",
        "podIPs": [{"ip": "10.244.0.9"}],
        "conditions": ready,
    }

    def change(pod: Object) -> Object:
        return {**pod, "status": {**pod.get("status", {}), **status}}

    store.mutate("Pod", "default", name, change)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the CPU seconds that it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


if __name__ == "__main__":
    main()
