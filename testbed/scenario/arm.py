"""One arm, built: a lab instance with its Services, a worker inside, and the paths that its probes take.

Knows a Spec and how lab instances are driven. Knows neither the order of blocks nor what figures mean.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from ipaddress import IPv4Address
from typing import Any

from testbed.bench.probes.path import Endpoint, Path
from testbed.bench.results.model import Arm
from testbed.bench.traffic.background import Load
from testbed.bench.traffic.frames import Headers
from testbed.bench.worker.client import Worker
from testbed.cluster import daemon, layout
from testbed.cluster.rpc import Client
from testbed.errors import UsageError
from testbed.kube import client as kube
from testbed.kube.objects import Manifest
from testbed.machine import sandbox
from testbed.scenario import fillers
from testbed.scenario.shape import DISCARD_PORT, NAMESPACE, NO_DATAPATH, cluster_for
from testbed.scenario.spec import ArmSpec, Spec

READY_SECONDS = 600.0


class BuiltArm:
    """A lab instance that is ready to be measured. Close it, or use it with `with`."""

    def __init__(self, spec: Spec, arm: ArmSpec, name: str, cpus: tuple[int, int]) -> None:
        self.spec, self.arm = spec, arm
        self._noise_cpu, probe_cpu = cpus
        cluster = cluster_for(spec.loaded, arm.datapath, arm.variant)
        self._toggle = 0
        self._paths: dict[str, Path] = {}
        self.instance = sandbox.start(name, partial(daemon.run, name, cluster))
        with contextlib.ExitStack() as undo:
            undo.callback(sandbox.destroy, self.instance)
            self.client = undo.enter_context(contextlib.closing(Client(self.instance.socket)))
            self.kube = undo.enter_context(kube.Client(self.instance.kube_socket))
            self._fill()
            self.network = self.client.call("inspect")["network"]
            self.worker = undo.enter_context(Worker(self.instance.enter_argv(), probe_cpu))
            self._undo = undo.pop_all()

    def close(self) -> None:
        """End the worker and the lab instance."""
        self._undo.close()

    def _fill(self) -> None:
        """All Services, then one full pass: it lays lists of rules in the order of names, our target last."""
        others = list(fillers.manifests(max(0, self.arm.services - 1)))
        for manifests in (others, self.spec.loaded.manifests):
            if manifests:
                self.kube.apply(manifests)
                self.client.call("wait", timeout=READY_SECONDS)
        network = self.client.call("inspect")["network"]
        self.node = network["nodes"][0]["name"]
        self.full_sync = self.resync() if self.arm.datapath != NO_DATAPATH else None

    @property
    def rules(self) -> Mapping[str, int]:
        """The size of the kernel's state as the datapath reads it back; empty without one."""
        if not self.client.call("inspect")["agents"]:
            return {}
        size: Mapping[str, int] = self.client.call("observe", node=self.node)["size"]
        return size

    def described(self) -> Arm:
        """The arm as a result file has it."""
        arm = self.arm
        words = filter(None, (arm.path if arm.path == "direct" else arm.datapath, arm.variant))
        endpoints = len(self._targets())
        return Arm(
            arm.id, arm.datapath, arm.variant, arm.path, arm.services, endpoints, self.rules, " ".join(words)
        )

    def path(self, protocol: str) -> Path:
        """The way from the client to the target: to one pod's address, or to the Service's.

        Looked up once: it does not change.
        """
        if protocol not in self._paths:
            self._paths[protocol] = self._find_path(protocol)
        return self._paths[protocol]

    def _find_path(self, protocol: str) -> Path:
        client, targets = self._pod(self.spec.client), self._targets()
        direct = self.arm.path == "direct"
        ports = {"UDP": self.spec.target.udp_port, "TCP": self.spec.target.tcp_port}
        destination, port = self._service_address(), ports[protocol]
        if direct:
            targets = targets[:1]
            destination, port = targets[0]["addresses"][0], self._target_port(protocol)
        return Path(
            client["netns"], client["device"], client["addresses"][0], layout.HOST_SIDE_MAC, destination, port,
            tuple(Endpoint(pod["netns"], pod["device"], pod["addresses"][0]) for pod in targets), protocol,
        )  # fmt: skip

    def noise(self, rate: float) -> Load:
        """A background load from one pod straight to another, over the same node."""
        if self.spec.noise is None:
            raise UsageError(f"scenario {self.spec.name}: a load is asked for, but nobody makes noise")
        sender, sink = (self._pod(name) for name in self.spec.noise)
        headers = Headers(
            sender["mac"],
            layout.HOST_SIDE_MAC,
            sender["addresses"][0],
            sink["addresses"][0],
            DISCARD_PORT,
            "UDP",
        )
        return Load(sender["netns"], sender["device"], headers, rate, cpu=self._noise_cpu)

    def flush(self) -> None:
        """Forget all connections of the node."""
        self.worker.flush_conntrack([self.node])

    def change_endpoint(self) -> dict[str, Any]:
        """Move one endpoint of one other Service, and return the agent's timings of that round."""
        self._toggle += 1
        moved = fillers.endpoint_slice(0, IPv4Address("10.244.255.1") + self._toggle % 2)
        manifest = Manifest(moved, fillers.NOWHERE)
        before = self.syncs()[-1]["number"]
        self.kube.apply([manifest])
        self.client.call("wait", timeout=READY_SECONDS)
        latest = self.syncs()[-1]
        if latest["number"] == before:
            raise UsageError(f"arm {self.arm.id}: the changed endpoint led to no sync")
        return latest

    def syncs(self) -> list[dict[str, Any]]:
        """The timings of the node's agent, oldest first; empty without a datapath."""
        if not self.client.call("inspect")["agents"]:
            return []
        told: list[dict[str, Any]] = self.client.call("syncs", node=self.node)
        return told

    def resync(self) -> dict[str, Any]:
        """A full pass of the node's agent, and its timings."""
        self.client.call("resync", node=self.node)
        return self.syncs()[-1]

    def _pod(self, name: str) -> dict[str, Any]:
        for pod in self.network["pods"]:
            if (pod["namespace"], pod["name"]) == (NAMESPACE, name):
                found: dict[str, Any] = pod
                return found
        raise UsageError(f"scenario {self.spec.name}: no pod {name!r} in its manifests")

    def _targets(self) -> list[dict[str, Any]]:
        names = sorted(e["targetRef"]["name"] for piece in self._slices() for e in piece["endpoints"])
        if not names:
            service = self.spec.target.service
            raise UsageError(f"scenario {self.spec.name}: the Service {service!r} has no endpoints")
        return [self._pod(name) for name in names]

    def _slices(self) -> list[dict[str, Any]]:
        """The EndpointSlices of the target, and none of the thousands of others."""
        query = kube.Query(labels=f"kubernetes.io/service-name={self.spec.target.service}")
        return self.kube.list("EndpointSlice", NAMESPACE, query).items

    def _service_address(self) -> str:
        service = self.kube.get("Service", NAMESPACE, self.spec.target.service)
        return str(service["spec"]["clusterIP"])

    def _target_port(self, protocol: str) -> int:
        """The pods' own port behind the Service's port of this protocol."""
        ports = [port for piece in self._slices() for port in piece["ports"]]
        return next(int(p["port"]) for p in ports if p["protocol"] == protocol)
