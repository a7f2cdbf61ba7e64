"""How pods end: grace periods, hooks, and what must not be left."""

from __future__ import annotations

import pytest

from testbed.cluster.kubelet.contract import Outcome
from testbed.cluster.kubelet.probe import Exec, ProbeKind
from testbed.cluster.kubelet.served import DRAIN_LOOK_SECONDS, DRAIN_SECONDS
from testbed.errors import NotFound
from testbed.kube.store import end
from tests.unit.cluster.kubelet.lab import COMMAND, SERVED, Lab, pod

TCP = {"tcpSocket": {"port": "http"}, "failureThreshold": 2}


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_pod_is_closed_detached_and_removed(lab: Lab) -> None:
    lab.run(pod())
    lab.delete()
    assert lab.fake.serving.open_pods == {}
    assert lab.fake.network.batches[-1] == ("detach", (("default", "web"),))
    assert lab.gone()


def test_a_pod_that_finalizers_hold_ends_once_and_its_object_stays(lab: Lab) -> None:
    held = pod()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    lab.run(held)
    lab.delete()
    lab.settle(60.0)
    assert lab.pod()["metadata"]["deletionGracePeriodSeconds"] == 0
    assert lab.fake.serving.open_pods == {}
    assert [batch[0] for batch in lab.fake.network.batches].count("detach") == 1


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


@pytest.mark.parametrize(("seconds", "grace", "serves"), [(3, 30, 3), (60, 10, 10)])
def test_a_pre_stop_sleep_keeps_a_served_pod_serving(lab: Lab, seconds: int, grace: int, serves: int) -> None:
    lab.run(pod("web", {**SERVED, "lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}}))
    lab.delete(grace=grace)
    lab.settle(serves - 0.1)
    assert "default/web/app" in lab.fake.serving.open_pods
    lab.settle(0.1)
    assert lab.gone()


def test_readiness_is_probed_while_terminating(lab: Lab) -> None:
    hook = {"lifecycle": {"preStop": {"sleep": {"seconds": 20}}}}
    lab.run(pod("web", {**SERVED, **hook, "readinessProbe": TCP, "livenessProbe": TCP}))
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


# ── draining ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_served_pod_waits_for_its_clients(lab: Lab) -> None:
    lab.run(pod())
    lab.fake.serving.busy = {"default/web/app"}
    lab.delete()
    assert "default/web/app" in lab.fake.serving.open_pods
    lab.fake.serving.busy = set()
    lab.settle(DRAIN_LOOK_SECONDS)
    assert lab.gone()


def test_a_served_pod_does_not_wait_for_ever(lab: Lab) -> None:
    lab.run(pod())
    lab.fake.serving.busy = {"default/web/app"}
    lab.delete()
    lab.settle(DRAIN_SECONDS - 0.1)
    assert not lab.gone()
    lab.settle(0.1)
    assert lab.gone()


def test_what_happens_is_told(lab: Lab) -> None:
    lab.run(pod("web", COMMAND))
    lab.process.exit(1)
    lab.settle()
    lab.process.exit(1)
    lab.settle()
    uid = lab.pod()["metadata"]["uid"]
    lab.delete()
    assert lab.told() == [
        ("Started", "Started container app"),
        ("BackOff", f"Back-off restarting failed container app in pod web_default({uid})"),
    ]


def test_a_pod_that_ends_while_another_is_asked_about_is_asked_about_itself(lab: Lab) -> None:
    lab.run(pod("a"), pod("b"))
    lab.fake.serving.busy = {"default/b/app"}
    for name in ("a", "b"):
        end(lab.store, lab.pod(name))
    lab.settle()
    assert "default/b/app" in lab.fake.serving.open_pods
    assert lab.gone("a")
