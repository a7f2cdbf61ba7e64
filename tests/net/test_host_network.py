"""A pod with hostNetwork lives in its node's network, has its addresses, and takes nothing with it at its end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.net import manifests as m
from tests.net.command import Command, deployed
from tests.waiting import until


@pytest.fixture(scope="module")
def lab() -> Iterator[Command]:
    """A node with such a pod and an ordinary one."""
    plain, hosted = m.pod("plain"), m.pod("hosted", spec={"hostNetwork": True})
    with deployed("host-network", manifests=m.text(m.cluster(), plain, hosted)) as made:
        yield made


def node_address(lab: Command) -> str:
    [node] = lab.get("nodes")
    return next(str(a["address"]) for a in node["status"]["addresses"] if a["type"] == "InternalIP")


def pod_status(lab: Command, name: str) -> m.Object:
    [found] = [p for p in lab.get("pods") if p["metadata"]["name"] == name]
    status: m.Object = found["status"]
    return status


def addresses_inside(lab: Command, host: str) -> list[str]:
    links = json.loads(lab.ok("exec", host, "--", "ip", "-j", "-4", "address", "show", "scope", "global"))
    return [entry["local"] for link in links for entry in link["addr_info"]]


def test_its_address_is_its_nodes(lab: Command) -> None:
    status = pod_status(lab, "hosted")
    assert status["podIP"] == status["hostIP"] == node_address(lab)


def test_a_command_in_it_sees_the_nodes_network(lab: Command) -> None:
    assert addresses_inside(lab, "hosted") == addresses_inside(lab, "node1")


def test_an_ordinary_pod_has_an_address_of_its_own(lab: Command) -> None:
    assert addresses_inside(lab, "plain") == [pod_status(lab, "plain")["podIP"]] != [node_address(lab)]


def test_its_end_leaves_the_node_as_it_was(lab: Command) -> None:
    before = addresses_inside(lab, "node1")
    lab.ok("apply", "-f", "-", stdin=m.text(m.pod("short", spec={"hostNetwork": True}, ports=[])))
    until(lambda: pod_status(lab, "short").get("phase") == "Running", "the pod to run")
    lab.ok("delete", "pod", "short")
    assert addresses_inside(lab, "node1") == before
    assert pod_status(lab, "hosted")["phase"] == "Running"
