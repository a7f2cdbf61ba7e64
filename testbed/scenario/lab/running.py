"""The learner's cluster as it is now: objects, the kernel's rules, and connections that are really opened.

`Cluster` is what facts and checks need of it; `Running` is that for a lab instance. Knows the daemon's verbs, the
Kubernetes API and the sandbox; knows neither tasks nor what an answer means.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from testbed.bench.traffic.child import Child, python
from testbed.cluster import layout
from testbed.cluster.rpc import Client
from testbed.errors import NotFound, TestbedError
from testbed.kube.client import Client as Api
from testbed.kube.objects import KINDS
from testbed.machine.run import run
from testbed.machine.sandbox import Instance
from testbed.scenario.lab.rules import Rules

ASK = "testbed.scenario.lab.ask"
NAMESPACE = "default"
WATCHED = ("EndpointSlice", "Node", "Service")  # what an agent's rules follow from
PATIENCE = 2.5  # seconds for an answer; the kernel sends a lost SYN again after one
LOOK_SECONDS = 0.03
READY_SECONDS = 120.0
RECENT = "cd /proc/net/xt_recent 2>/dev/null && grep -H '' KUBE-SEP-* || true"

Object = Mapping[str, Any]
Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one connection: answered by `pod`, which saw `source`; or refused, dropped, failed."""

    outcome: str
    pod: str = ""
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection goes, as it is called in messages, and as a socket needs it."""

    title: str
    address: str
    port: int


class Cluster(Protocol):
    """What facts and checks ask. Names of places: `node1`, `client1`, `pod/web-1`."""

    def objects(self, kind: str) -> Sequence[Object]:
        """The objects of a kind in the namespace of labs, and those without a namespace."""

    def rules(self, node: str) -> Rules:
        """What the node's kernel holds."""

    def shown(self, node: str) -> str:
        """What an operator would look at on the node: the text of its datapath."""

    def present(self, node: str) -> Sequence[str]:
        """Whose rules the node's kernel holds, by datapath and variant."""

    def counted(self, node: str, chain: str) -> int:
        """How many packets the rule of KUBE-SERVICES has counted that leads to a chain."""

    def remembered(self, node: str) -> Mapping[str, Collection[str]]:
        """Of each chain with affinity the sources that the node's kernel remembers."""

    def address(self, place: str) -> str:
        """The IPv4 address of a place. Raises NotFound."""

    def connect(self, place: str, target: Target, count: int) -> Sequence[Answer]:
        """Open connections one after the other. Fewer answers come if too many get none."""

    def pause(self, seconds: float) -> None:
        """Let time pass."""


