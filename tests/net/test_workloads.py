"""What yields pods and what leads to them, in a whole cluster: judged by answers and files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.net import manifests as m
from tests.net.command import Command, deployed
from tests.waiting import until

READER = "import sys, time; print(open('/etc/app/color').read(), flush=True); time.sleep(1000)"


def answered(command: Command, place: str, url: str) -> str:
    """The pod that answers."""
    told: dict[str, Any] = json.loads(command.ok("exec", place, "--", "curl", "-s", "--max-time", "20", url))
    return str(told["pod"])


def test_a_daemon_set_has_a_pod_on_each_node() -> None:
    daemons = m.deployment(1)
    del daemons["spec"]["replicas"]
    with deployed("daemons", manifests=m.text(m.cluster(3), {**daemons, "kind": "DaemonSet"})) as command:
        found = sorted(pod["spec"]["nodeName"] for pod in command.get("pods"))
        assert found == ["node1", "node2", "node3"]


def test_endpoints_made_by_hand_lead_to_a_pod_through_an_added_range() -> None:
    """A selector-less Service with an address that only a ServiceCIDR allows; its Endpoints are mirrored."""
    more = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "more"},
        "spec": {"cidrs": ["10.99.0.0/24"]},
    }
    legacy = m.service("legacy", clusterIP="10.99.0.7")
    del legacy["spec"]["selector"]
    with deployed("by-hand", manifests=m.text(m.cluster(2), more, legacy, *m.pods(2))) as command:
        address = next(p["status"]["podIP"] for p in command.get("pods") if p["metadata"]["name"] == "web-2")
        ports = [{"name": "http", "port": 8080}]
        subsets = [{"addresses": [{"ip": address}], "ports": ports}]
        by_hand = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": "legacy"},
            "subsets": subsets,
        }
        command.ok("apply", "--wait", "-f", "-", stdin=m.text(by_hand))
        assert answered(command, "pod/web-1", "http://10.99.0.7/") == "web-2"
        assert answered(command, "node1", "http://10.99.0.7/") == "web-2"


def test_a_program_reads_a_config_map_where_it_is_mounted() -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"color": "blue"}}
    volumes = [{"name": "app", "configMap": {"name": "c"}}]
    reader = m.pod(
        "reader",
        spec={"volumes": volumes},
        command=[sys.executable, "-c", READER],
        volumeMounts=[{"name": "app", "mountPath": "/etc/app"}],
    )
    with deployed("volumes", manifests=m.text(m.cluster(), config, reader)) as command:
        until(lambda: command.ok("logs", "reader") == "blue\n", "the program to have read its file")
        assert command.ok("exec", "pod/reader", "--", "cat", "/etc/app/color") == "blue"
    assert not Path("/etc/app").exists()
