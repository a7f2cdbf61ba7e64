"""From a bound pod to a running one: batches, servers, programs, init containers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from testbed.cluster.kubelet.contract import Outcome
from testbed.cluster.kubelet.probe import ProbeKind
from testbed.cluster.podserver.spec import Identity, Port, PortError
from tests.unit.cluster.kubelet.lab import COMMAND, SERVED, Lab, pod

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


def sandbox(lab: Lab, name: str = "web") -> Mapping[str, Any]:
    """The condition that tells of the pod's place in the network."""
    [found] = [c for c in lab.status(name)["conditions"] if c["type"] == "PodReadyToStartContainers"]
    return dict(found)


def test_a_pod_that_gets_no_place_hinders_no_other(lab: Lab) -> None:
    lab.fake.network.refused["default", "late"] = "no more addresses"
    lab.run(pod(), pod("late"))
    assert lab.ready()
    assert (lab.status("late")["phase"], sandbox(lab, "late")["message"]) == ("Pending", "no more addresses")
    lab.fake.network.refused.clear()
    lab.settle(1)
    assert lab.ready("late")
    assert sandbox(lab, "late").keys() == sandbox(lab).keys()


def test_a_network_that_fails_is_asked_again(lab: Lab) -> None:
    lab.fake.network.broken = "no more addresses"
    lab.run(pod())
    assert lab.status()["phase"] == "Pending"
    assert (sandbox(lab)["reason"], sandbox(lab)["message"]) == (
        "FailedCreatePodSandBox",
        "no more addresses",
    )
    lab.fake.network.broken = ""
    lab.settle(1)
    assert lab.ready()


def test_a_pod_without_any_port_keeps_its_port_errors_to_its_log(lab: Lab, tmp_path: Path) -> None:
    two = {"name": "app", "ports": [{"containerPort": 80}, {"containerPort": 90, "protocol": "SCTP"}]}
    lab.fake.serving.refused["default/web/app"] = (PortError("default/web/app", 90, "SCTP", "not here"),)
    lab.run(pod("web", two))
    assert lab.ready()
    [line] = (tmp_path / "default_web" / "app" / "0.log").read_text().splitlines()
    assert line.endswith(" stderr F cannot listen on 90/SCTP: not here")


def test_the_longest_names_have_a_log(lab: Lab, tmp_path: Path) -> None:
    name = "a" * 253
    two = {"name": "app", "ports": [{"containerPort": 80}, {"containerPort": 90}]}
    lab.fake.serving.refused[f"default/{name}/app"] = (PortError("", 80, "TCP", "taken"),)
    lab.run(pod(name, two))
    [log] = tmp_path.glob("*/app/0.log")
    assert log.read_text().endswith(" stderr F cannot listen on 80/TCP: taken\n")


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
    assert spec.log == tmp_path / "default_web" / "app" / "0.log"
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


def test_a_sidecar_starts_before_the_others_and_stays(lab: Lab) -> None:
    sidecar = {"name": "proxy", "restartPolicy": "Always", "command": ["proxy"]}
    lab.run(pod("web", SERVED, initContainers=[sidecar]))
    assert lab.process.spec.argv == ("proxy",)
    assert lab.ready()
    assert lab.status()["initContainerStatuses"][0]["ready"] is True


def test_a_sidecar_that_has_not_started_yet_holds_the_others(lab: Lab) -> None:
    probe = {"exec": {"command": ["up"]}}
    sidecar = {"name": "proxy", "restartPolicy": "Always", "command": ["proxy"], "startupProbe": probe}
    lab.run(pod("web", SERVED, initContainers=[sidecar]))
    assert lab.fake.serving.open_pods == {}
    lab.fake.prober.find(ProbeKind.STARTUP, Outcome.SUCCESS)
    lab.settle()
    assert lab.ready()


def test_a_sidecar_ends_after_the_others(lab: Lab) -> None:
    lab.fake.processes.graceful = False
    sidecar = {"name": "proxy", "restartPolicy": "Always", "command": ["proxy"]}
    lab.run(pod("web", COMMAND, initContainers=[sidecar]))
    proxy, main = lab.fake.processes.started
    lab.delete(grace=10)
    assert (proxy.signals, main.signals) == ([], ["TERM"])
    main.exit(0)
    lab.settle()
    assert proxy.signals == ["TERM"]
    proxy.exit(0)
    lab.settle()
    assert lab.gone()


def test_sidecars_of_a_pod_that_has_done_its_work_end(lab: Lab) -> None:
    sidecar = {"name": "proxy", "restartPolicy": "Always", "command": ["proxy"]}
    lab.run(pod("web", COMMAND, initContainers=[sidecar], restartPolicy="Never"))
    proxy, main = lab.fake.processes.started
    main.exit(0)
    lab.settle()
    assert not proxy.alive
    assert lab.status()["phase"] == "Succeeded"


def test_a_config_map_that_comes_later_starts_the_container(lab: Lab) -> None:
    source = [{"configMapRef": {"name": "settings"}}]
    lab.run(pod("web", {**COMMAND, "envFrom": source}))
    waiting = lab.container()["state"]["waiting"]
    assert (waiting["reason"], waiting["message"]) == (
        "CreateContainerConfigError",
        'configmap "settings" not found',
    )
    assert ("Failed", 'Error: configmap "settings" not found') in lab.told()
    lab.store.create({
        "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}, "data": {"COLOR": "blue"},
    })  # fmt: skip
    lab.settle(1)
    assert lab.process.spec.env["COLOR"] == "blue"


def test_a_post_start_hook_holds_the_container_back(lab: Lab) -> None:
    hook = {"postStart": {"exec": {"command": ["warm"]}}}
    lab.run(pod("web", {**COMMAND, "lifecycle": hook}))
    assert lab.status()["phase"] == "Pending"
    lab.fake.prober.hooks[0][3](Outcome.SUCCESS, "")
    lab.settle()
    assert lab.ready()


def test_a_post_start_hook_that_fails_ends_the_container(lab: Lab) -> None:
    hook = {"postStart": {"exec": {"command": ["warm"]}}}
    lab.run(pod("web", {**COMMAND, "lifecycle": hook}))
    lab.fake.prober.hooks[0][3](Outcome.FAILURE, "cold")
    lab.settle()
    assert ("FailedPostStartHook", "PostStartHook failed: cold") in lab.told()
    assert lab.container()["restartCount"] == 1


def test_volumes_that_are_not_made_are_told(lab: Lab) -> None:
    mounts = [{"name": "data", "mountPath": "/data"}]
    claim = [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]
    lab.run(pod("web", {**COMMAND, "volumeMounts": mounts}, volumes=claim))
    told = "volume data (persistentVolumeClaim) is not made here: app runs without it"
    assert ("FailedMount", told) in lab.told()
