"""What `testbed get` prints between NAME and AGE."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.cli.columns import COLUMNS
from testbed.kube.objects import KINDS


def pod(*containers: dict[str, Any], phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", **metadata},
        "spec": {"containers": [{}] * max(1, len(containers)), "nodeName": "node1"},
        "status": {"phase": phase, "podIP": "10.244.0.2", "containerStatuses": list(containers)},
    }


UP: dict[str, Any] = {"ready": True, "restartCount": 2, "state": {"running": {}}}
CRASHED: dict[str, Any] = {
    "ready": False,
    "restartCount": 3,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
}
SERVICE = {
    "spec": {"type": "NodePort", "clusterIP": "10.96.0.10", "ports": [{"port": 80, "nodePort": 30080}]}
}
BALANCED = {
    "spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.11", "externalIPs": ["203.0.113.99"],
             "ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]},
    "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}},
}  # fmt: skip
NODE = {
    "spec": {"podCIDRs": ["10.244.0.0/24", "fd00:10:244::/64"]},
    "status": {"addresses": [{"type": "InternalIP", "address": "192.168.0.1"},
                             {"type": "Hostname", "address": "n1"}],
               "conditions": [{"type": "Ready", "status": "True"}]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "seen", "cells"),
    [
        ("Pod", pod(UP), ("1/1", "Running", "2", "10.244.0.2", "node1")),
        ("Pod", pod(UP, CRASHED), ("1/2", "CrashLoopBackOff", "5", "10.244.0.2", "node1")),
        ("Pod", pod(UP, deletionTimestamp="now"), ("1/1", "Terminating", "2", "10.244.0.2", "node1")),
        ("Pod", pod(phase="Pending"), ("0/1", "Pending", "0", "10.244.0.2", "node1")),
        ("Pod", {"metadata": {}, "spec": {"containers": [{}]}}, ("0/1", "Pending", "0", "", "")),
        ("Service", SERVICE, ("NodePort", "10.96.0.10", "", "80:30080/TCP")),
        ("Service", BALANCED, ("LoadBalancer", "10.96.0.11", "198.51.100.1,203.0.113.99", "53/UDP,53/TCP")),
        ("Service", {"spec": {"type": "ExternalName"}}, ("ExternalName", "", "", "")),
        (
            "Service",
            {"spec": {"type": "ExternalName", "externalName": "example.com"}},
            ("ExternalName", "", "example.com", ""),
        ),
        ("Node", NODE, ("Ready", "192.168.0.1", "10.244.0.0/24,fd00:10:244::/64")),
        ("Deployment", {"spec": {"replicas": 3}, "status": {"readyReplicas": 1}}, ("1/3", "0", "0")),
        ("Deployment", {"spec": {"replicas": 0}}, ("0/0", "0", "0")),
        ("Namespace", {"status": {"phase": "Terminating"}}, ("Terminating",)),
        ("Namespace", {}, ("Active",)),
    ],
)
def test_a_row(kind: str, seen: dict[str, Any], cells: tuple[str, ...]) -> None:
    assert COLUMNS[kind][1](seen) == cells


@pytest.mark.parametrize(
    ("count", "shown"), [(0, ""), (2, "10.0.0.0,10.0.0.1"), (5, "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more...")]
)
def test_of_many_endpoints_three_are_shown(count: int, shown: str) -> None:
    endpoints = [{"addresses": [f"10.0.0.{number}"]} for number in range(count)] or None
    seen = {"addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 8080}, {"port": 5353}]}
    assert COLUMNS["EndpointSlice"][1](seen) == ("IPv4", "8080,5353", shown)


@pytest.mark.parametrize("kind", sorted(COLUMNS))
def test_columns_belong_to_a_kind(kind: str) -> None:
    assert kind in KINDS
