"""The life of a cluster, from objects to packets: pods end, fail, come back, and every node's kernel follows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.net import manifests as m
from tests.net.command import Command, Daemon, deployed, process_inside, quickly
from tests.waiting import until

WITHIN = 1.0  # seconds from the end of a pod's process to its leaving of the endpoints
SERVICE = "10.96.0.10"
NAMESPACED = ("Pod", "Service", "Deployment", "EndpointSlice")
REFUSED = 7  # curl's exit code for a connection that is refused

# A web server that is a process of its own, and not ready before a second has passed, so that being gone shows.
# (python -m http.server would ask a name server for its own name first.)
SERVER = (
    "from http.server import SimpleHTTPRequestHandler as Handler; from socketserver import TCPServer; "
    "TCPServer.allow_reuse_address = True; TCPServer(('', 8080), Handler).serve_forever()"
)
REAL: m.Object = {
    "command": [sys.executable, "-c", SERVER],
    "workingDir": "/proc/sys/net",
    "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 1, "periodSeconds": 1},
}


@contextlib.contextmanager
def lab(*objects: m.Object, nodes: int = 2) -> Iterator[tuple[Command, Daemon]]:
    """A cluster with these objects, all ready."""
    with deployed("life", manifests=m.text(m.cluster(nodes), *objects)) as made, made.client() as client:
        yield made, client


def endpoints(client: Daemon, service: str = "web") -> dict[str, Mapping[str, Any]]:
    """The conditions of each endpoint of a Service, by pod."""
    label = "kubernetes.io/service-name"
    slices = [
        s for s in client.kube.list("EndpointSlice").items if s["metadata"]["labels"].get(label) == service
    ]
    return {e["targetRef"]["name"]: e["conditions"] for s in slices for e in s["endpoints"] or ()}


def ready(client: Daemon) -> set[str]:
    """The pods that take new connections."""
    return {pod for pod, conditions in endpoints(client).items() if conditions["ready"]}


def known(client: Daemon) -> list[set[str]]:
    """For each node, the endpoints of the Service that its kernel holds."""
    nodes = [agent["node"] for agent in client.call("inspect")["agents"]]
    observed = [client.call("observe", node=node)["frontends"] for node in nodes]
    return [{e for f in found if f["address"] == SERVICE for e in f["endpoints"]} for found in observed]


def names(client: Daemon, kind: str, namespace: str | None = None) -> set[str]:
    """The names of all objects of a kind."""
    return {obj["metadata"]["name"] for obj in client.kube.list(kind, namespace).items}


def pod(client: Daemon, name: str) -> Mapping[str, Any]:
    """A pod as it is now."""
    found = client.kube.get("Pod", "default", name)
    return dict(found)


def endpoint(client: Daemon, name: str) -> str:
    """A pod's address and port as a kernel holds them."""
    return f"{pod(client, name)['status']['podIP']}:8080"


def answers(command: Command, address: str = SERVICE, times: int = 1) -> list[str]:
    """Which pods answer the client at an address."""
    url = [f"http://{address}/"] * times
    told = command.ok("exec", "client1", "--", "curl", "-s", "--no-keepalive", "--max-time", "10", *url)
    decoder, found = json.JSONDecoder(), []
    while told := told.strip():
        answer, length = decoder.raw_decode(told)
        found.append(answer["pod"])
        told = told[length:]
    return found


def test_a_killed_process_leaves_the_endpoints_of_all_nodes_within_a_second_and_comes_back() -> None:
    with lab(m.pod("web-1", **REAL), m.pod("web-2", **REAL), m.service()) as (command, client):
        gone, stays = endpoint(client, "web-1"), endpoint(client, "web-2")
        assert known(client) == [{gone, stays}] * 2
        begin = kill(command, client, "web-1")
        quickly(lambda: ready(client) == {"web-2"}, "the killed pod to leave the slice")
        left_slice = time.monotonic() - begin
        until(lambda: known(client) == [{stays}] * 2, "all nodes to follow")
        until(lambda: known(client) == [{gone, stays}] * 2, "the pod to come back")
        assert left_slice < WITHIN
        assert pod(client, "web-1")["status"]["containerStatuses"][0]["restartCount"] == 1


def kill(command: Command, client: Daemon, name: str) -> float:
    """Kill a pod's process; when, in seconds of the monotonic clock."""
    container = pod(client, name)["status"]["containerStatuses"][0]["containerID"]
    record = command.record()
    assert record is not None
    pid = outside(record.daemon.pid, int(container.removeprefix("process://")))
    begin = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return begin


