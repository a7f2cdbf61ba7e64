"""The kubelets with real processes, probes and sockets, in a network of one node."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from testbed.cluster.kubelet.contract import Outcome, PodAttachment, PodKey, ProcessSpec, Target
from testbed.cluster.kubelet.kubelets import Kubelets, real_machinery
from testbed.cluster.kubelet.probe import Action, Exec, HttpGet, Probe, ProbeKind, TcpSocket, Unsupported
from testbed.cluster.kubelet.prober import NetworkProber
from testbed.cluster.kubelet.processes import HostProcess, HostProcesses
from testbed.cluster.podserver.client import PodServer
from testbed.cluster.podserver.spec import Identity, PodSpec, Port
from testbed.errors import CommandFailed
from testbed.kube.store.ending import end
from testbed.kube.store.store import Object, Store
from testbed.machine import netns as namespaces
from testbed.machine.netns import Netns
from testbed.machine.run import run
from tests.waiting import until

POD_IP = "10.244.0.{}"
NODE_IP = "192.168.0.1"
SECONDS = 10.0  # how long a condition may take to come true on a busy machine


class SmallNetwork:
    """One node; each pod hangs on it by a veth of its own, with a /32 and a default route through it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        [self.node] = namespaces.create(["node1"], folder)
        self.node.run(["ip", "link", "set", "lo", "up"])
        self.node.run(["ip", "address", "add", NODE_IP, "dev", "lo"])
        self.pods: dict[PodKey, Netns] = {}
        self._hosts = 1

    def attach(self, pods: Sequence[Object]) -> Mapping[PodKey, PodAttachment]:
        return {(p["metadata"]["namespace"], p["metadata"]["name"]): self._attach(p) for p in pods}

    def _attach(self, pod: Object) -> PodAttachment:
        key = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self._hosts += 1
        ip, port = POD_IP.format(self._hosts), f"veth{self._hosts}"
        [netns] = namespaces.create(["_".join(key)], self.folder)
        self.pods[key] = netns
        there = ["netns", str(netns.path)]
        self.node.run(["ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", *there])
        self.node.run(
            ["ip", "-batch", "-"], stdin=f"link set {port} up\nroute add {ip} dev {port} src {NODE_IP}\n"
        )
        lines = [
            "link set lo up",
            f"address add {ip} dev eth0",
            "link set eth0 up",
            "route add default dev eth0",
        ]
        netns.run(["ip", "-batch", "-"], stdin="\n".join(lines))
        return PodAttachment(netns.name, (ip,))

    def detach(self, keys: Sequence[PodKey]) -> None:
        for key in keys:
            if key in self.pods:
                namespaces.delete(self.pods.pop(key))

    def remove(self) -> None:
        self.detach(tuple(self.pods))
        namespaces.delete(self.node)


def manifest(name: str, container: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "node1", "containers": [{"name": "app", **container}], **spec},
    }


@pytest.fixture
def network(tmp_path: Path) -> Iterator[SmallNetwork]:
    network = SmallNetwork(tmp_path / "netns")
    yield network
    network.remove()


@pytest.fixture
def pod(network: SmallNetwork) -> Netns:
    """A pod without anything in it."""
    network.attach([manifest("web", {})])
    return network.pods["default", "web"]


# ── processes ────────────────────────────────────────────────────────────────────────────────────────────


class Container:
    """One process, its log, and its exit code when it comes."""

    def __init__(self, processes: HostProcesses, pod: Netns, log: Path, *argv: str, cwd: str = "") -> None:
        self._exits: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._log = log
        spec = ProcessSpec(argv, {"GREETING": "hello"}, cwd, pod.name, "web", log)
        self.process: HostProcess = processes.start(spec, self._exits.put)

    def code(self) -> int:
        return self._exits.get(timeout=SECONDS)

    def said(self, text: str) -> None:
        until(lambda: text in self._text(), f"{text!r} in the log")

    def _text(self) -> str:
        """The log without the times and streams of its records."""
        return "".join(line.split(" ", 3)[3] for line in self._log.read_text().splitlines(keepends=True))


@pytest.fixture
def processes(network: SmallNetwork) -> Iterator[HostProcesses]:
    processes = HostProcesses(network.folder)
    yield processes
    processes.stop()


@pytest.fixture
def start(processes: HostProcesses, pod: Netns, tmp_path: Path) -> Callable[..., Container]:
    return lambda *argv, **more: Container(processes, pod, tmp_path / "logs" / "0.log", *argv, **more)


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 3", 3), ("no-such-program", 127)],
)
def test_exit_codes_are_a_shells(start: Callable[..., Container], script: str, code: int) -> None:
    assert start("sh", "-c", script).code() == code


def test_a_killed_program_has_the_exit_code_of_its_signal(start: Callable[..., Container]) -> None:
    container = start("sleep", "60")
    container.process.kill()
    assert container.code() == 137


