"""How long after a change told to the API does a new flow go the new way? For each datapath, at several sizes.

    python benchmarks/bench_effect.py --services 1000 10000
    python benchmarks/bench_effect.py --kernel uml

A pod sends one datagram after the other to a Service, each from a port of its own, while the Service's one endpoint
moves from one pod to another. The time is from the beginning of the API request to the sending of the first
datagram that the new pod answers: API, store, watch, plan, rendering, kernel. minSyncPeriod is 0 s. Each datapath
has a lab instance of its own; they take turns, change by change.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from testbed.bench.stats.fit import fit_line
from testbed.cluster import daemon
from testbed.cluster.rpc import Client
from testbed.datapaths import find
from testbed.kube import client as kube
from testbed.kube.objects import load_text
from testbed.machine import features, sandbox
from testbed.machine.netns import Netns
from testbed.scenario import fillers

READY_SECONDS = 600.0
PODS = ("old", "new")
PORT = 9
ANSWER_SECONDS = 0.05  # a datagram that has no answer by then is taken for lost
MANIFESTS = """
apiVersion: testbed.dev/v1alpha1
kind: Cluster
metadata: {name: effect}
networking: {ipFamily: ipv4, kubeProxyMode: MODE}
kubeProxy: {MODE: OPTIONS}
nodes: [{}]
---
apiVersion: v1
kind: Service
metadata: {name: target}
spec: {ports: [{name: ask, port: 9, targetPort: 9, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata: {name: caller}
spec: {containers: [{name: c, image: x}]}
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 9, protocol: UDP}]}]}
"""


def main() -> None:
    """Print the table; or, as `prober ADDRESS`, be the pod that asks."""
    if sys.argv[1:2] == ["prober"]:
        probe(sys.argv[2], sys.argv[3])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, nargs="+", default=[1000, 5000, 10000])
    parser.add_argument("--datapaths", nargs="+", default=[], help="e.g. nftables ipvs (default: all)")
    parser.add_argument("--changes", type=int, default=200, help="changes for each datapath and size")
    parser.add_argument("--kernel", choices=["native", "uml"], default="native", help="where to run")
    options = parser.parse_args()
    if options.kernel != "native":
        sys.exit(elsewhere(options.kernel))
    print(f"kernel {platform.release()}, load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| datapath | Services | median, ms | p90 | p99 | worst | changes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    found = {services: measured(services, options) for services in options.services}
    if len(found) > 1:
        print("\n| datapath | slope of log(median) over log(Services) |\n| --- | --- |")
        for name in next(iter(found.values())):
            print(f"| {name} | {slope(found, name)} |")
    print(f"\nload average {os.getloadavg()[0]:.1f}")


def measured(services: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds for each datapath; prints its rows."""
    with contextlib.ExitStack() as stack:
        arms = [stack.enter_context(Arm(*arm, services)) for arm in arms_here(options.datapaths)]
        for _ in range(options.changes):
            for arm in arms:
                arm.change()
        for arm in arms:
            p50, p90, p99 = 1e3 * np.quantile(arm.seconds, (0.5, 0.9, 0.99))
            worst = 1e3 * max(arm.seconds)
            print(
                f"| {arm} | {services:,} | {p50:.1f} | {p90:.1f} | {p99:.1f} | {worst:.1f} | {len(arm.seconds)} |"
            )
        sys.stdout.flush()
        return {str(arm): arm.seconds for arm in arms}


def slope(found: Mapping[int, Mapping[str, list[float]]], name: str) -> str:
    """How the time grows, over tenths of the changes as repeats."""
    points = [
        (services, float(np.median(part)), number)
        for services, arms in found.items()
        for number, part in enumerate(np.array_split(arms[name], 10))
    ]
    x, y, parts = (np.array(column) for column in zip(*points, strict=True))
    line = fit_line(np.log(x), np.log(y), parts.astype(np.int64)).slope
    return f"{line.estimate:.2f} [{line.low:.2f}, {line.high:.2f}]"


