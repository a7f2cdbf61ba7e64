"""What a container has around it: the facts of its pod, and what the kubelets do for it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from testbed.cluster.kubelet.contract import PodKey, Prober, Processes
from testbed.cluster.kubelet.loop import Task, Timer
from testbed.cluster.kubelet.served import Exited, Opened, ServedContainer
from testbed.cluster.podserver.spec import PodSpec
from testbed.kube.store.store import Object


@dataclass(slots=True)
class PodFacts:
    """What a container must know of its pod. `changed` is called when its report has changed."""

    pod: Object
    key: PodKey
    host_ips: tuple[str, ...]
    changed: Task
    netns: str = ""
    ips: tuple[str, ...] = ()
    terminating: bool = False


class Host(Protocol):
    """What the kubelets do for a container."""

    processes: Processes
    prober: Prober
    log_folder: Path
    volume_folder: Path
    longest_backoff: float

    def now(self) -> datetime.datetime:
        """The time of day, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        ...

    def post(self, task: Task) -> None:
        """Do something in the loop; called from any thread."""
        ...

    def after(self, seconds: float, task: Task) -> Timer:
        """Do something later in the loop."""
        ...

    def serve(self, spec: PodSpec, opened: Opened, exited: Exited) -> ServedContainer:
        """Have the pod server serve a container; see ServedContainers.start."""
        ...

    def lookup(self, namespace: str, kind: str, name: str) -> Object | None:
        """A ConfigMap or a Secret."""
        ...

    def tell(self, pod: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """Record an event about the pod."""
        ...
