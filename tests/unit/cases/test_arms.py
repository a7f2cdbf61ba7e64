"""The Cluster document that a case runs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from testbed.kube.objects import load_text
from tests.net.arms import Arm, arms
from tests.net.case import Case

LEGACY = Arm("iptables", "iptables-legacy", {"variant": "legacy"})


def document(cluster: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(LEGACY.cluster(Case("x", "something", cluster=cluster)))
    return found


def test_two_nodes_in_two_zones() -> None:
    zones = [node["labels"]["topology.kubernetes.io/zone"] for node in document({})["nodes"]]
    assert zones == ["zone-1", "zone-2"]


def test_a_case_has_nodes_of_its_own() -> None:
    assert document({"nodes": [{"count": 3}]})["nodes"] == [{"count": 3}]


def test_settings_come_where_the_document_has_them() -> None:
    found = document({"kubeProxy": {"nodePortAddresses": ["primary"], "masqueradeAll": True}})["kubeProxy"]
    assert found == {
        "nodePortAddresses": ["primary"],
        "iptables": {"variant": "legacy", "minSyncPeriod": "0s", "masqueradeAll": True},
    }


def test_equal_shapes_are_equal_documents() -> None:
    assert LEGACY.cluster(Case("x", "something")) == LEGACY.cluster(Case("y", "something else"))


@pytest.mark.parametrize("arm", list(arms()), ids=str)
def test_every_arm_gives_a_cluster_that_can_be_read(arm: Arm) -> None:
    cluster = load_text(arm.cluster(Case("x", "something")), "case").cluster
    assert cluster is not None
    assert cluster.networking.kube_proxy_mode == arm.datapath
