"""What happens to a running pod: deaths, restarts, probes."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.cluster.kubelet.contract import Outcome
from testbed.cluster.kubelet.probe import ProbeKind
from tests.unit.cluster.kubelet.lab import COMMAND, SERVED, Lab, pod, ready_of

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


def test_probes_that_fail_are_told_and_counted(lab: Lab) -> None:
    lab.run(pod("web", {**SERVED, "livenessProbe": {"tcpSocket": {"port": "http"}, "failureThreshold": 2}}))
    for _ in range(2):
        lab.fake.prober.find(ProbeKind.LIVENESS, Outcome.FAILURE, "refused")
        lab.settle()
    assert ("Unhealthy", "Liveness probe failed: refused") in lab.told()
    assert ("Killing", "Container app failed liveness probe, will be restarted") in lab.told()
    counts = [e["count"] for e in lab.store.list("Event") if e["reason"] == "Unhealthy"]
    assert counts == [2]
