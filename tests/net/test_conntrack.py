"""UDP flows of a running cluster, in the nodes' own connection tracking. The cases in tests/cases/flows follow one
flow through one change each; here is what they cannot see: which entries go, and which stay.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from tests.net.command import Command, deployed
from tests.waiting import until

CLUSTER = {
    "apiVersion": "testbed.dev/v1alpha1",
    "kind": "Cluster",
    "metadata": {"name": "tracked"},
    "nodes": [{"role": "worker", "count": 2}],
}
PODS = {"web-1": "node1", "web-2": "node2", "caller": "node1"}
SECONDS = 3.0  # how long a question may stay without an answer
HIDDEN = {"service.kubernetes.io/service-proxy-name": "somebody-else"}
# Asks an address from one port after the other, and prints who answered: {port: pod}.
ASK = f"""
import json, socket, sys
address, port, first, count = sys.argv[1], *map(int, sys.argv[2:])
told = {{}}
for source in range(first, first + count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout({SECONDS})
        sock.bind(("", source))
        sock.connect((address, port))
        try:
            sock.send(b"?")
            told[source] = json.loads(sock.recv(4096))["pod"]
        except OSError as error:
            told[source] = type(error).__name__
print(json.dumps(told))
"""


def pod(name: str, node: str) -> dict[str, Any]:
    ports = [{"containerPort": 8080, "protocol": "UDP"}]
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": [{"name": "web", "image": "web", "ports": ports}]},
    }  # fmt: skip


def service(labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Without a selector: its endpoints are written by hand."""
    ports = [{"port": 53, "targetPort": 8080, "protocol": "UDP"}]
    return {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": labels or {}},
        "spec": {"type": "NodePort", "ports": ports},
    }  # fmt: skip


class Lab:
    """A cluster with a Service whose endpoints the test writes."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.ips = {p["metadata"]["name"]: p["status"]["podIP"] for p in command.get("pod")}

    def apply(self, *objects: dict[str, Any]) -> None:
        """Bring objects in, and wait until every node obeys."""
        self.command.ok("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))
        with contextlib.closing(self.command.client()) as client:
            client.call("wait", timeout=60.0)

    def endpoints(self, *pods: str) -> None:
        """Let the Service have these."""
        self.apply({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"name": "", "port": 8080, "protocol": "UDP"}],
            "endpoints": [{"addresses": [self.ips[p]], "nodeName": PODS[p]} for p in pods],
        })  # fmt: skip

    def spec(self) -> dict[str, Any]:
        """The Service as the API has it."""
        [found] = [obj for obj in self.command.get("service") if obj["metadata"]["name"] == "web"]
        spec: dict[str, Any] = found["spec"]
        return spec

    def ask(self, first: int, count: int = 1) -> dict[str, str]:
        """Who answers the caller, by its source port."""
        told = self.command.ok(
            "exec",
            "caller",
            "--",
            "python3",
            "-c",
            ASK,
            self.spec()["clusterIP"],
            "53",
            str(first),
            str(count),
        )
        answers: dict[str, str] = json.loads(told)
        return answers

    def tracked(self, *arguments: str) -> str:
        """What conntrack(8) says on node1."""
        return self.command.run("exec", "node1", "--", "conntrack", *arguments).stdout

    def plant(self, protocol: str, source: int, *, by: str) -> None:
        """An entry as if a translated flow were there, which `by` answers."""
        state = ("--state", "ESTABLISHED") if protocol == "tcp" else ()
        self.command.ok(
            "exec", "node1", "--", "conntrack", "-I", "-p", protocol, "-t", "300", *state,
            "-s", self.ips["caller"], "-d", self.spec()["clusterIP"], "--sport", str(source), "--dport", "53",
            "-r", by, "-q", self.ips["caller"], "--reply-port-src", "8080", "--reply-port-dst", str(source),
        )  # fmt: skip

    def resync(self) -> None:
        """A full pass on node1."""
        with contextlib.closing(self.command.client()) as client:
            client.call("resync", node="node1")

    def deleted(self) -> float:
        """The entries that node1 has deleted so far, as its metrics tell."""
        text = self.command.ok("exec", "node1", "--", "curl", "-s", "127.0.0.1:10249/metrics")
        name = r'^kubeproxy_conntrack_reconciler_deleted_entries_total\{ip_family="IPv4"\} ([\d.]+)$'
        found = re.search(name, text, re.MULTILINE)
        assert found is not None
        return float(found.group(1))


@pytest.fixture
def lab() -> Iterator[Lab]:
    """web-1 is the only endpoint."""
    manifests = yaml.safe_dump_all([CLUSTER, *(pod(*each) for each in PODS.items())])
    with deployed("tracked", manifests=manifests) as command:
        with contextlib.closing(command.client()) as client:
            client.call("wait", timeout=60.0)
        made = Lab(command)
        made.apply(service())
        made.endpoints("web-1")
        yield made


def test_only_the_flows_of_the_endpoint_that_goes_are_moved(lab: Lab) -> None:
    lab.endpoints("web-1", "web-2")
    before = lab.ask(40000, 30)
    assert set(before.values()) == {"web-1", "web-2"}
    lab.endpoints("web-2")
    assert set(lab.ask(40000, 30).values()) == {"web-2"}
    assert lab.deleted() == list(before.values()).count("web-1")


def test_a_flow_is_freed_as_soon_as_the_nodes_obey(lab: Lab) -> None:
    """No entry to the old endpoint is left, before anybody sends again."""
    lab.ask(40000, 10)
    lab.endpoints("web-2")
    assert lab.ips["web-1"] not in lab.tracked("-L", "-p", "udp", "--dport", "53")


def test_a_flow_that_began_while_no_rule_was_there_is_freed(lab: Lab) -> None:
    """Its entry is untranslated; without its removal the flow would never find the Service."""
    lab.apply(service(HIDDEN))
    assert lab.ask(40000) == {"40000": "TimeoutError"}
    assert "[UNREPLIED]" in lab.tracked("-L", "-p", "udp", "--dport", "53")
    lab.apply(service())
    assert lab.ask(40000) == {"40000": "web-1"}


def test_flows_stay_where_they_are_while_there_is_no_endpoint(lab: Lab) -> None:
    lab.ask(40000)
    lab.endpoints()
    assert lab.ask(40000, 2) == {"40000": "web-1", "40001": "ConnectionRefusedError"}
    lab.endpoints("web-2")
    assert lab.ask(40000, 2) == {"40000": "web-2", "40001": "web-2"}


def test_a_full_pass_finds_what_no_change_has_told_of(lab: Lab) -> None:
    lab.plant("udp", 41000, by="10.244.99.99")
    lab.resync()
    assert "10.244.99.99" not in lab.tracked("-L", "-p", "udp")
    assert lab.deleted() == 1


def test_other_protocols_and_good_flows_are_left_alone(lab: Lab) -> None:
    lab.plant("udp", 41000, by=lab.ips["web-1"])
    lab.plant("tcp", 41001, by="10.244.99.99")
    lab.resync()
    assert "sport=41000" in lab.tracked("-L", "-p", "udp")
    assert "sport=41001" in lab.tracked("-L", "-p", "tcp")


def test_a_node_port_s_flow_is_freed_on_the_node_that_it_came_to(lab: Lab) -> None:
    number = lab.spec()["ports"][0]["nodePort"]
    lab.command.ok("exec", "client1", "--", "python3", "-c", ASK, "192.168.0.1", str(number), "42000", "5")
    entries = f"--dport {number}".split()
    until(lambda: lab.ips["web-1"] in lab.tracked("-L", "-p", "udp", *entries), "the flows to be tracked")
    lab.endpoints("web-2")
    assert lab.ips["web-1"] not in lab.tracked("-L", "-p", "udp", *entries)