def test_a_program_that_is_not_there_is_told_in_the_log(start: Callable[..., Container]) -> None:
    container = start("/no/such/program")
    assert container.code() == 127
    container.said("/no/such/program")


def test_a_folder_that_is_not_there_is_an_error(start: Callable[..., Container]) -> None:
    with pytest.raises(CommandFailed, match="/no/such/folder"):
        start("true", cwd="/no/such/folder")


def test_a_container_has_its_own_world(start: Callable[..., Container]) -> None:
    container = start("sh", "-c", "echo $GREETING $(hostname) $$; cat /proc/1/comm")
    assert container.code() == 0
    container.said("hello web 1\nsh\n")
    assert run(["hostname"]).stdout != "web\n"


def test_kill_takes_the_whole_tree(start: Callable[..., Container]) -> None:
    container = start("sh", "-c", "setsid sleep 4711 & echo started; wait")
    container.said("started")
    namespace = Path(f"/proc/{inside(container)}/ns/pid").readlink()
    container.process.kill()
    assert container.code() == 137
    until(lambda: namespace not in pid_namespaces(), "the PID namespace is empty")


def test_terminate_reaches_the_program(start: Callable[..., Container]) -> None:
    container = start("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    container.said("ready")
    container.process.terminate()
    assert container.code() == 7


def test_enter_is_where_the_program_is(start: Callable[..., Container], pod: Netns) -> None:
    container = start("sleep", "60")

    def seen() -> str:
        return pod.run(container.process.enter(("sh", "-c", "hostname; cat /proc/1/comm"))).stdout

    assert until(lambda: seen() == "web\nsleep\n", "the program is in its place")


def test_stop_leaves_no_process(network: SmallNetwork, pod: Netns, tmp_path: Path) -> None:
    processes = HostProcesses(network.folder)
    container = Container(processes, pod, tmp_path / "app.log", "sleep", "60")
    processes.stop()
    assert not Path(f"/proc/{container.process.pid}").exists()


def inside(container: Container) -> int:
    target = container.process.enter(("true",))[1]
    return int(target.removeprefix("--target="))


def pid_namespaces() -> set[Path]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended meanwhile
            found.add((process / "ns/pid").readlink())
    return found


# ── probes ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def serving(network: SmallNetwork) -> Iterator[PodServer]:
    server = PodServer(network.folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def prober(network: SmallNetwork) -> Iterator[NetworkProber]:
    prober = NetworkProber(network.folder)
    yield prober
    prober.stop()


def target(pod: Netns) -> Target:
    return Target(POD_IP.format(2), "node1", pod.name, lambda argv: argv)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (HttpGet(8080), (Outcome.SUCCESS, "")),
        (HttpGet(8080, "/status/302"), (Outcome.SUCCESS, "")),
        (HttpGet(8080, "/status/503"), (Outcome.FAILURE, "HTTP probe failed with statuscode: 503")),
        (HttpGet(8080, "/delay/5"), (Outcome.FAILURE, "no answer within 0.5 s")),
        (HttpGet(8081), (Outcome.FAILURE, "Connection refused")),
        (HttpGet(7), (Outcome.FAILURE, "")),
        (HttpGet(8080, "/a b"), (Outcome.FAILURE, "target")),
        (HttpGet(8080, scheme="HTTPS"), (Outcome.FAILURE, "")),
        (HttpGet(8080, host=POD_IP.format(99)), (Outcome.FAILURE, "Network is unreachable")),
        (TcpSocket(8080), (Outcome.SUCCESS, "")),
        (TcpSocket(8081), (Outcome.FAILURE, "Connection refused")),
        (Exec(("true",)), (Outcome.SUCCESS, "")),
        (Exec(("sh", "-c", "echo no; exit 1")), (Outcome.FAILURE, "no")),
        (
            Exec(("ip", "address", "show", "dev", "eth0", "to", POD_IP.format(2))),
            (Outcome.SUCCESS, POD_IP.format(2)),
        ),
        (Exec(("sh", "-c", "sleep 60; true")), (Outcome.FAILURE, "")),
        (Unsupported("why"), (Outcome.UNKNOWN, "why")),
    ],
    ids=str,
)
def test_what_a_probe_finds(
    serving: PodServer, prober: NetworkProber, pod: Netns, action: Action, expected: tuple[Outcome, str]
) -> None:
    ports = (Port(8080), Port(7, "TCP", "echo"))
    serving.open([PodSpec("web", pod.name, Identity("web", "default", "node1", POD_IP.format(2)), ports)])
    found: queue.SimpleQueue[tuple[Outcome, str]] = queue.SimpleQueue()
    prober.once(action, target(pod), 0.5, lambda *finding: found.put(finding))
    got, said = found.get(timeout=SECONDS)
    assert got is expected[0]
    assert expected[1] in said


