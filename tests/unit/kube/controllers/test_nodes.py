"""Node objects: names, labels, addresses, ranges."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from testbed.errors import UsageError
from testbed.kube.controllers import create_nodes
from testbed.kube.controllers.metadata import condition_true
from testbed.kube.objects import ClusterConfig, Networking, NodeConfig
from testbed.kube.store import Store
from tests.unit.kube.api.builders import cluster, names, stored


def nodes(config: ClusterConfig) -> Store:
    store = Store()
    create_nodes(store, config)
    return store


def test_one_for_each_of_the_cluster() -> None:
    assert names(nodes(cluster(nodes=3)), "Node") == ["node1", "node2", "node3"]


@pytest.mark.parametrize(
    ("family", "ranges"),
    [
        ("dual", ["10.244.1.0/24", "fd00:10:244:1::/64"]),
        ("ipv4", ["10.244.1.0/24"]),
        ("ipv6", ["fd00:10:244:1::/64"]),
    ],
)
def test_pod_range(family: str, ranges: list[str]) -> None:
    spec = stored(nodes(cluster(family)), "Node", "node2", "")["spec"]
    assert (spec["podCIDR"], spec["podCIDRs"]) == (ranges[0], ranges)


@pytest.mark.parametrize(
    ("family", "addresses"),
    [("dual", ["192.168.0.1", "fd00:10:192::1"]), ("ipv4", ["192.168.0.1"]), ("ipv6", ["fd00:10:192::1"])],
)
def test_addresses(family: str, addresses: list[str]) -> None:
    status = stored(nodes(cluster(family)), "Node", "node1", "")["status"]
    internal = [{"type": "InternalIP", "address": address} for address in addresses]
    assert status["addresses"] == [*internal, {"type": "Hostname", "address": "node1"}]


def test_labels() -> None:
    config = ClusterConfig("test", (NodeConfig("cp", "control-plane", {"disk": "ssd"}),))
    assert stored(nodes(config), "Node", "cp", "")["metadata"]["labels"] == {
        "disk": "ssd",
        "kubernetes.io/hostname": "cp",
        "kubernetes.io/os": "linux",
        "node-role.kubernetes.io/control-plane": "",
    }


def test_ready() -> None:
    assert condition_true(stored(nodes(cluster()), "Node", "node1", ""), "Ready")


def test_the_condition_has_its_times() -> None:
    """kubectl prints the year 1 for a heartbeat that is not told."""
    (ready,) = stored(nodes(cluster()), "Node", "node1", "")["status"]["conditions"]
    assert ready["lastHeartbeatTime"] == ready["lastTransitionTime"] != ""


@pytest.mark.parametrize(("family", "room"), [("dual", "253"), ("ipv4", "253"), ("ipv6", str(2**64 - 3))])
def test_room_for_as_many_pods_as_have_addresses(family: str, room: str) -> None:
    status = stored(nodes(cluster(family)), "Node", "node1", "")["status"]
    assert status["capacity"] == status["allocatable"] == {"cpu": "1", "memory": "0", "pods": room}


def test_nodes_that_are_there_are_left_alone() -> None:
    store = nodes(cluster(nodes=2))
    create_nodes(store, cluster(nodes=3))
    assert store.version == 3


def test_range_that_is_too_narrow_is_refused() -> None:
    networking = Networking("ipv4", pod_subnets=(IPv4Network("10.244.0.0/23"),))
    config = ClusterConfig("test", tuple(NodeConfig(f"node{n}") for n in range(3)), networking)
    with pytest.raises(UsageError, match="10.244.0.0/23 has no /24 for node 3"):
        nodes(config)


def test_what_they_run_on_is_what_they_are_told() -> None:
    store = Store()
    create_nodes(store, cluster(nodes=2), {"kernelVersion": "6.1.0"})
    assert [n["status"]["nodeInfo"] for n in store.list("Node")] == [{"kernelVersion": "6.1.0"}] * 2


def test_nobody_tells_them() -> None:
    assert "nodeInfo" not in stored(nodes(cluster()), "Node", "node1", "")["status"]


def test_memory_is_what_they_are_told() -> None:
    """Without any, kubectl describes a pod's share of it as -9223372036854775808 %."""
    store = Store()
    create_nodes(store, cluster(), memory="8Gi")
    status = stored(store, "Node", "node1", "")["status"]
    assert (status["capacity"]["memory"], status["allocatable"]["memory"]) == ("8Gi", "8Gi")