def outside(daemon: int, inside: int) -> int:
    """The host's number of a process that has the number `inside` in the daemon's PID namespace."""
    depth = len(numbers(daemon)) - 1
    children = [daemon]
    for parent in children:
        if numbers(parent)[depth:][:1] == [inside]:
            return parent
        for task in Path(f"/proc/{parent}/task").iterdir():
            children += [int(word) for word in (task / "children").read_text().split()]
    raise AssertionError(f"no process {inside} below {daemon}")


def numbers(pid: int) -> list[int]:
    """A process's number in each PID namespace that it is in, the host's first."""
    status = Path(f"/proc/{pid}/status").read_text()
    return [int(word) for word in status.partition("NSpid:")[2].splitlines()[0].split()]


def test_pods_of_a_killed_pod_server_come_back() -> None:
    with lab(m.deployment(3), m.service()) as (command, client):
        record, before = command.record(), versions(client)
        assert record is not None
        server = process_inside(record.daemon, "testbed.cluster.podserver")
        assert server is not None
        os.kill(server, signal.SIGKILL)
        until(lambda: restarts(client) == [1, 1, 1], "the pods to be started again")
        until(lambda: len(ready(client)) == 3, "the pods to be ready again")
        assert versions(client) != before  # they were out, for no longer than the restart has taken
        command.ok("wait")
        assert set(answers(command)) <= names(client, "Pod")


def restarts(client: Daemon) -> list[int]:
    return [p["status"]["containerStatuses"][0]["restartCount"] for p in client.kube.list("Pod").items]


def versions(client: Daemon) -> list[str]:
    """The versions of all EndpointSlices."""
    return [s["metadata"]["resourceVersion"] for s in client.kube.list("EndpointSlice").items]


