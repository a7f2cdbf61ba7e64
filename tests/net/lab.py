"""A lab instance that cases run in, one after the other: deployed and destroyed by the command line, asked
through its sockets, and brought back to its beginning between two cases.

Knows commands, verbs and the sender's script; knows nothing of what a case expects, nor which datapath runs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from testbed.cluster.agent import datapath_options
from testbed.cluster.rpc import Client
from testbed.errors import TestbedError
from testbed.kube import client as kube
from testbed.kube.objects import ClusterConfig
from testbed.machine import sandbox
from tests.net.answer import Answer
from tests.net.case import Case, Host, Packet, Step
from tests.net.objects import Key, Object, Objects
from tests.net.starting import ByExec, Process, Starter, output
from tests.net.targets import Directory, documents, filled, secondary_addresses, source_addresses
from tests.waiting import until

BY_EXEC = ByExec()
CLIENTS = ("client1", "client2")
READY_TIMEOUT = 60.0  # seconds; what takes a second on an idle machine may take many on a full one
LOOK_SECONDS = 0.1  # how long a look at the nodes may take
ANSWER_PATIENCE = 5.0  # seconds for an answer that must come: only a failing case waits that long
SILENCE_PATIENCE = 0.25  # seconds without an answer before and after the controls
UNUSED_PORT = 9  # nothing listens there on a node, so a connection to it is refused by the kernel


@dataclass(slots=True)
class Lab:
    """One running lab instance. Made by `deployed`."""

    name: str
    nodes: Sequence[str]
    client: Client
    objects: Objects
    sender: Process
    _start: dict[Key, Object] = field(init=False)
    _bare: dict[str, Any] = field(init=False)
    _known: dict[str, list[str]] = field(default_factory=dict)
    _pods: dict[str, Object] = field(default_factory=dict)
    _changed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start, self._bare = self.objects.everything(), self._programmed()
        self._ask({"prepare": self.nodes})

    def begin(self, case: Case) -> None:
        """What a case wants of the hosts before its first step."""
        numbers = [(host.name, self.nodes.index(host.name)) for host in case.secondary]
        pairs = [(name, address) for name, number in numbers for address in secondary_addresses(number)]
        packets = (packet for step in case.steps for packet in step.packets if packet.sources)
        pairs += dict.fromkeys((p.sender.name, source) for p in packets for source in sources(p))
        self._ask({"add": pairs})
        self._changed = [name for name, _ in numbers]

    def change(self, step: Step) -> list[str]:
        """Do what a step says, and wait until every node obeys; what should have been refused and was not."""
        for target in step.delete:
            self.objects.delete(target)
        complaints = self._apply_all(step)
        for node in step.lose:
            self._lose(node)
        for node in step.resync:
            self.client.call("resync", node=node)
        self._settle(step)
        return complaints

    def directory(self) -> Directory:
        """Who has which address now. Pods that end keep theirs: late answers still have a name, and a namespace
        may go while it is being asked for."""
        self._pods = {pod["metadata"]["name"]: pod for pod in self.objects.list("Pod")}
        places = {str(host): self._netns(host) for host in self._hosts()}
        found = self._ask({"addresses": sorted(set(places.values()))})
        self._known |= {host: found[netns] for host, netns in places.items()}
        services = {service["metadata"]["name"]: service for service in self.objects.list("Service")}
        return Directory(self._known, services)

    def send(self, packets: Sequence[Packet]) -> list[list[Answer]]:
        """Send packets one after the other; for each, one answer for every time it was sent."""
        directory = self.directory()
        request = {
            "send": [self._request(packet, directory) for packet in packets],
            "controls": self._controls(directory),
        }
        return [[Answer(**answer) for answer in answers] for answers in self._ask(request)]

    def run(self, argv: Sequence[str]) -> str:
        """What a program prints inside the sandbox. Raises TestbedError if it fails."""
        return output([*sandbox.get(self.name).enter_argv(), *argv])

    def reset(self) -> None:
        """Take away all that a case has made, and see that nothing of it is left.

        Raises TestbedError; the lab is then of no use to another case.
        """
        self._ask({"release": True})
        self.objects.delete_applied()
        until(lambda: self.objects.everything() == self._start, "the objects as they were", READY_TIMEOUT)
        self.client.call("wait", timeout=READY_TIMEOUT)
        until(lambda: not self._network()["pods"], "all pods' networks to be gone", READY_TIMEOUT)
        self._ask({"reset": [*self.nodes, *CLIENTS]})
        for node in self._changed:  # its agent looks at its addresses only when there is something to do
            self.client.call("resync", node=node)
        if self._programmed() != self._bare:
            raise TestbedError(f"not as before: {self._programmed()}, and that was {self._bare}")
        self._known.clear()
        self._pods.clear()

    def _apply_all(self, step: Step) -> list[str]:
        """What needs addresses of pods is applied when they have them."""
        plain, templated = documents(step.apply)
        complaints = self._apply(plain, step.rejected)
        if templated:
            self._settle(step)
            complaints += self._apply(filled(templated, self.directory()), step.rejected)
        return complaints

    def _apply(self, text: str, rejected: str) -> list[str]:
        try:
            self.objects.apply(text)
        except TestbedError as error:
            if rejected and rejected in str(error):
                return []
            raise
        return [f"accepted, though {rejected!r}"] if rejected and text.strip() else []

    def _programmed(self) -> dict[str, Any]:
        """What each node's kernel holds, with its size."""
        return {node: self.client.call("observe", node=node) for node in self.nodes}

    def _lose(self, node: str) -> None:
        """Take a node's programming out of its kernel from outside, and wait until its agent has mended that."""
        cluster = ClusterConfig.from_json(self.client.call("inspect")["cluster"])
        programmed = self.client.call("observe", node=node)
        mode, options = cluster.networking.kube_proxy_mode, dict(datapath_options(cluster.kube_proxy))
        self._ask({"lose": node, "datapath": mode, "options": options})
        until(
            lambda: self.client.call("observe", node=node) == programmed,
            f"{node} to be programmed again",
            READY_TIMEOUT,
        )

    def _hosts(self) -> Iterator[Host]:
        for name, pod in self._pods.items():
            host = Host("pod", name)
            if "deletionTimestamp" not in pod["metadata"] or str(host) not in self._known:
                yield host
        yield from (Host("node", name) for name in self.nodes)
        yield from (Host("client", name) for name in CLIENTS)

    def _netns(self, host: Host) -> str:
        """The name of a host's network namespace (docs/architecture.md); a pod may share its node's."""
        if host.kind != "pod":
            return host.name
        spec = self._pods[host.name]["spec"]
        return str(spec["nodeName"]) if spec.get("hostNetwork") else f"default_{host.name}"

    def _request(self, packet: Packet, directory: Directory) -> dict[str, Any]:
        target = directory.target(packet)
        netns = self._netns(packet.sender)
        router = Host("node", self._router_of(packet))
        control = {"netns": netns, "protocol": "TCP", "port": UNUSED_PORT}
        return {
            "netns": netns,
            "address": target.address,
            "port": target.port,
            "via": target.via,
            "protocol": packet.protocol,
            "count": packet.count,
            "patience": SILENCE_PATIENCE
            if packet.expect.outcome in ("dropped", "untouched")
            else ANSWER_PATIENCE,
            "controls": [{**control, "address": directory.address(router, packet.family)}],
            "size": packet.size,
            "path": packet.path,
            "source_port": packet.source_port,
            "sources": sources(packet),
            "hold": packet.hold,
            "every": packet.every,
            "until_another": packet.expect.affinity == "expires",
        }

    def _router_of(self, packet: Packet) -> str:
        """The node that takes a sender's packets first."""
        sender, via = packet.sender, packet.destination.via
        if via in self.nodes:
            return via
        if sender.kind == "node":
            return sender.name
        return str(self._pods[sender.name]["spec"]["nodeName"]) if sender.kind == "pod" else self.nodes[0]

    def _controls(self, directory: Directory) -> list[dict[str, Any]]:
        """Each pod asks itself: when it has answered, its server has nothing older left to answer."""
        return [
            {
                "netns": self._netns(host),
                "address": address,
                "port": port["containerPort"],
                "protocol": port["protocol"],
            }
            for name, pod in self._pods.items()
            if "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") == "Running"
            for host in [Host("pod", name)]
            for address in directory.addresses[str(host)]
            for port in pod["spec"]["containers"][0].get("ports", ())
        ]

    def _settle(self, step: Step) -> None:
        """Wait until every node's kernel obeys the objects. For pods that never become ready: until they run, or
        have ended, and every slice tells so."""
        until(lambda: not self._ending(), "deleted pods to be gone", READY_TIMEOUT)
        if not step.unready and not step.ended:
            self.client.call("wait", timeout=READY_TIMEOUT)
            return
        what = f"{' '.join([*step.unready, *step.ended])} to run or end, and nodes to obey"
        until(lambda: self._runs(step.unready) and self._ended(step.ended) and self._obeyed(), what)

    def _ending(self) -> list[str]:
        """Pods that were told to end and are about to. One with a preStop hook is there to be looked at while it
        ends; of the others a slow machine may show what no case is about: gone for IPv4, and not yet for IPv6."""
        return [
            pod["metadata"]["name"]
            for pod in self.objects.list("Pod")
            if "deletionTimestamp" in pod["metadata"]
            and not any("preStop" in each.get("lifecycle", {}) for each in pod["spec"]["containers"])
        ]

    def _runs(self, pods: Sequence[str]) -> bool:
        """True when the pods run and every endpoint slice that must name them does."""
        listed = [pod for pod in self.objects.list("Pod") if f"pod/{pod['metadata']['name']}" in pods]
        addresses = {address for pod in listed for address in _ips(pod)}
        return len(listed) == len(pods) and all(map(_ips, listed)) and addresses <= self._in_slices()

    def _ended(self, pods: Sequence[str]) -> bool:
        """True when the pods have ended and no endpoint slice names them any more."""
        listed = [pod for pod in self.objects.list("Pod") if f"pod/{pod['metadata']['name']}" in pods]
        phases = {pod.get("status", {}).get("phase") for pod in listed}
        addresses = {address for pod in listed for address in _ips(pod)}
        return (
            len(listed) == len(pods)
            and phases <= {"Failed", "Succeeded"}
            and not addresses & self._in_slices()
        )

    def _in_slices(self) -> set[str]:
        slices = self.objects.list("EndpointSlice")
        return {address for piece in slices for item in piece["endpoints"] for address in item["addresses"]}

    def _obeyed(self) -> bool:
        """True when all agents have synced the latest change that concerns them, deletions included."""
        told: list[Mapping[str, Any]] = []
        with contextlib.suppress(
            TestbedError
        ):  # pods that never become ready are in its way, but not in ours
            self.client.call("wait", told.append, timeout=LOOK_SECONDS)
        return bool(told) and told[-1]["synced"] == told[-1]["nodes"]

    def _network(self) -> Mapping[str, Any]:
        network: Mapping[str, Any] = self.client.call("inspect")["network"]
        return network

    def _ask(self, request: Mapping[str, Any]) -> Any:
        """One line to the sender's script, one line back."""
        assert self.sender.stdin is not None
        assert self.sender.stdout is not None
        self.sender.stdin.write(json.dumps(request) + "\n")
        self.sender.stdin.flush()
        answer = self.sender.stdout.readline()
        if not answer:
            raise TestbedError(f"lab {self.name}: the sender ended with status {self.sender.wait()}")
        return json.loads(answer)


