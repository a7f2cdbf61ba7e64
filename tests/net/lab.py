"""A lab instance made for one case: deployed and destroyed by the command line, asked through its socket.

Knows commands, verbs and the sender's script; knows nothing of what a case expects, nor which datapath runs.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.cluster.agent import WATCHED
from testbed.cluster.rpc import Client
from testbed.errors import TestbedError
from testbed.kube.objects import kind_named, load_text
from testbed.machine import sandbox
from tests.net.case_file import Host, Packet, Step
from tests.net.judge import Answer
from tests.net.targets import Directory, documents, filled
from tests.waiting import until

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("testbed"))
CLIENTS = ("client1", "client2")
READY_TIMEOUT = 60.0  # seconds; what takes a second on an idle machine may take many on a full one
ANSWER_PATIENCE = 5.0  # seconds for an answer that must come: only a failing case waits that long
SILENCE_PATIENCE = 0.25  # seconds without an answer before and after the controls
UNUSED_PORT = 9  # nothing listens there on a node, so a connection to it is refused by the kernel


@dataclass(slots=True)
class Lab:
    """One running lab instance. Made by `deployed`."""

    name: str
    nodes: Sequence[str]
    client: Client
    sender: subprocess.Popen[str]
    hosts: dict[str, list[str]] = field(default_factory=dict)

    def change(self, step: Step) -> None:
        """Do what a step says, and wait until every node obeys."""
        for target in step.delete:
            kind, _, name = target.partition("/")
            self.client.call("delete", kind=kind_named(kind).name, namespace="default", name=name)
        plain, templated = documents(step.apply)
        self._apply(plain)
        if templated:
            self._settle(step.unready)
            self._apply(filled(templated, self.directory()))
        self._settle(step.unready)

    def directory(self) -> Directory:
        """Who has which address now. Pods that end keep theirs: late answers still have a name, and a namespace
        may go while it is being asked for."""
        pods = [
            name
            for pod in self._get("Pod")
            for name in [f"default_{pod['metadata']['name']}"]
            if "deletionTimestamp" not in pod["metadata"] or name not in self.hosts
        ]
        self.hosts |= self._ask({"addresses": [*pods, *self.nodes, *CLIENTS]})
        return Directory(
            self.hosts, {service["metadata"]["name"]: service for service in self._get("Service")}
        )

    def send(self, packets: Sequence[Packet]) -> list[list[Answer]]:
        """Send packets one after the other; for each, one answer for every time it was sent."""
        directory = self.directory()
        request = {
            "send": [self._request(packet, directory) for packet in packets],
            "controls": self._controls(directory),
        }
        return [[Answer(**answer) for answer in answers] for answers in self._ask(request)]

    def _request(self, packet: Packet, directory: Directory) -> dict[str, Any]:
        target = directory.target(packet)
        router = Host("node", packet.destination.via or self._router_of(packet.sender))
        control = {"netns": packet.sender.netns, "protocol": "TCP", "port": UNUSED_PORT}
        return {
            "netns": packet.sender.netns,
            "address": target.address,
            "port": target.port,
            "via": target.via,
            "protocol": packet.protocol,
            "count": packet.count,
            "patience": SILENCE_PATIENCE if packet.expect.outcome == "dropped" else ANSWER_PATIENCE,
            "controls": [{**control, "address": directory.address(router, packet.family)}],
        }

    def _router_of(self, sender: Host) -> str:
        """The node that takes a sender's packets first."""
        if sender.kind == "node":
            return sender.name
        pods: dict[str, str] = {p["metadata"]["name"]: p["spec"]["nodeName"] for p in self._get("Pod")}
        return pods[sender.name] if sender.kind == "pod" else self.nodes[0]

    def _controls(self, directory: Directory) -> list[dict[str, Any]]:
        """Each pod asks itself: when it has answered, its server has nothing older left to answer."""
        return [
            {
                "netns": host.netns,
                "address": address,
                "port": port["containerPort"],
                "protocol": port["protocol"],
            }
            for pod in self._get("Pod")
            if "deletionTimestamp" not in pod["metadata"]
            for host in [Host("pod", pod["metadata"]["name"])]
            for address in directory.addresses[host.netns]
            for port in pod["spec"]["containers"][0].get("ports", ())
        ]

    def _apply(self, text: str) -> None:
        if text.strip():
            manifests = load_text(text, "case").manifests
            self.client.call("apply", manifests=[manifest.to_json() for manifest in manifests])

    def _get(self, kind: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = self.client.call("get", kind=kind)
        return found

    def _settle(self, unready: Sequence[str]) -> None:
        """Wait until every node's kernel obeys the objects. Pods that never become ready only have to run."""
        if not unready:
            self.client.call("wait", timeout=READY_TIMEOUT)
            return
        until(
            lambda: self._runs(unready) and self._obeyed(), f"{' '.join(unready)} to run, and nodes to obey"
        )

    def _runs(self, pods: Sequence[str]) -> bool:
        """True when the pods run and every endpoint slice that must name them does."""
        addresses = {
            a for pod in self._get("Pod") if f"pod/{pod['metadata']['name']}" in pods for a in _ips(pod)
        }
        named = {
            a for piece in self._get("EndpointSlice") for e in piece["endpoints"] for a in e["addresses"]
        }
        return bool(addresses) and addresses <= named

    def _obeyed(self) -> bool:
        """True when all agents have synced the latest object that concerns them."""
        latest = max(int(obj["metadata"]["resourceVersion"]) for kind in WATCHED for obj in self._get(kind))
        return all(agent["synced"] >= latest for agent in self.client.call("inspect")["agents"])

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


def _ips(pod: Mapping[str, Any]) -> list[str]:
    return [entry["ip"] for entry in pod.get("status", {}).get("podIPs", ())]


@contextlib.contextmanager
def deployed(name: str, cluster: Path) -> Iterator[Lab]:
    """Deploy the cluster of a document, without pods; destroy it in the end, whatever came between."""
    with contextlib.ExitStack() as after, contextlib.ExitStack() as stack:
        _command("deploy", "--name", name, "-f", str(cluster))
        stack.callback(_command, "destroy", "--name", name)
        sender = _sender(sandbox.get(name))
        # Only when the sandbox is gone: its end waits until nsenter has collected the script.
        after.callback(_collect, sender)
        client = stack.enter_context(Client(sandbox.get(name).socket))
        nodes = [node["metadata"]["name"] for node in client.call("get", kind="Node")]
        yield Lab(name, nodes, client, sender)


def _sender(instance: sandbox.Instance) -> subprocess.Popen[str]:
    """The sender's script inside the sandbox. By its path: nsenter(1) leaves the folder that we are in."""
    argv = [*instance.enter_argv(), sys.executable, str(Path(__file__).with_name("packets.py"))]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _collect(sender: subprocess.Popen[str]) -> None:
    """The exit status of a script that has ended, and its pipes."""
    sender.wait()
    for pipe in (sender.stdin, sender.stdout):
        with contextlib.suppress(BrokenPipeError):
            if pipe:
                pipe.close()


def _command(*arguments: str) -> None:
    """Run `testbed`. Raises TestbedError with what it said."""
    done = subprocess.run([COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise TestbedError(f"testbed {' '.join(arguments)}: status {done.returncode}: {done.stderr.strip()}")
