"""The kubelets of all nodes in one loop: what each one would do for its own pods, done for all.

Watches Pods and Nodes, hands batches to the network and to the pod server, writes statuses. Knows the store.
What happens to a single pod is `pod.py`.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from testbed.cluster.kubelet.backoff import LONGEST
from testbed.cluster.kubelet.contract import Argv, Clock, Machinery, PodKey, PodNetwork, Serving
from testbed.cluster.kubelet.loop import Loop, Task, Timer
from testbed.cluster.kubelet.pod import Pod
from testbed.cluster.kubelet.prober import NetworkProber
from testbed.cluster.kubelet.processes import HostProcesses
from testbed.cluster.kubelet.served import Exited, Opened, ServedContainer, ServedContainers
from testbed.cluster.kubelet.status import stamp
from testbed.cluster.kubelet.wiring import Attached, Wiring, pod_key
from testbed.cluster.layout import pod_namespace
from testbed.cluster.podserver.spec import PodSpec
from testbed.errors import NotFound
from testbed.kube.controllers.events import record, warn
from testbed.kube.store import Event, EventType, Object, Store, end
from testbed.machine.netns import FOLDER


def real_machinery(netns_folder: Path = FOLDER, longest_backoff: float = LONGEST) -> Machinery:
    """Everything as it is on this machine; namespaces are those named in `netns_folder`."""
    return Machinery(
        processes=HostProcesses(netns_folder),
        prober=NetworkProber(netns_folder),
        clock=Clock(lambda: datetime.now(UTC), time.monotonic),
        network_executor=ThreadPoolExecutor(1, "kubelet-network"),
        serving_executor=ThreadPoolExecutor(1, "kubelet-serving"),
        longest_backoff=longest_backoff,
    )


class Kubelets:
    """The kubelets of all nodes that are in the store.

    A container without a command is served by `serving`; what others write lies in `folder` (see `logs.py`),
    their volumes in `volumes` of it.
    """

    def __init__(
        self,
        store: Store,
        network: PodNetwork,
        serving: Serving,
        folder: Path,
        machinery: Machinery | None = None,
    ) -> None:
        self._machinery = machinery or real_machinery()
        self.longest_backoff = self._machinery.longest_backoff
        self._store, self._serving, self.log_folder = store, serving, folder
        self.volume_folder = folder / "volumes"  # no pod's folder is called so: those have a _
        self._told: list[tuple[Object, str, str, bool]] = []  # events to record with the next statuses
        self.processes, self.prober = self._machinery.processes, self._machinery.prober
        self._clock = self._machinery.clock
        self._watch = store.watch(("Node", "Pod"))
        self._loop = Loop(self._clock.monotonic, self._watch.poke)
        self._wiring = Wiring(network, self._loop, self._machinery.network_executor)
        self._served = ServedContainers(
            serving, self._loop, self._machinery.serving_executor, self._clock.monotonic
        )
        self._pods: dict[PodKey, Pod] = {}
        self._changed: dict[Pod, None] = {}
        self._thread = threading.Thread(target=self._run, name="kubelets", daemon=True)
        self._stopping = False

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the pod server and the loop's thread."""
        self.begin()
        self._thread.start()

    def begin(self) -> None:
        """Start the pod server: for who calls `step` in a thread of their own."""
        self._served.start_server()

    def stop(self) -> None:
        """End the loop, every container and the pod server. Pods and their links stay as they are."""
        self._stopping = True
        self._watch.close()
        self._thread.join()
        self._machinery.prober.stop()
        self._machinery.processes.stop()
        self._machinery.network_executor.shutdown()
        self._machinery.serving_executor.shutdown()
        self._serving.stop()

    def step(self, timeout: float | None = 0.0) -> None:
        """One round: wait up to `timeout` seconds (None: for ever) for something to do, and do it."""
        idle = 0.0 if self._changed else self._loop.idle()
        waits = [seconds for seconds in (timeout, idle) if seconds is not None]
        for event in self._watch.drain(min(waits, default=None)):
            self._on_event(event)
        self._loop.run_due()
        for pod in tuple(self._changed):
            pod.advance()
        self._wiring.flush()
        self._served.flush()
        self._write_statuses()

    def enter(self, namespace: str, name: str, container: str, argv: Sequence[str]) -> Argv:
        """What to run in the pod's network namespace so that `argv` runs in all of a container's namespaces.

        An empty container name means the first. May be called from any thread. Raises NotFound.
        """
        pod = self._pods.get((namespace, name))
        if pod is None:
            raise NotFound(f"Pod {namespace}/{name} does not run here")
        return pod.enter(container, tuple(argv))

    def _run(self) -> None:
        while not self._stopping:
            self.step(None)

    # ── what pods ask for (pod.PodHost) ──────────────────────────────────────────────────────────────────

    def now(self) -> datetime:
        """The time of day."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return self._clock.monotonic()

    def post(self, task: Task) -> None:
        """Do something in the loop; called from any thread."""
        self._loop.post(task)

    def after(self, seconds: float, task: Task) -> Timer:
        """Do something later in the loop."""
        return self._loop.after(seconds, task)

    def serve(self, spec: PodSpec, opened: Opened, exited: Exited) -> ServedContainer:
        """Have the pod server serve a container."""
        return self._served.start(spec, opened, exited)

    def lookup(self, namespace: str, kind: str, name: str) -> Object | None:
        """A ConfigMap or a Secret."""
        return self._store.get(kind, namespace, name)

    def tell(self, pod: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """Record an event about the pod, with the next statuses."""
        self._told.append((pod, reason, message, warning))

    def attach(self, pod: Object, done: Attached) -> None:
        """Attach a pod to its node."""
        self._wiring.attach(pod, done)

    def changed(self, pod: Pod) -> None:
        """The pod has a next step to do, or another status."""
        self._changed[pod] = None

    def finished(self, pod: Pod) -> None:
        """Nothing of the pod runs any more and nothing will: take it away."""
        self._wiring.detach(pod.key, partial(self._remove, pod))

    # ── from and to the store ────────────────────────────────────────────────────────────────────────────

    def _on_event(self, event: Event) -> None:
        obj = event.object
        if obj["kind"] == "Pod":
            self._on_pod(event.type, obj)
        elif event.type is EventType.ADDED:
            # Bound to this node before there was one; in the order in which that happened, as events come.
            for pod in sorted(
                self._store.list("Pod"), key=lambda pod: int(pod["metadata"]["resourceVersion"])
            ):
                if pod["spec"].get("nodeName") == obj["metadata"]["name"]:
                    self._on_pod(EventType.MODIFIED, pod)

    def _on_pod(self, kind: EventType, obj: Object) -> None:
        pod = self._pods.get(pod_key(obj))
        if kind is EventType.DELETED:
            self._forget(pod, obj["metadata"]["uid"])
        elif pod is None:
            self._admit(obj)
        elif pod.uid == obj["metadata"]["uid"]:
            pod.update(obj)

    def _admit(self, obj: Object) -> None:
        """Take on a pod that is bound to a node that is here, unless it has ended and only finalizers hold it."""
        if obj["metadata"].get("deletionGracePeriodSeconds") == 0:
            return
        node = self._store.get("Node", "", obj["spec"].get("nodeName") or "")
        if node is None:
            return
        addresses = node.get("status", {}).get("addresses", ())
        host_ips = tuple(a["address"] for a in addresses if a["type"] == "InternalIP")
        pod = self._pods[pod_key(obj)] = Pod(obj, self, host_ips)
        pod.begin()
        pod.update(obj)

    def _forget(self, pod: Pod | None, uid: str) -> None:
        """The object is gone. If that was not our own doing, what it left behind goes now."""
        if pod is not None and pod.uid == uid:
            del self._pods[pod.key]
            self._changed.pop(pod, None)
            pod.kill()
            self._wiring.detach(pod.key, partial(self._clear, pod))

    def _remove(self, pod: Pod) -> None:
        """The last step of a deletion."""
        if self._pods.get(pod.key) is pod:
            self._clear(pod)
            del self._pods[pod.key]
            self._changed.pop(pod, None)
            with self._store.transaction():
                obj = self._current(pod)
                if obj is not None:
                    end(self._store, obj, 0)  # finalizers may still hold the object

    def _clear(self, pod: Pod) -> None:
        """Its volumes and its logs go with it."""
        for folder in (self.volume_folder, self.log_folder):
            shutil.rmtree(folder / pod_namespace(*pod.key), ignore_errors=True)

    def _current(self, pod: Pod) -> Object | None:
        """The pod's object, unless it is gone or another one has its name by now."""
        obj = self._store.get("Pod", *pod.key)
        return obj if obj is not None and obj["metadata"]["uid"] == pod.uid else None

    def _write_statuses(self) -> None:
        now = stamp(self._clock.now())
        changed, self._changed = self._changed, {}
        told, self._told = self._told, []
        with self._store.transaction():  # one for all: what became ready together is one change for watchers
            for pod in changed:
                if pod.opening:
                    continue  # to spare every watcher one of the two changes that a start would be
                obj = self._current(pod)
                if obj is not None:
                    pod.update(obj)  # not to undo what somebody else wrote to the status meanwhile
                    self._store.update({**obj, "status": pod.status(now)})
            for about, reason, message, warning in told:
                (warn if warning else record)(self._store, "kubelet", about, reason, message)