def sources(packet: Packet) -> list[str]:
    """The addresses that a packet's sender takes in turn; none for its own."""
    if not packet.sources:
        return []
    return source_addresses(CLIENTS.index(packet.sender.name), packet.sources, packet.family)


def _ips(pod: Object) -> list[str]:
    return [entry["ip"] for entry in pod.get("status", {}).get("podIPs", ())]


@contextlib.contextmanager
def deployed(name: str, cluster: str, starter: Starter = BY_EXEC) -> Iterator[Lab]:
    """Deploy the cluster of a document, without pods; destroy it in the end, whatever came between."""
    with contextlib.ExitStack() as after, contextlib.ExitStack() as stack:
        starter.command(["deploy", "--name", name, "-f", "-"], cluster)
        stack.callback(starter.command, ["destroy", "--name", name])
        sender = starter.inside(sandbox.get(name), "tests.net.packets")
        # Only when the sandbox is gone: its end waits until nsenter has collected the script.
        after.callback(_collect, sender)
        client = stack.enter_context(Client(sandbox.get(name).socket))
        objects = Objects(stack.enter_context(kube.Client(sandbox.get(name).kube_socket)))
        nodes = [node["metadata"]["name"] for node in objects.list("Node")]
        yield Lab(name, nodes, client, objects, sender)


def _collect(sender: Process) -> None:
    """The exit status of a script that has ended, and its pipes."""
    sender.wait()
    for pipe in (sender.stdin, sender.stdout):
        with contextlib.suppress(BrokenPipeError):
            if pipe:
                pipe.close()