def test_a_failing_readiness_probe_takes_a_pod_out_and_back(tmp_path: Path) -> None:
    (tmp_path / "healthy").touch()
    probe = {"httpGet": {"path": "/healthy", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    probed = m.pod("web-1", **REAL | {"workingDir": str(tmp_path), "readinessProbe": probe})
    with lab(probed, m.pod("web-2"), m.service()) as (command, client):
        assert ready(client) == {"web-1", "web-2"}
        (tmp_path / "healthy").unlink()
        until(lambda: ready(client) == {"web-2"}, "the pod to leave")
        assert pod(client, "web-1")["status"]["phase"] == "Running"
        until(lambda: known(client) == [{endpoint(client, "web-2")}] * 2, "all nodes to follow")
        assert answers(command, times=5) == ["web-2"] * 5
        (tmp_path / "healthy").touch()
        until(lambda: ready(client) == {"web-1", "web-2"}, "the pod to come back")


def test_a_pod_that_ends_gracefully_serves_as_terminating() -> None:
    """KEP-1669: where only terminating endpoints are left, they still get the traffic."""
    slow = m.pod("web-1", lifecycle={"preStop": {"sleep": {"seconds": 3}}})
    with lab(slow, m.service()) as (command, client):
        command.ok("delete", "--wait=false", "pod/web-1")
        until(lambda: endpoints(client)["web-1"]["terminating"], "the pod to terminate")
        assert endpoints(client)["web-1"] == {"ready": False, "serving": True, "terminating": True}
        assert answers(command) == ["web-1"]
        until(lambda: not endpoints(client), "the pod to be gone")
        until(lambda: known(client) == [set()] * 2, "all nodes to follow")


def test_delete_waits_until_the_object_is_gone() -> None:
    slow = m.pod("web-1", lifecycle={"preStop": {"sleep": {"seconds": 1}}})
    with lab(slow) as (command, client):
        assert command.ok("delete", "pod/web-1") == 'pod "web-1" deleted from default namespace\n'
        assert names(client, "Pod") == set()


def test_delete_says_what_is_not_gone_in_time() -> None:
    slow = m.pod("web-1", lifecycle={"preStop": {"sleep": {"seconds": 20}}})
    with lab(slow) as (command, _):
        done = command.run("delete", "--timeout", "0", "pod/web-1")
        assert (done.returncode, done.stderr) == (
            1,
            "testbed: timed out waiting for the condition: not gone after 0 s: pods/web-1\n",
        )


@pytest.mark.parametrize("replicas", [5, 1, 0])
def test_a_deployment_is_scaled_by_apply(replicas: int) -> None:
    with lab(m.deployment(3), m.service()) as (command, client):
        command.ok("apply", "--wait", "-f", "-", stdin=m.text(m.deployment(replicas)))
        until(lambda: len(names(client, "Pod")) == replicas, "the pods to follow")
        until(lambda: ready(client) == names(client, "Pod"), "the slice to follow")
        kernel = {endpoint(client, name) for name in names(client, "Pod")}
        until(lambda: known(client) == [kernel] * 2, "all nodes to follow")


def test_a_changed_template_replaces_all_pods() -> None:
    with lab(m.deployment(2), m.service()) as (command, client):
        before = {p["metadata"]["uid"] for p in client.kube.list("Pod").items}
        changed = m.deployment(2, env=[{"name": "VERSION", "value": "2"}])
        command.ok("apply", "-f", "-", stdin=m.text(changed))
        now = until(lambda: settled(client, before), "new pods only")
        assert len(now) == 2
        assert set(answers(command, times=4)) <= ready(client)


def settled(client: Daemon, before: set[str]) -> set[str]:
    """The new pods' ids when there are no old ones and all are ready."""
    now = {p["metadata"]["uid"] for p in client.kube.list("Pod").items}
    return now if not now & before and len(ready(client)) == len(now) else set()


def test_a_namespace_goes_with_all_that_is_in_it() -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    inside = [m.deployment(2), m.service(clusterIP="10.96.0.20")]
    for each in inside:
        each["metadata"]["namespace"] = "team"
    with lab(space, *inside, m.pod("stays")) as (command, client):
        assert command.ok("delete", "namespace", "team") == 'namespace "team" deleted\n'
        assert "team" not in names(client, "Namespace")
        assert {kind: names(client, kind, "team") for kind in NAMESPACED} == dict.fromkeys(NAMESPACED, set())
        until(
            lambda: "team_web" not in command.ok("exec", "--sandbox", "--", "ip", "netns"), "pods' networks"
        )
        assert [p["name"] for p in client.call("inspect")["network"]["pods"]] == ["stays"]


def test_a_service_without_endpoints_is_refused_at_once() -> None:
    with lab(m.service(selector={"app": "nobody"})) as (command, _):
        done = command.run("exec", "client1", "--", "curl", "-s", "--max-time", "20", f"http://{SERVICE}/")
        assert done.returncode == REFUSED


def test_a_deleted_service_leaves_no_rule() -> None:
    with lab(m.deployment(1), m.service()) as (command, client):
        assert "KUBE-SVC-" in client.call("show", node="node2")
        command.ok("delete", "service", "web")
        command.ok("wait")
        assert "KUBE-SVC-" not in client.call("show", node="node2")


def test_a_failing_tool_is_shown_and_what_it_missed_is_done_later() -> None:
    """Inside the sandbox's own mounts the program is replaced by one that fails; the host does not see that."""
    with lab(m.deployment(1), m.service(), nodes=1) as (command, client):
        tool = command.ok(
            "exec", "--sandbox", "--", "readlink", "-f", "/usr/sbin/iptables-nft-restore"
        ).strip()
        command.ok("exec", "--sandbox", "--", "mount", "--bind", "/bin/false", tool)
        command.ok("apply", "-f", "-", stdin=m.text(m.service("late", clusterIP="10.96.0.99")))
        until(lambda: client.call("inspect")["agents"][0]["failure"], "the failure to be shown")
        assert "iptables" in command.ok("inspect")
        waited = command.run("wait", "--timeout", "0.1")
        assert waited.returncode == 1
        assert "iptables" in waited.stderr
        command.ok("exec", "--sandbox", "--", "umount", tool)
        command.ok("wait")
        assert client.call("inspect")["agents"][0]["failure"] == ""
        assert set(answers(command, "10.96.0.99")) == names(client, "Pod")


def test_wait_says_what_is_not_ready() -> None:
    never = m.pod("never", command=["sleep", "1000"], readinessProbe={"exec": {"command": ["false"]}})
    with lab(nodes=1) as (command, client):
        command.ok("apply", "-f", "-", stdin=m.text(never))
        until(lambda: pod(client, "never").get("status", {}).get("phase") == "Running", "the pod to run")
        done = command.run("wait", "--timeout", "0.1")
        assert done.returncode == 1
        assert "not ready after 0.1 s: 0 of 1 pods" in done.stderr
        assert "pod default/never: " in done.stderr
