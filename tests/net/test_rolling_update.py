"""A rolling update under traffic: no request from outside is lost, whatever externalTrafficPolicy says.

The pods wait with their end until the nodes have learnt of it (preStop); test_rollout.py says why.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.net import manifests as m
from tests.net.command import SECONDS, Command, deployed
from tests.require import require
from tests.waiting import until

REPLICAS = 3
NODE_PORT = 30080
GRACEFUL: m.Object = {
    "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
    "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
}
LEAST = 50  # fewer requests would prove little

ASK = """
import json, select, socket, sys
asked, failed = 0, []
while not select.select([sys.stdin], [], [], 0.005)[0]:
    asked += 1
    try:
        with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            answer = connection.recv(1000)
            if b" 200 " not in answer.split(b"\\r\\n")[0]:
                failed.append(f"request {asked}: {answer[:50]!r}")
    except OSError as error:
        failed.append(f"request {asked}: {error}")
print(json.dumps([asked, failed]))
"""
"""Asks again and again, each time on a new connection, until its input ends."""


def web(roll: int) -> m.Object:
    """The Deployment, all on node1; each roll has another template. Never fewer than all are ready."""
    made = m.deployment(REPLICAS, env=[{"name": "ROLL", "value": str(roll)}], **GRACEFUL)
    made["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    made["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "node1"}
    return made


@pytest.fixture(params=["Cluster", "Local"])
def lab(request: pytest.FixtureRequest) -> Iterator[Command]:
    """Two nodes and a Service with a node port that follows the policy."""
    require("iptables-nft")
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": NODE_PORT}]
    front = m.service(type="NodePort", externalTrafficPolicy=request.param, ports=ports)
    with deployed("rolling", manifests=m.text(m.cluster(nodes=2), front, web(0))) as made:
        with made.client() as client:
            client.call("wait", timeout=SECONDS)
        yield made


def rolled(lab: Command, roll: int) -> bool:
    """True when only pods of this roll are left, and all of them are ready."""
    pods = [pod for pod in lab.get("pods") if pod["metadata"]["labels"].get("app") == "web"]
    values = {entry["value"] for pod in pods for entry in pod["spec"]["containers"][0]["env"]}
    ready = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return len(pods) == len(ready) == REPLICAS and values == {str(roll)}


def test_no_request_is_lost_during_a_rolling_update(lab: Command) -> None:
    (address,) = (
        entry["address"]
        for node in lab.get("nodes")
        if node["metadata"]["name"] == "node1"
        for entry in node["status"]["addresses"]
        if entry["type"] == "InternalIP"
    )
    asking = lab.begin("exec", "client1", "--", sys.executable, "-c", ASK, address, str(NODE_PORT))
    try:
        lab.ok("apply", "-f", "-", stdin=m.text(web(1)))
        until(lambda: rolled(lab, 1), "the update to be through", SECONDS)
    finally:
        out, said = asking.communicate("", timeout=SECONDS)
    assert asking.returncode == 0, said
    asked, failed = json.loads(out)
    assert not failed, f"{len(failed)} of {asked}, the first: {failed[0]}"
    assert asked >= LEAST
