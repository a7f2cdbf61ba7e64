"""The kubelets with pretended machinery: time moves when a test says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from testbed.cluster.kubelet.contract import Outcome
from testbed.cluster.kubelet.fake import FakeMachinery
from testbed.cluster.kubelet.kubelets import Kubelets
from testbed.cluster.kubelet.probe import Exec, ProbeKind
from testbed.cluster.podserver.spec import Identity, Port, PortError
from testbed.errors import NotFound
from testbed.kube.store.ending import end
from testbed.kube.store.store import Object, Store

NODE = {
    "kind": "Node",
    "metadata": {"name": "node1"},
    "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"}]},
}
SERVED = {"name": "app", "image": "nginx", "ports": [{"containerPort": 80, "name": "http"}]}
COMMAND = {"name": "app", "command": ["run"]}
ROUNDS = 8  # more than any chain of consequences here is long


def pod(
    name: str = "web", *containers: Mapping[str, Any], node: str = "node1", **spec: Any
) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": list(containers or [SERVED]), **spec},
    }


def ready_of(pod: Object) -> bool:
    [ready] = [c["status"] for c in pod["status"]["conditions"] if c["type"] == "Ready"]
    return bool(ready == "True")


class Lab:
    """Kubelets over a store with one node."""

    def __init__(self, folder: Path) -> None:
        self.store = Store()
        self.fake = FakeMachinery()
        self.kubelets = Kubelets(
            self.store, self.fake.network, self.fake.serving, folder, self.fake.machinery()
        )
        self.kubelets.begin()

    def settle(self, seconds: float = 0.0) -> None:
        """Move the clock, and let everything happen that follows."""
        self.fake.time.seconds += seconds
        for _ in range(ROUNDS):
            self.kubelets.step()

    def run(self, *pods: Mapping[str, Any]) -> None:
        for each in pods:
            self.store.create(each)
        self.settle()

    def pod(self, name: str = "web") -> Object:
        found = self.store.get("Pod", "default", name)
        assert found is not None
        return found

    def status(self, name: str = "web") -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.pod(name)["status"]
        return status

    def container(self, name: str = "web") -> Mapping[str, Any]:
        status: Mapping[str, Any] = self.status(name)["containerStatuses"][0]
        return status

    def ready(self, name: str = "web") -> bool:
        return ready_of(self.pod(name))

    def delete(self, name: str = "web", grace: int | None = None) -> None:
        end(self.store, self.pod(name), grace)
        self.settle()

    def gone(self, name: str = "web") -> bool:
        return self.store.get("Pod", "default", name) is None

    @property
    def process(self) -> Any:
        return self.fake.processes.started[-1]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    lab = Lab(tmp_path)
    lab.store.create(NODE)
    lab.settle()
    return lab


# ── from bound to running ────────────────────────────────────────────────────────────────────────────────


def test_a_bound_pod_is_attached_served_and_ready(lab: Lab) -> None:
    lab.run(pod())
    spec = lab.fake.serving.open_pods["default/web/app"]
    assert spec.netns == "default_web"
    assert spec.identity == Identity("web", "default", "node1", "10.244.0.2")
    assert spec.ports == (Port(80, "TCP", "http"),)
    assert lab.status()["phase"] == "Running"
    assert (lab.status()["podIP"], lab.status()["hostIP"]) == ("10.244.0.2", "192.168.0.1")
    assert lab.ready()


def test_a_pod_that_is_not_bound_waits(lab: Lab) -> None:
    lab.run(pod(node=""))
    assert lab.fake.network.batches == []
    lab.store.mutate("Pod", "default", "web", lambda old: {**pod(), "metadata": old["metadata"]})
    lab.settle()
    assert lab.ready()


def test_a_pod_bound_to_a_node_that_is_not_there_waits_for_it(lab: Lab) -> None:
    lab.run(pod(node="node2"))
    assert "status" not in lab.pod()
    lab.run({"kind": "Node", "metadata": {"name": "node2"}})
    assert lab.ready()


def test_many_pods_are_one_batch(lab: Lab) -> None:
    names = [f"web-{n}" for n in range(100)]
    lab.run(*(pod(name) for name in names))
    assert [(verb, len(keys)) for verb, keys in lab.fake.network.batches] == [("attach", 100)]
    assert [(verb, len(keys)) for verb, keys in lab.fake.serving.batches] == [("open", 100)]
    assert all(lab.ready(name) for name in names)


def test_statuses_are_written_only_when_they_change(lab: Lab) -> None:
    lab.run(pod())
    version = lab.store.version
    lab.settle(60)
    assert lab.store.version == version


def test_what_others_write_to_the_status_is_kept(lab: Lab) -> None:
    lab.run(pod())
    lab.store.mutate("Pod", "default", "web", lambda old: {**old, "status": {**old["status"], "theirs": 1}})
    lab.fake.serving.die()
    lab.settle()
    assert (lab.status()["theirs"], lab.container()["restartCount"]) == (1, 1)


def test_a_network_that_fails_is_asked_again(lab: Lab) -> None:
    lab.fake.network.broken = "no more addresses"
    lab.run(pod())
    assert lab.status()["phase"] == "Pending"
    assert lab.container()["state"]["waiting"] == {
        "reason": "ContainerCreating", "message": "no more addresses",
    }  # fmt: skip
    lab.fake.network.broken = ""
    lab.settle(1)
    assert lab.ready()


def test_a_pod_without_any_port_keeps_its_port_errors_to_its_log(lab: Lab, tmp_path: Path) -> None:
    two = {"name": "app", "ports": [{"containerPort": 80}, {"containerPort": 90, "protocol": "SCTP"}]}
    lab.fake.serving.refused["default/web/app"] = (PortError("default/web/app", 90, "SCTP", "not here"),)
    lab.run(pod("web", two))
    assert lab.ready()
    assert (tmp_path / "default_web" / "app.log").read_text() == "cannot listen on 90/SCTP: not here\n"


def test_a_container_that_gets_none_of_its_ports_crashes(lab: Lab) -> None:
    lab.fake.serving.refused["default/web/app"] = (PortError("default/web/app", 80, "TCP", "taken"),)
    lab.run(pod())
    assert lab.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert lab.container()["lastState"]["terminated"]["message"] == "80/TCP: taken"
    lab.fake.serving.refused.clear()
    lab.settle(10)
    assert lab.ready()


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_command_is_run_in_the_pods_namespace(lab: Lab, tmp_path: Path) -> None:
    ip = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    lab.run(pod("web", {**COMMAND, "args": ["$(IP)"], "env": [ip]}))
    spec = lab.process.spec
    assert (spec.argv, spec.netns, spec.hostname) == (("run", "10.244.0.2"), "default_web", "web")
    assert spec.log == tmp_path / "default_web" / "app.log"
    assert lab.fake.serving.open_pods == {}
    assert lab.ready()
    assert lab.container()["containerID"] == "process://1"


def test_an_environment_that_cannot_be_made_is_told(lab: Lab) -> None:
    env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    lab.run(pod("web", {**COMMAND, "env": env}))
    waiting = lab.container()["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    assert lab.fake.processes.started == []


def test_a_command_that_cannot_be_started_is_tried_again(lab: Lab) -> None:
    lab.fake.processes.broken = "no such folder"
    lab.run(pod("web", COMMAND))
    assert lab.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert lab.container()["lastState"]["terminated"]["reason"] == "StartError"
    lab.fake.processes.broken = ""
    lab.settle(10)
    assert lab.ready()


def test_init_containers_run_first_one_after_the_other(lab: Lab) -> None:
    inits = [{"name": "one", "command": ["1"]}, {"name": "served"}, {"name": "two", "command": ["2"]}]
    lab.run(pod("web", COMMAND, initContainers=inits))
    order = []
    for _ in inits[:2]:
        order.append(lab.process.spec.argv)
        assert lab.status()["phase"] == "Pending"
        assert not lab.ready()
        lab.process.exit(0)
        lab.settle()
    assert [*order, lab.process.spec.argv] == [("1",), ("2",), ("run",)]
    assert lab.ready()
    assert [c["ready"] for c in lab.status()["initContainerStatuses"]] == [True] * 3


@pytest.mark.parametrize(("policy", "phase", "starts"), [("Always", "Pending", 2), ("Never", "Failed", 1)])
def test_a_failing_init_container_holds_the_pod(lab: Lab, policy: str, phase: str, starts: int) -> None:
    lab.run(pod("web", COMMAND, initContainers=[{"name": "one", "command": ["1"]}], restartPolicy=policy))
    lab.process.exit(1)
    lab.settle()
    assert {p.spec.argv for p in lab.fake.processes.started} == {("1",)}
    assert (lab.status()["phase"], len(lab.fake.processes.started)) == (phase, starts)


# ── ends and restarts ────────────────────────────────────────────────────────────────────────────────────


def test_a_death_is_told_before_the_restart(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    with lab.store.watch(("Pod",), initial=False) as watch:
        lab.process.exit(137)
        lab.settle()
        assert [ready_of(event.object) for event in watch.drain()] == [False, True]
    assert lab.container()["restartCount"] == 1
    assert lab.container()["lastState"]["terminated"]["exitCode"] == 137


def test_restarts_back_off(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    waits = []
    for _ in range(4):
        starts = len(lab.fake.processes.started)
        lab.process.exit(1)
        lab.settle()
        waited = 0
        while len(lab.fake.processes.started) == starts:
            assert lab.container()["state"]["waiting"]["reason"] == "CrashLoopBackOff"
            assert not lab.ready()
            waited += 5
            lab.settle(5)
        waits.append(waited)
    assert waits == [0, 10, 20, 40]
    assert lab.container()["restartCount"] == 4


@pytest.mark.parametrize(
    ("policy", "code", "phase", "restarts"),
    [
        ("Never", 0, "Succeeded", 0),
        ("Never", 3, "Failed", 0),
        ("OnFailure", 0, "Succeeded", 0),
        ("OnFailure", 3, "Running", 1),
        ("Always", 0, "Running", 1),
    ],
)
def test_restart_policies(lab: Lab, policy: str, code: int, phase: str, restarts: int) -> None:
    lab.run(pod("web", COMMAND, restartPolicy=policy))
    lab.process.exit(code)
    lab.settle()
    assert (lab.status()["phase"], lab.container()["restartCount"]) == (phase, restarts)
    assert lab.ready() == bool(restarts)


def test_the_death_of_the_server_is_the_death_of_its_containers(lab: Lab) -> None:
    lab.run(pod("web-1"), pod("web-2"), pod("real", COMMAND))
    with lab.store.watch(("Pod",), initial=False) as watch:
        lab.fake.serving.die()
        lab.settle()
        told = [(event.object["metadata"]["name"], ready_of(event.object)) for event in watch.drain()]
    assert told[:2] == [("web-1", False), ("web-2", False)]
    assert lab.fake.serving.starts == 2
    assert set(lab.fake.serving.open_pods) == {"default/web-1/app", "default/web-2/app"}
    assert [lab.ready(name) for name in ("web-1", "web-2", "real")] == [True, True, True]
    assert [lab.container(name)["restartCount"] for name in ("web-1", "real")] == [1, 0]


def test_a_server_that_dies_again_and_again_is_not_started_in_a_loop(lab: Lab) -> None:
    lab.run(pod())
    for _ in range(2):
        lab.fake.serving.die()
        lab.settle()
    assert lab.fake.serving.starts == 2
    assert not lab.ready()
    lab.settle(10)
    assert lab.fake.serving.starts == 3
    assert lab.ready()


def test_a_pod_that_comes_while_there_is_no_server_waits_for_it(lab: Lab) -> None:
    lab.run(pod())
    for _ in range(2):
        lab.fake.serving.die()
        lab.settle()
    lab.run(pod("late"))
    assert lab.status("late")["phase"] == "Pending"
    lab.settle(10)
    assert lab.container("late")["restartCount"] == 0
    assert lab.ready("late")


# ── probes ───────────────────────────────────────────────────────────────────────────────────────────────


def probed(**probes: dict[str, Any]) -> dict[str, Any]:
    return pod("web", {**SERVED, **probes})


TCP = {"tcpSocket": {"port": "http"}, "failureThreshold": 2}


def test_readiness_follows_its_probe(lab: Lab) -> None:
    lab.run(probed(readinessProbe=TCP))
    assert not lab.ready()
    seen = []
    for outcome in (Outcome.SUCCESS, Outcome.FAILURE, Outcome.FAILURE, Outcome.UNKNOWN, Outcome.SUCCESS):
        lab.fake.prober.find(ProbeKind.READINESS, outcome, "refused")
        lab.settle()
        seen.append(lab.ready())
    assert seen == [True, True, False, False, True]
    assert lab.container()["restartCount"] == 0


def test_probes_go_from_the_node_to_the_pod(lab: Lab) -> None:
    lab.run(probed(readinessProbe=TCP))
    _, target, _ = lab.fake.prober.running[ProbeKind.READINESS]
    assert (target.ip, target.node_netns, target.pod_netns) == ("10.244.0.2", "node1", "default_web")


def test_an_unsupported_probe_is_told(lab: Lab) -> None:
    lab.run(probed(readinessProbe={"grpc": {"port": 80}}))
    lab.fake.prober.find(ProbeKind.READINESS, Outcome.UNKNOWN, "grpc probes are not supported")
    lab.settle()
    [ready] = [c for c in lab.status()["conditions"] if c["type"] == "Ready"]
    assert "grpc probes are not supported" in ready["message"]


def test_liveness_restarts(lab: Lab) -> None:
    lab.run(probed(livenessProbe=TCP))
    assert lab.ready()
    for _ in range(2):
        lab.fake.prober.find(ProbeKind.LIVENESS, Outcome.FAILURE)
        lab.settle()
    assert lab.container()["restartCount"] == 1
    assert lab.container()["lastState"]["terminated"]["exitCode"] == 143
    assert lab.ready()
    assert list(lab.fake.prober.running) == [ProbeKind.LIVENESS]


def test_liveness_kills_what_ignores_sigterm_after_the_grace_period(lab: Lab) -> None:
    lab.fake.processes.graceful = False
    probe = {**TCP, "failureThreshold": 1, "terminationGracePeriodSeconds": 7}
    lab.run(pod("web", {**COMMAND, "ports": SERVED["ports"], "livenessProbe": probe}))
    first = lab.process
    lab.fake.prober.find(ProbeKind.LIVENESS, Outcome.FAILURE)
    lab.settle()
    assert first.signals == ["TERM"]
    lab.settle(7)
    assert first.signals == ["TERM", "KILL"]
    assert lab.container()["restartCount"] == 1


def test_startup_holds_the_other_probes_back(lab: Lab) -> None:
    lab.run(probed(startupProbe=TCP, livenessProbe=TCP, readinessProbe=TCP))
    assert list(lab.fake.prober.running) == [ProbeKind.STARTUP]
    assert not lab.container()["started"]
    lab.fake.prober.find(ProbeKind.STARTUP, Outcome.SUCCESS)
    lab.settle()
    assert set(lab.fake.prober.running) == {ProbeKind.LIVENESS, ProbeKind.READINESS}
    assert lab.container()["started"]


def test_startup_that_fails_restarts(lab: Lab) -> None:
    lab.run(probed(startupProbe=TCP))
    for _ in range(2):
        lab.fake.prober.find(ProbeKind.STARTUP, Outcome.FAILURE)
        lab.settle()
    assert lab.container()["restartCount"] == 1


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_pod_is_closed_detached_and_removed(lab: Lab) -> None:
    lab.run(pod())
    lab.delete()
    assert lab.fake.serving.open_pods == {}
    assert lab.fake.network.batches[-1] == ("detach", (("default", "web"),))
    assert lab.gone()


def test_a_graceful_program_ends_by_sigterm(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    lab.delete()
    assert lab.process.signals == ["TERM"]
    assert lab.gone()


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace_period(lab: Lab) -> None:
    lab.fake.processes.graceful = False
    lab.run(pod("web", COMMAND))
    lab.delete(grace=5)
    lab.settle(4.9)
    assert lab.process.signals == ["TERM"]
    assert lab.ready()  # a terminating pod may serve: endpoints tell it apart by its deletionTimestamp
    lab.settle(0.1)
    assert lab.process.signals == ["TERM", "KILL"]
    assert lab.gone()


def test_a_shorter_grace_period_takes_the_place_of_the_first(lab: Lab) -> None:
    lab.fake.processes.graceful = False
    lab.run(pod("web", COMMAND))
    lab.delete(grace=30)
    lab.delete(grace=2)
    lab.settle(2)
    assert lab.process.signals == ["TERM", "KILL"]
    assert lab.gone()


@pytest.mark.parametrize(("sleep", "grace", "serves"), [(3, 30, 3), (60, 10, 10)])
def test_a_pre_stop_sleep_keeps_a_served_pod_serving(lab: Lab, sleep: int, grace: int, serves: int) -> None:
    lab.run(pod("web", {**SERVED, "lifecycle": {"preStop": {"sleep": {"seconds": sleep}}}}))
    lab.delete(grace=grace)
    lab.settle(serves - 0.1)
    assert "default/web/app" in lab.fake.serving.open_pods
    lab.settle(0.1)
    assert lab.gone()


def test_readiness_is_probed_while_terminating(lab: Lab) -> None:
    sleep = {"lifecycle": {"preStop": {"sleep": {"seconds": 20}}}}
    lab.run(pod("web", {**SERVED, **sleep, "readinessProbe": TCP, "livenessProbe": TCP}))
    lab.fake.prober.find(ProbeKind.READINESS, Outcome.SUCCESS)
    lab.delete()
    assert list(lab.fake.prober.running) == [ProbeKind.READINESS]
    for _ in range(2):
        lab.fake.prober.find(ProbeKind.READINESS, Outcome.FAILURE)
        lab.settle()
    assert not lab.ready()


def test_a_pre_stop_command_comes_before_sigterm(lab: Lab) -> None:
    lab.run(pod("web", {**COMMAND, "lifecycle": {"preStop": {"exec": {"command": ["bye"]}}}}))
    lab.delete(grace=9)
    assert lab.process.signals == []
    [(action, _, timeout, report)] = lab.fake.prober.hooks
    assert (action, timeout) == (Exec(("bye",)), 9)
    report(Outcome.FAILURE, "no matter")
    lab.settle()
    assert lab.gone()


def test_a_pod_in_back_off_ends_at_once(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    for _ in range(2):
        lab.process.exit(1)
        lab.settle()
    starts = len(lab.fake.processes.started)
    lab.delete()
    lab.settle(600)
    assert lab.gone()
    assert len(lab.fake.processes.started) == starts


def test_a_pod_whose_object_vanishes_is_killed_and_detached(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    lab.delete(grace=0)
    assert lab.process.signals == ["KILL"]
    assert lab.fake.network.attached == {}
    assert len(lab.fake.processes.started) == 1


def test_a_pod_of_the_same_name_takes_the_place_of_one_that_vanished(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    lab.store.delete("Pod", "default", "web")
    lab.run(pod("web", COMMAND))
    assert [verb for verb, _ in lab.fake.network.batches] == ["attach", "detach", "attach"]
    assert [p.alive for p in lab.fake.processes.started] == [False, True]
    assert lab.ready()


def test_a_pod_deleted_before_it_runs_goes_again(lab: Lab) -> None:
    lab.fake.network.broken = "busy"
    lab.run(pod())
    lab.delete()
    assert lab.gone()
    lab.fake.network.broken = ""
    lab.settle(5)
    assert lab.fake.network.attached == {}


def test_enter_names_the_namespaces_of_a_container(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    assert lab.kubelets.enter("default", "web", "", ["ls"]) == ("nsenter", "ls")
    with pytest.raises(NotFound):
        lab.kubelets.enter("default", "none", "", ["ls"])
