"""One pod from bound to gone: attached, its containers started in order, terminated, detached.

Knows the order of things (kubelet's pod worker). Knows nothing of how a container runs.
"""

from __future__ import annotations

from typing import Protocol

from testbed.cluster.kubelet.container import Container
from testbed.cluster.kubelet.contract import Argv, PodAttachment
from testbed.cluster.kubelet.host import Host, PodFacts
from testbed.cluster.kubelet.podspec import grace_of, restart_policy
from testbed.cluster.kubelet.status import PodReport, pod_status, stamp
from testbed.cluster.kubelet.wiring import Attached, pod_key
from testbed.errors import TestbedError
from testbed.kube.store.ending import terminating
from testbed.kube.store.store import Object

ATTACH_AGAIN_SECONDS = 1.0


class PodHost(Host, Protocol):
    """What the kubelets do for a pod."""

    def attach(self, pod: Object, done: Attached) -> None:
        """Attach a pod to its node; see Wiring.attach."""
        ...

    def changed(self, pod: Pod) -> None:
        """The pod has a next step to do, or another status."""
        ...

    def finished(self, pod: Pod) -> None:
        """Nothing of the pod runs any more and nothing will."""
        ...


class Pod:
    """A bound pod. Every method is called in the kubelets' loop."""

    def __init__(self, obj: Object, host: PodHost, host_ips: tuple[str, ...]) -> None:
        self.key, self.uid = pod_key(obj), obj["metadata"]["uid"]
        self._host = host
        self._facts = PodFacts(obj, self.key, host_ips, lambda: host.changed(self))
        spec = obj["spec"]
        self._inits = [Container(self._facts, c, host, init=True) for c in spec.get("initContainers") or ()]
        self._containers = [Container(self._facts, c, host) for c in spec["containers"]]
        self._start_time = stamp(host.now())
        self._attached = False
        self._attach_error = ""
        self._finished = False
        self._grace = float("inf")
        self._deadline = 0.0  # when the grace period is over, in monotonic seconds

    def begin(self) -> None:
        """Ask for its place in the network; everything else follows from that."""
        self._host.attach(self._facts.pod, self._attach_done)
        self._facts.changed()

    def update(self, obj: Object) -> None:
        """Take a new version of the object: labels, status, and the wish that it ends."""
        self._facts.pod = obj
        if terminating(obj) and grace_of(obj) < self._grace:
            self._terminate(grace_of(obj))

    def advance(self) -> None:
        """Do the next step: the next init container, all containers, or the end."""
        if self._facts.terminating:
            if not any(c.running for c in self._mains()):
                self._stop(self._sidecars(), max(0.0, self._deadline - self._host.monotonic()))
            if not self._finished and not any(c.running for c in self._all()):
                self._finished = True
                self._host.finished(self)
        elif self._attached:
            while containers := self._next():
                for container in containers:
                    container.start()
            if all(container.over for container in self._containers):
                for sidecar in self._sidecars():
                    sidecar.retire(grace_of(self._facts.pod))

    def kill(self) -> None:
        """End everything at once, because the object is gone. What becomes of the rest is no concern of its."""
        self._facts.terminating = self._finished = True
        for container in self._all():
            container.kill()

    def status(self, now: str) -> Object:
        """Its status as it should be written."""
        report = PodReport(
            restart_policy=restart_policy(self._facts.pod),
            start_time=self._start_time,
            host_ips=self._facts.host_ips,
            pod_ips=self._facts.ips,
            attached=self._attached,
            attach_error=self._attach_error,
            inits=tuple(container.report() for container in self._inits),
            containers=tuple(container.report() for container in self._containers),
        )
        return pod_status(report, self._facts.pod.get("status") or {}, now)

    @property
    def opening(self) -> bool:
        """True while its status is not worth telling: another one follows in a moment."""
        return any(container.opening for container in (*self._containers, *self._sidecars()))

    def enter(self, container: str, argv: Argv) -> Argv:
        """What to run so that `argv` runs in a container's namespaces (the network's apart)."""
        found = (c for c in (*self._containers, *self._inits) if c.name == container or not container)
        return next(found).enter(argv)

    def _all(self) -> list[Container]:
        return [*self._inits, *self._containers]

    def _sidecars(self) -> list[Container]:
        return [container for container in self._inits if container.sidecar]

    def _mains(self) -> list[Container]:
        """All that end before the sidecars do."""
        return [container for container in self._all() if not container.sidecar]

    def _stop(self, containers: list[Container], grace: float) -> None:
        """What is being ended already keeps its time, unless there is less of it now."""
        for container in containers:
            if container.running and not container.stopping:
                container.stop(grace)

    def _next(self) -> list[Container]:
        """The containers to start now: init containers one after the other, then all others together."""
        pending = [container for container in self._inits if not container.done]
        group = pending[:1] or self._containers
        return [container for container in group if not container.begun]

    def _attach_done(self, place: PodAttachment | TestbedError) -> None:
        if self._facts.terminating:
            return
        if isinstance(place, TestbedError):
            self._attach_error = str(place)
            self._host.tell(self._facts.pod, "FailedCreatePodSandBox", str(place), warning=True)
            self._host.after(ATTACH_AGAIN_SECONDS, self._attach_again)
        else:
            self._facts.netns, self._facts.ips = place.netns, place.ips
            self._attached = True
        self._facts.changed()

    def _attach_again(self) -> None:
        if not self._facts.terminating:
            self._host.attach(self._facts.pod, self._attach_done)

    def _terminate(self, grace: float) -> None:
        self._facts.terminating = True
        self._grace = grace
        self._deadline = self._host.monotonic() + grace
        for container in self._mains():
            container.stop(grace)
        self._facts.changed()
