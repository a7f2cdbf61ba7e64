"""The pure parts of the kubelet: reading the manifest, judging probes, waiting, telling."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.cluster.kubelet.backoff import Backoff
from testbed.cluster.kubelet.environment import expand, hostname
from testbed.cluster.kubelet.podspec import command_of, grace_of, ports_of
from testbed.cluster.kubelet.probe import (
    Exec,
    HttpGet,
    Probe,
    ProbeKind,
    TcpSocket,
    Unsupported,
    Verdict,
    action_of,
    probes_of,
)
from testbed.cluster.kubelet.status import (
    ContainerReport,
    PodReport,
    Running,
    State,
    Terminated,
    Waiting,
    pod_status,
)
from testbed.cluster.kubelet.status import phase as phase_of
from testbed.cluster.podserver.spec import Port

# ── podspec ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("plain", "plain"),
        ("$(A)/$(B)", "a/b"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$a"),
        ("$A ${A} $", "$A ${A} $"),
    ],
)
def test_expansion_as_kubernetes_does_it(text: str, expanded: str) -> None:
    assert expand(text, {"A": "a", "B": "b"}) == expanded


def test_command_is_expanded_with_its_environment() -> None:
    container = {"command": ["run", "$(B)"], "args": ["$(HOSTNAME)"], "workingDir": "/tmp"}
    command = command_of(container, {"HOSTNAME": "web-1", "B": "12"})
    assert command is not None
    assert command.argv == ("run", "12", "web-1")
    assert command.cwd == "/tmp"


@pytest.mark.parametrize("container", [{}, {"command": []}, {"args": ["--port=80"]}])
def test_a_container_without_command_is_served(container: dict[str, Any]) -> None:
    assert command_of(container, {}) is None


@pytest.mark.parametrize(
    ("name", "spec", "told"),
    [
        ("web-1", {}, "web-1"),
        ("web-1", {"hostname": "shop"}, "shop"),
        ("a" * 63, {}, "a" * 63),
        ("a" * 253, {}, "a" * 63),
        ("a" * 60 + "-.-b", {}, "a" * 60),
    ],
)
def test_a_host_name_is_cut_as_kubelet_does_it(name: str, spec: dict[str, Any], told: str) -> None:
    assert hostname({"metadata": {"name": name}, "spec": spec}) == told


def test_ports_have_kubernetes_defaults() -> None:
    container = {"ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP", "name": "dns"}]}
    assert list(ports_of(container)) == [Port(80, "TCP", ""), Port(53, "UDP", "dns")]


@pytest.mark.parametrize(
    ("metadata", "spec", "grace"),
    [({}, {}, 30), ({}, {"terminationGracePeriodSeconds": 0}, 0),
     ({"deletionGracePeriodSeconds": 5}, {"terminationGracePeriodSeconds": 60}, 5)],
)  # fmt: skip
def test_grace(metadata: dict[str, Any], spec: dict[str, Any], grace: float) -> None:
    assert grace_of({"metadata": metadata, "spec": spec}) == grace


# ── probes ───────────────────────────────────────────────────────────────────────────────────────────────

PORTS = [{"name": "http", "containerPort": 8080}]


@pytest.mark.parametrize(
    ("handler", "action"),
    [
        ({"httpGet": {"port": 80}}, HttpGet(80)),
        ({"httpGet": {"port": "http", "path": "ok"}}, HttpGet(8080, "/ok")),
        (
            {"httpGet": {"port": "81", "host": "h", "scheme": "HTTPS"}},
            HttpGet(81, "/", "h", "HTTPS"),
        ),
        (
            {"httpGet": {"port": 80, "httpHeaders": [{"name": "A", "value": "b"}]}},
            HttpGet(80, headers=(("A", "b"),)),
        ),
        ({"tcpSocket": {"port": "http"}}, TcpSocket(8080)),
        ({"exec": {"command": ["true"]}}, Exec(("true",))),
        ({"grpc": {"port": 1}}, Unsupported("grpc probes are not supported")),
        ({"httpGet": {"port": "none"}}, Unsupported("no container port is named none")),
        ({}, Unsupported("no supported action among: ")),
    ],
)  # fmt: skip
def test_actions(handler: dict[str, Any], action: object) -> None:
    assert action_of(handler, PORTS) == action


def test_probe_defaults_are_kubernetes_own() -> None:
    [probe] = probes_of({"ports": PORTS, "readinessProbe": {"tcpSocket": {"port": "http"}}}).values()
    assert probe == Probe(ProbeKind.READINESS, TcpSocket(8080), 0, 10, 1, 1, 3, None)


@pytest.mark.parametrize(
    ("kind", "thresholds", "outcomes", "verdicts"),
    [
        (ProbeKind.READINESS, (1, 3), "-+---", [False, True, True, True, False]),
        (ProbeKind.READINESS, (2, 1), "++-+", [False, True, False, False]),
        (ProbeKind.READINESS, (1, 3), "+--+--", [True] * 6),
        (ProbeKind.LIVENESS, (1, 2), "-+--", [True, True, True, False]),
        (ProbeKind.STARTUP, (1, 2), "-+", [None, True]),
        (ProbeKind.STARTUP, (1, 2), "--", [None, False]),
    ],
)
def test_verdict_turns_at_the_thresholds(
    kind: ProbeKind, thresholds: tuple[int, int], outcomes: str, verdicts: list[bool | None]
) -> None:
    success, failure = thresholds
    verdict = Verdict(Probe(kind, TcpSocket(1), success_threshold=success, failure_threshold=failure))
    before, seen, turned = verdict.passed, [], []
    for outcome in outcomes:
        turned.append(verdict.add(outcome == "+"))
        seen.append(verdict.passed)
    assert seen == verdicts
    assert turned == [a is not b for a, b in zip([before, *seen], seen, strict=False)]


# ── back-off ─────────────────────────────────────────────────────────────────────────────────────────────


def test_backoff_doubles_to_five_minutes() -> None:
    backoff, now, waits = Backoff(), 0.0, []
    for _ in range(8):
        waits.append(backoff.ended(now))
        now += waits[-1]
        backoff.restarted(now)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(("lived", "wait"), [(599, 10), (601, 0)])
def test_backoff_is_forgotten_after_ten_minutes(lived: float, wait: float) -> None:
    backoff = Backoff()
    backoff.restarted(0.0)
    assert backoff.ended(lived) == wait


# ── status ───────────────────────────────────────────────────────────────────────────────────────────────

NOW = "2026-11-22T10:00:00Z"
LATER = "2026-11-22T10:00:05Z"
WAITING, RUNNING = Waiting("ContainerCreating"), Running(NOW)
GOOD, BAD = Terminated(0, "Completed", NOW, NOW), Terminated(1, "Error", NOW, NOW)


def container(state: State, *, last: Terminated | None = None, ready: bool = False) -> ContainerReport:
    return ContainerReport("app", "image", state, last, ready, ready, 0)


def report(*containers: ContainerReport, policy: str = "Always", **more: Any) -> PodReport:
    fields = {"host_ips": ("192.168.0.1",), "pod_ips": ("10.244.0.2",), "attached": True, "inits": ()}
    return PodReport(restart_policy=policy, start_time=NOW, containers=containers, **{**fields, **more})


@pytest.mark.parametrize(
    ("policy", "containers", "phase"),
    [
        ("Always", [container(WAITING)], "Pending"),
        ("Always", [container(RUNNING), container(WAITING)], "Pending"),
        ("Always", [container(RUNNING)], "Running"),
        ("Always", [container(GOOD)], "Running"),
        ("Always", [container(Waiting("CrashLoopBackOff"), last=BAD)], "Running"),
        ("OnFailure", [container(GOOD)], "Succeeded"),
        ("OnFailure", [container(Waiting("CrashLoopBackOff"), last=BAD)], "Running"),
        ("Never", [container(GOOD), container(GOOD)], "Succeeded"),
        ("Never", [container(GOOD), container(BAD)], "Failed"),
        ("Never", [container(RUNNING), container(BAD)], "Running"),
    ],
)
def test_phase(policy: str, containers: list[ContainerReport], phase: str) -> None:
    assert phase_of(report(*containers, policy=policy)) == phase


def test_a_failed_init_container_that_may_not_restart_fails_the_pod() -> None:
    assert phase_of(report(container(WAITING), policy="Never", inits=(container(BAD),))) == "Failed"


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in status["conditions"]}


def test_status_of_a_running_pod() -> None:
    status = pod_status(report(container(RUNNING, ready=True)), {}, NOW)
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    assert conditions(status) == dict.fromkeys(kinds, "True")
    assert (status["podIP"], status["podIPs"]) == ("10.244.0.2", [{"ip": "10.244.0.2"}])
    assert (status["hostIP"], status["startTime"]) == ("192.168.0.1", NOW)
    assert status["containerStatuses"][0]["state"] == {"running": {"startedAt": NOW}}


def test_conditions_keep_the_time_of_their_last_transition() -> None:
    before = pod_status(report(container(RUNNING)), {}, NOW)
    after = pod_status(report(container(RUNNING, ready=True)), before, LATER)
    times = {condition["type"]: condition["lastTransitionTime"] for condition in after["conditions"]}
    assert (times["Initialized"], times["Ready"]) == (NOW, LATER)


def test_conditions_of_others_are_kept() -> None:
    theirs = [
        {"type": "PodScheduled", "status": "True", "reason": "theirs"},
        {"type": "example.com/x", "status": "False"},
    ]
    status = pod_status(report(container(RUNNING)), {"conditions": theirs, "foo": 1}, NOW)
    assert [c for c in status["conditions"] if c in theirs] == theirs
    assert status["foo"] == 1


def test_unready_containers_are_named_with_the_reason() -> None:
    sick = ContainerReport(
        "app", "image", RUNNING, None, False, True, 0, message="Readiness probe failed: 503"
    )
    status = pod_status(report(sick), {}, NOW)
    [ready] = [condition for condition in status["conditions"] if condition["type"] == "Ready"]
    assert ready["reason"] == "ContainersNotReady"
    assert ready["message"] == "containers with unready status: [app]; app: Readiness probe failed: 503"


def test_completed_pods_say_so() -> None:
    status = pod_status(report(container(GOOD), policy="Never"), {}, NOW)
    [ready] = [condition for condition in status["conditions"] if condition["type"] == "Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "PodCompleted")
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
