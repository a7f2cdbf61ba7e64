"""The one word that says how a pod does, and what stands beside it. Cases after printers_test.go's TestPrintPod."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.kube.tables.cells import BORN, row

Json = dict[str, Any]

RUNNING: Json = {"running": {"startedAt": BORN}}
DONE: Json = {"terminated": {"exitCode": 0, "reason": "Completed"}}
INITIALIZED = [{"type": "Initialized", "status": "True"}]
READY = [{"type": "Ready", "status": "True"}]


def container(state: Json, ready: bool = False, restarts: int = 0, **fields: Any) -> Json:
    return {"name": "c", "ready": ready, "restartCount": restarts, "state": state, "lastState": {}, **fields}


def waiting(reason: str) -> Json:
    return {"waiting": {"reason": reason}}


def ended(finished: str) -> Json:
    return {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": finished}}


def pod(*containers: Json, phase: str = "Running", inits: tuple[Json, ...] = (), **status: Any) -> Json:
    """A pod with these container statuses, and a container in its spec for each."""
    spec: Json = {"containers": [{"name": "c"}] * max(1, len(containers))}
    if inits:
        spec["initContainers"] = [{"name": each["name"]} for each in inits]
        status["initContainerStatuses"] = list(inits)
    return {"spec": spec, "status": {"phase": phase, "containerStatuses": list(containers), **status}}


UP = container(RUNNING, ready=True)


@pytest.mark.parametrize(
    ("seen", "cells"),
    [
        (pod(UP, UP), ("2/2", "Running", "0")),
        (pod(container(RUNNING)), ("0/1", "Running", "0")),
        (pod(phase="Pending"), ("0/1", "Pending", "0")),
        (pod(container(waiting("ContainerCreating")), phase="Pending"), ("0/1", "ContainerCreating", "0")),
        (pod(UP, container(waiting("CrashLoopBackOff"), restarts=3)), ("1/2", "CrashLoopBackOff", "3")),
        (pod(container(waiting("First")), container(waiting("Second"))), ("0/2", "First", "0")),
        (pod(container(DONE), phase="Succeeded"), ("0/1", "Completed", "0")),
        (pod(container({"terminated": {"exitCode": 1, "reason": "Error"}}), phase="Failed"), ("0/1", "Error", "0")),
        (pod(container({"terminated": {"exitCode": 3}})), ("0/1", "ExitCode:3", "0")),
        (pod(container({"terminated": {"exitCode": 137, "signal": 9}})), ("0/1", "Signal:9", "0")),
        (pod(container(DONE), UP, conditions=READY), ("1/2", "Running", "0")),
        (pod(container(DONE), UP), ("1/2", "NotReady", "0")),
        (pod(phase="Failed", reason="Evicted"), ("0/1", "Evicted", "0")),
        (
            pod(phase="Pending",
                conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            ("0/1", "SchedulingGated", "0"),
        ),
        ({"spec": {"containers": [{"name": "c"}]}}, ("0/1", "", "0")),
    ],
)  # fmt: skip
def test_a_pod_in_a_word(seen: Json, cells: tuple[str, str, str]) -> None:
    told = row("Pod", seen)
    assert (told["Ready"], told["Status"], told["Restarts"]) == cells


@pytest.mark.parametrize(
    ("inits", "status"),
    [
        ((container(RUNNING),), "Init:0/1"),
        ((container(DONE), container(waiting("PodInitializing"))), "Init:1/2"),
        ((container(waiting("CrashLoopBackOff")),), "Init:CrashLoopBackOff"),
        ((container({"terminated": {"exitCode": 1, "reason": "Error"}}),), "Init:Error"),
        ((container({"terminated": {"exitCode": 2}}),), "Init:ExitCode:2"),
        ((container({"terminated": {"exitCode": 2, "signal": 15}}),), "Init:Signal:15"),
    ],
)
def test_a_pod_whose_init_containers_are_not_done(inits: tuple[Json, ...], status: str) -> None:
    seen = pod(container(waiting("PodInitializing")), phase="Pending", inits=inits)
    assert row("Pod", seen)["Status"] == status


def test_restarts_of_init_containers_count_only_while_they_run() -> None:
    again = container(RUNNING, restarts=2)
    assert row("Pod", pod(inits=(again,), phase="Pending"))["Restarts"] == "2"
    done = container(DONE, restarts=2)
    assert row("Pod", pod(UP, inits=(done,)))["Restarts"] == "0"


def test_initialized_pods_tell_of_their_containers() -> None:
    seen = pod(container(waiting("ErrImagePull")), inits=(container(RUNNING),), conditions=INITIALIZED)
    assert row("Pod", seen)["Status"] == "ErrImagePull"


def test_a_sidecar_counts_as_a_container() -> None:
    sidecar = container(RUNNING, ready=True, restarts=1, name="side", started=True)
    seen = pod(UP, inits=(sidecar,))
    seen["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    told = row("Pod", seen)
    assert (told["Ready"], told["Status"], told["Restarts"]) == ("2/2", "Running", "1")


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (pod(UP), "Terminating"),
        (pod(UP, reason="NodeLost"), "Unknown"),
        (pod(container(DONE), phase="Succeeded"), "Completed"),
    ],
)
def test_a_pod_that_ends(seen: Json, status: str) -> None:
    leaving = {"metadata": {"name": "x", "deletionTimestamp": BORN}, **seen}
    assert row("Pod", leaving)["Status"] == status


def test_the_last_restart_is_told() -> None:
    first = container(RUNNING, restarts=1, lastState=ended("2026-11-23T11:50:00Z"))
    second = container(RUNNING, restarts=2, lastState=ended("2026-11-23T11:59:00Z"))
    assert row("Pod", pod(first, second))["Restarts"] == "3 (60s ago)"


@pytest.mark.parametrize(
    ("spec", "status", "cells"),
    [
        ({}, {}, ("<none>", "<none>", "<none>", "<none>")),
        (
            {"nodeName": "node1"},
            {"podIPs": [{"ip": "10.244.0.2"}, {"ip": "fd00::2"}], "nominatedNodeName": "node2"},
            ("10.244.0.2", "node1", "node2", "<none>"),
        ),
        (
            {"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]},
            {"conditions": [{"type": "a", "status": "True"}, {"type": "b", "status": "False"}]},
            ("<none>", "<none>", "<none>", "1/2"),
        ),
    ],
)
def test_where_a_pod_is(spec: Json, status: Json, cells: tuple[str, ...]) -> None:
    told = row("Pod", {"spec": {"containers": [{}], **spec}, "status": {"phase": "Running", **status}})
    assert (told["IP"], told["Node"], told["Nominated Node"], told["Readiness Gates"]) == cells
