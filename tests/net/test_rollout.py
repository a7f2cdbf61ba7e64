"""Pods are replaced while clients ask without a pause: not one request is lost.

What a pod needs for that is what it needs in any Kubernetes cluster. A readiness gate (readinessProbe), so that the
next pod is only given up when this one serves; and a preStop hook that lasts longer than the nodes need to learn
that the pod is no endpoint any more (here at most minSyncPeriod, 1 s), because SIGTERM and the news start together.
After SIGTERM a served pod answers what comes on its connections with `Connection: close`, and ends without any.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.net import manifests as m
from tests.net.command import Command, Daemon, deployed, finished
from tests.waiting import until

ASKER = Path(__file__).with_name("asker.py")
SERVICE = "http://10.96.0.10"
GRACEFUL: m.Object = {
    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
    "lifecycle": {"preStop": {"sleep": {"seconds": 8}}},  # the machine may be full of other tests
}
ENOUGH = 100  # requests before anything is changed and after it


@contextlib.contextmanager
def asked(command: Command, stop: Path) -> Iterator[dict[str, Any]]:
    """Requests from a pod to the Service for as long as the block lasts; then what became of them is filled in."""
    found: dict[str, Any] = {}
    program = [sys.executable, str(ASKER), SERVICE, str(stop)]
    running = command.begin("exec", "pod/caller", "--", *program)
    try:
        until(stop.with_name(f"{stop.name}.begun").exists, "the first answers")
        yield found
    finally:
        stop.touch()
        found |= json.loads(finished(running).stdout)


def pods(client: Daemon, *, ending: bool = False) -> set[str]:
    """The names of the pods of `web`, or only of those that end."""
    found = client.kube.list("Pod").items
    named = [p for p in found if p["metadata"]["labels"].get("app") == "web"]
    return {p["metadata"]["name"] for p in named if not ending or "deletionTimestamp" in p["metadata"]}


def deployment(version: str, **spec: Any) -> m.Object:
    """Three pods that end gracefully."""
    made = m.deployment(3, env=[{"name": "VERSION", "value": version}], **GRACEFUL)
    made["spec"] |= spec
    return made


def rolling(surge: int, unavailable: int) -> m.Object:
    bounds = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": bounds}}


@contextlib.contextmanager
def lab(*objects: m.Object) -> Iterator[tuple[Command, Daemon]]:
    """Two nodes, a caller that is no pod of the Service, and these objects."""
    caller = m.pod("caller", {"app": "caller"})
    with deployed("rollout", manifests=m.text(m.cluster(2), caller, m.service(), *objects)) as made:
        with made.client() as client:
            yield made, client


@pytest.mark.parametrize("strategy", [rolling(1, 0), rolling(0, 1)], ids=["surge", "unavailable"])
def test_a_rolling_update_loses_no_request(tmp_path: Path, strategy: m.Object) -> None:
    with lab(deployment("1", **strategy)) as (command, client):
        before = pods(client)
        with asked(command, tmp_path / "stop") as found:
            command.ok("apply", "-f", "-", stdin=m.text(deployment("2", **strategy)))
            until(lambda: len(pods(client)) == 3 and not pods(client) & before, "only new pods")
            after = pods(client)
            command.ok("wait")
        assert found["lost"] == []
        assert found["asked"] > ENOUGH
        assert set(found["pods"]) >= after
        assert set(found["pods"]) & before


def test_scaling_down_loses_no_request(tmp_path: Path) -> None:
    with lab(deployment("1")) as (command, client):
        with asked(command, tmp_path / "stop") as found:
            command.ok("scale", "--replicas=1", "deployment/web")
            until(lambda: len(pods(client)) == 1, "two pods to be gone")
        assert found["lost"] == []
        assert found["asked"] > ENOUGH


def test_a_rolling_update_of_a_stateful_set_loses_no_request(tmp_path: Path) -> None:
    def stateful_set(version: str) -> m.Object:
        made = deployment(version)
        del made["spec"]["replicas"]
        return {**made, "kind": "StatefulSet", "spec": {**made["spec"], "replicas": 2, "serviceName": "web"}}

    with lab(stateful_set("1")) as (command, client):
        with asked(command, tmp_path / "stop") as found:
            command.ok("apply", "-f", "-", stdin=m.text(stateful_set("2")))
            until(lambda: rolled(client), "both pods to be new")
        assert found["lost"] == []
        assert set(found["pods"]) == {"web-0", "web-1"}


def rolled(client: Daemon) -> bool:
    status = client.kube.get("StatefulSet", "default", "web").get("status", {})
    return bool(status["currentRevision"] == status["updateRevision"] and status["updatedReplicas"] == 2)