def arms_here(wanted: list[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every datapath that this kernel has, in every variant; what it lacks is said."""
    for name in find.names():
        for options in find.choices(name):
            missing = find.load(name, options).missing(features.ThisMachine())
            if missing:
                print(
                    f"not here: {name} {dict(options)}: {'; '.join(m.reason for m in missing)}",
                    file=sys.stderr,
                )
            elif not wanted or name in wanted:
                yield name, options


@dataclass
class Arm:
    """A datapath in a lab instance of its own, with so many other Services."""

    datapath: str
    options: Mapping[str, Any]
    services: int
    seconds: list[float] = field(default_factory=list)
    _turn: int = 0

    def __str__(self) -> str:
        return " ".join((self.datapath, *map(str, self.options.values())))

    def __enter__(self) -> Arm:
        with contextlib.ExitStack() as undo:
            self._start(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _start(self, undo: contextlib.ExitStack) -> None:
        text = MANIFESTS + "".join(POD.replace("NAME", name) for name in PODS)
        options = json.dumps({**self.options, "minSyncPeriod": "0s"})
        loaded = load_text(text.replace("MODE", self.datapath).replace("OPTIONS", options), "bench")
        assert loaded.cluster is not None, loaded.mistakes
        name = f"effect-{os.getpid()}-{'-'.join(str(self).split())}"
        run = partial(daemon.run, name, loaded.cluster, manifests=loaded.manifests)
        instance = sandbox.start(name, run)
        undo.callback(sandbox.destroy, instance)
        self._client = undo.enter_context(Client(instance.socket))
        self._kube = undo.enter_context(kube.Client(instance.kube_socket))
        self._client.call("wait", timeout=READY_SECONDS)
        self._kube.apply([*fillers.manifests(self.services - 1)])
        self._addresses = {p["metadata"]["name"]: p["status"]["podIP"] for p in self._kube.list("Pod").items}
        self._kube.create(self._slice(PODS[0]))
        self._client.call("wait", timeout=READY_SECONDS)
        address = self._kube.get("Service", "default", "target")["spec"]["clusterIP"]
        argv = [
            *instance.enter_argv(),
            sys.executable,
            str(Path(__file__).resolve()),
            "prober",
            "default_caller",
            address,
        ]
        self._prober = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        undo.callback(self._prober.wait)
        undo.callback(self._prober.communicate)
        self._ask(PODS[0], lambda: None)

    def change(self) -> None:
        """Move the endpoint, and note how long that took to be seen."""
        self._turn += 1
        name = PODS[self._turn % 2]
        begun = self._ask(name, lambda: self._kube.replace(self._slice(name)))
        self.seconds.append(begun)
        self._client.call("wait", timeout=READY_SECONDS)

    def _ask(self, name: str, change: Any) -> float:
        """Seconds from the beginning of the change to the first datagram that this pod answered."""
        assert self._prober.stdin is not None
        assert self._prober.stdout is not None
        self._prober.stdin.write(f"{name}\n")
        self._prober.stdin.flush()
        self._prober.stdout.readline()  # it asks now
        begun = time.monotonic()
        change()
        return float(self._prober.stdout.readline()) - begun

    def _slice(self, pod: str) -> dict[str, Any]:
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "target-1",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": "target"},
            },
            "addressType": "IPv4",
            "ports": [{"name": "ask", "port": PORT, "protocol": "UDP"}],
            "endpoints": [{"addresses": [self._addresses[pod]], "conditions": {"ready": True}}],
        }


def probe(netns: str, address: str) -> None:
    """For each name on standard input: ask until that pod answers, then print when it was asked."""
    for line in sys.stdin:
        name = line.strip()
        print("asking", flush=True)
        while True:
            asked = time.monotonic()
            if answered(netns, address) == name:
                break
        print(asked, flush=True)


def answered(netns: str, address: str) -> str:
    """Who answers a datagram from a new port; nobody is empty."""
    with Netns(netns).socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect((address, PORT))
        with contextlib.suppress(OSError):
            asker.send(b"?")
            if select.select([asker], [], [], ANSWER_SECONDS)[0]:
                return str(json.loads(asker.recv(65536))["pod"])
    return ""


def elsewhere(kernel: str) -> int:
    """The same command in a guest."""
    from testbed.machine.kernels import guests

    words = [word for word in sys.argv[1:] if word not in ("--kernel", kernel)]
    with guests.running(kernel) as guest:
        return subprocess.call(guest.argv([sys.executable, *sys.argv[:1], *words]))


if __name__ == "__main__":
    main()