def test_a_probe_repeats_until_cancelled(prober: NetworkProber, pod: Netns) -> None:
    found: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    probe = Probe(ProbeKind.READINESS, TcpSocket(1), initial_delay=0.05, period=0.01)
    begin = time.monotonic()
    cancel = prober.start(probe, target(pod), lambda outcome, _: found.put(outcome))
    assert [found.get(timeout=SECONDS) for _ in range(3)] == [Outcome.FAILURE] * 3
    assert time.monotonic() - begin >= 0.07
    cancel()


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────


class Cluster:
    """Running kubelets of one node."""

    def __init__(self, network: SmallNetwork, serving: PodServer, folder: Path) -> None:
        self.store, self.serving, self.logs = Store(), serving, folder
        self.store.create({"kind": "Node", "metadata": {"name": "node1"}})
        machinery = real_machinery(network.folder)
        self.kubelets = Kubelets(self.store, network, serving, folder, machinery)
        self._watch = self.store.watch(("Pod",), initial=False)

    def run(self, *pods: Mapping[str, Any]) -> None:
        for each in pods:
            self.store.create(each)
        for each in pods:
            self.until_ready(each["metadata"]["name"])

    def until(self, condition: Callable[[], bool]) -> float:
        """Wait for a condition on the store; the seconds that it took."""
        begin = time.monotonic()
        while not condition():
            assert time.monotonic() - begin < SECONDS, self.store.list("Pod")
            self._watch.drain(SECONDS)
        return time.monotonic() - begin

    def until_ready(self, name: str, wanted: bool = True) -> float:
        return self.until(lambda: self.ready(name) is wanted)

    def ready(self, name: str) -> bool:
        conditions = self.pod(name).get("status", {}).get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def came_back(self, name: str) -> bool:
        return self.ready(name) and self.status(name)["restartCount"] == 1

    def pod(self, name: str) -> Object:
        found = self.store.get("Pod", "default", name)
        assert found is not None
        return found

    def status(self, name: str) -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.pod(name)["status"]["containerStatuses"][0]
        return status


@pytest.fixture
def cluster(network: SmallNetwork, tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(network, PodServer(network.folder), tmp_path / "logs")
    cluster.kubelets.start()
    yield cluster
    cluster.kubelets.stop()


PORTS = [{"name": "http", "containerPort": 8080}]
SLEEP = {"command": ["sh", "-c", "echo up; trap 'exit 0' TERM; while :; do sleep 0.02; done"]}


def test_a_served_pod_passes_its_readiness_probe(cluster: Cluster) -> None:
    probe = {"httpGet": {"port": "http", "path": "/ready"}, "periodSeconds": 1}
    cluster.run(manifest("web", {"ports": PORTS, "readinessProbe": probe}))
    assert cluster.pod("web")["status"]["podIP"] == POD_IP.format(2)


def test_a_killed_program_is_not_ready_within_a_second(cluster: Cluster) -> None:
    cluster.run(manifest("real", SLEEP, restartPolicy="Never"))
    os.kill(int(cluster.status("real")["containerID"].removeprefix("process://")), signal.SIGKILL)
    assert cluster.until_ready("real", wanted=False) < 1.0
    assert cluster.status("real")["state"]["terminated"]["exitCode"] == 137


def test_a_program_restarts(cluster: Cluster) -> None:
    cluster.run(manifest("real", SLEEP))
    os.kill(int(cluster.status("real")["containerID"].removeprefix("process://")), signal.SIGKILL)
    assert cluster.until(partial(cluster.came_back, "real")) < SECONDS


def test_pods_of_a_killed_server_are_not_ready_within_a_second_and_come_back(cluster: Cluster) -> None:
    cluster.run(manifest("web-1", {"ports": PORTS}), manifest("web-2", {"ports": PORTS}))
    pid = cluster.serving.pid
    assert pid is not None
    with cluster.store.watch(("Pod",), initial=False) as watch:
        begin = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        [first, *_] = watch.drain(SECONDS)
        assert time.monotonic() - begin < 1.0
    assert not first.object["status"]["containerStatuses"][0]["ready"]
    for name in ("web-1", "web-2"):
        cluster.until(partial(cluster.came_back, name))


def test_deleted_pods_leave_nothing(cluster: Cluster, network: SmallNetwork) -> None:
    cluster.run(manifest("web", {"ports": PORTS}), manifest("real", SLEEP))
    pid = int(cluster.status("real")["containerID"].removeprefix("process://"))
    for name in ("web", "real"):
        end(cluster.store, cluster.pod(name))
    cluster.until(lambda: cluster.store.list("Pod") == [])
    assert network.pods == {}
    assert not Path(f"/proc/{pid}").exists()
    assert not (cluster.logs / "default_real").exists()