class Running:
    """A running lab instance. Close it, or use it with `with`."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._client = Client(instance.socket)
        self._api = Api(instance.kube_socket)
        self._asker: Child | None = None

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        if self._asker is not None:
            self._asker.close()
        self._api.close()
        self._client.close()

    def objects(self, kind: str) -> list[Object]:
        """See `Cluster`."""
        namespace = NAMESPACE if KINDS[kind].namespaced else None
        return [*self._api.list(kind, namespace).items]

    def rules(self, node: str) -> Rules:
        """See `Cluster`."""
        return Rules(self.shown(node))

    def shown(self, node: str) -> str:
        """See `Cluster`."""
        return str(self._client.call("show", node=node))

    def present(self, node: str) -> list[str]:
        """See `Cluster`."""
        return [*self._client.call("present")[node]]

    def counted(self, node: str, chain: str) -> int:
        """See `Cluster`."""
        lines = self.run(node, "iptables -t nat -L KUBE-SERVICES -v -x -n").splitlines()
        return next((int(line.split()[0]) for line in lines if f" {chain} " in line), 0)

    def remembered(self, node: str) -> dict[str, set[str]]:
        """See `Cluster`. The lists of the match `recent` are files of the node's network namespace."""
        found: dict[str, set[str]] = {}
        for line in self.run(node, f"sh -c {shlex.quote(RECENT)}").splitlines():
            chain, _, entry = line.partition(":src=")
            found.setdefault(chain, set()).add(entry.split()[0])
        return found

    def address(self, place: str) -> str:
        """See `Cluster`."""
        return str(self._place(place)["addresses"][0])

    def connect(self, place: str, target: Target, count: int) -> list[Answer]:
        """See `Cluster`."""
        request = {"address": target.address, "port": target.port, "count": count, "patience": PATIENCE}
        if self._asker is None:
            self._asker = Child([*self._instance.enter_argv(), *python(ASK)])
        told = self._asker.ask({"netns": self._place(place)["netns"], **request})
        return [Answer(**answer) for answer in told["answers"]]

    def pause(self, seconds: float) -> None:
        """See `Cluster`."""
        time.sleep(seconds)

    def run(self, place: str, command: str) -> str:
        """Run a program in the network namespace of a place; what it printed. Raises CommandFailed."""
        inside = ["ip", "netns", "exec", self._place(place)["netns"], *shlex.split(command)]
        return run([*self._instance.enter_argv(), *inside], where=place).stdout

    def _place(self, place: str) -> dict[str, Any]:
        network = self._client.call("inspect")["network"]
        kind, slash, name = place.rpartition("/")
        if slash and kind == "pod":
            wanted = layout.pod_namespace(NAMESPACE, name)
            found = [pod for pod in network["pods"] if pod["netns"] == wanted]
        else:
            found = [p for p in (*network["nodes"], *network["clients"]) if p["name"] == place]
        if not found:
            raise NotFound(f"there is no {place} in the lab instance {self._instance.name}")
        here: dict[str, Any] = found[0]
        return here

    def settle(self, unready: Collection[str], seconds: float, progress: Progress) -> bool:
        """Wait until every pod but the `unready` is ready, those run, and every node's kernel obeys the objects.

        Gives up after `seconds` and returns False.
        """
        end, before = time.monotonic() + seconds, ""
        while True:
            state = self._state(unready)
            progress(state)
            # Twice the same: what follows from the latest change, a slice from a pod, has come too.
            if state["ready"] == state["pods"] and state["synced"] == state["nodes"]:
                if state["version"] == before:
                    return True
                before = state["version"]
            if time.monotonic() > end:
                return False
            time.sleep(LOOK_SECONDS)

    def await_start(self, unready: Collection[str], progress: Progress) -> None:
        """As `settle`, for a start, which must come to its end. Raises TestbedError with what is missing."""
        if not unready:
            self._client.call("wait", progress, timeout=READY_SECONDS)
        elif not self.settle(unready, READY_SECONDS, progress):
            late = [pod["metadata"]["name"] for pod in self.objects("Pod") if not _is_up(pod, unready)]
            raise TestbedError(f"not ready after {READY_SECONDS:g} s: pods {', '.join(late) or '(none)'}")

    def _state(self, unready: Collection[str]) -> dict[str, Any]:
        pods = [pod for pod in self.objects("Pod") if "deletionTimestamp" not in pod["metadata"]]
        watched = [obj for kind in WATCHED for obj in self._api.list(kind).items]
        latest = max(int(obj["metadata"]["resourceVersion"]) for obj in watched)
        told = self._client.call("inspect")
        return {
            "pods": len(pods),
            "ready": sum(_is_up(pod, unready) for pod in pods),
            "nodes": len(told["agents"]),
            "synced": sum(agent["synced"] >= latest for agent in told["agents"]),
            "version": str(told["version"]),
        }


def _is_up(pod: Object, unready: Collection[str]) -> bool:
    """True for a ready pod, and for a running one that is not meant to be ready."""
    status = pod.get("status", {})
    if pod["metadata"]["name"] in unready:
        return any("running" in c.get("state", {}) for c in status.get("containerStatuses", ()))
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
