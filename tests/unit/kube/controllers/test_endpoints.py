"""One pod as an endpoint: addresses, conditions, ports."""

from __future__ import annotations

from typing import Any

import pytest

from testbed.kube.controllers.endpoints import SlicePort, address_of, endpoint, ports_of, slice_ports

BOTH = [{"ip": "10.244.0.2"}, {"ip": "fd00:10:244::2"}]


def pod(*, ready: bool = True, ending: bool = False, **fields: Any) -> dict[str, Any]:
    metadata = {"name": "web-1", "namespace": "default", "uid": "u1"}
    if ending:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    ports = [{"name": "http", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"ports": ports}], "nodeName": "node1"},
        "status": {"phase": "Running", "podIPs": BOTH, "conditions": [condition]},
    } | fields


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "default"}, "spec": spec}


@pytest.mark.parametrize(
    ("ready", "ending", "publish", "expected"),
    [
        pytest.param(True, False, False, (True, True, False), id="ready"),
        pytest.param(False, False, False, (False, False, False), id="not ready"),
        pytest.param(True, True, False, (False, True, True), id="ending, still serving"),
        pytest.param(False, True, False, (False, False, True), id="ending, not serving"),
        pytest.param(False, False, True, (True, False, False), id="published though not ready"),
        pytest.param(False, True, True, (True, False, True), id="published though ending"),
    ],
)
def test_conditions(ready: bool, ending: bool, publish: bool, expected: tuple[bool, bool, bool]) -> None:
    found = endpoint(
        pod(ready=ready, ending=ending), "10.244.0.2", service(publishNotReadyAddresses=publish), ""
    )
    assert tuple(found["conditions"].values()) == expected
    assert list(found["conditions"]) == ["ready", "serving", "terminating"]


def test_pod_without_conditions_does_not_serve() -> None:
    found = endpoint(pod(status={"phase": "Pending"}), "10.244.0.2", service(), "")
    assert found["conditions"] == {"ready": False, "serving": False, "terminating": False}


def test_who_and_where() -> None:
    found = endpoint(pod(), "10.244.0.2", service(), "zone-a")
    assert (found["addresses"], found["nodeName"], found["zone"]) == (["10.244.0.2"], "node1", "zone-a")
    assert found["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "web-1", "uid": "u1"}


def test_zone_only_where_there_is_one() -> None:
    assert "zone" not in endpoint(pod(), "10.244.0.2", service(), "")


@pytest.mark.parametrize(("subdomain", "expected"), [("web", "first"), ("other", None)])
def test_hostname_if_the_subdomain_is_the_service(subdomain: str, expected: str | None) -> None:
    named = pod(spec={"containers": [], "hostname": "first", "subdomain": subdomain})
    assert endpoint(named, "10.244.0.2", service(), "").get("hostname") == expected


@pytest.mark.parametrize(("family", "expected"), [("IPv4", "10.244.0.2"), ("IPv6", "fd00:10:244::2")])
def test_address_by_family(family: str, expected: str) -> None:
    assert address_of(pod(), family) == expected


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"phase": "Failed", "podIPs": BOTH}, id="failed"),
        pytest.param({"phase": "Succeeded", "podIPs": BOTH}, id="succeeded"),
        pytest.param({"phase": "Pending"}, id="no address yet"),
        pytest.param({"phase": "Running", "podIPs": BOTH[1:]}, id="none of this family"),
    ],
)
def test_no_address(status: dict[str, Any]) -> None:
    assert address_of(pod(status=status), "IPv4") == ""


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        pytest.param({"port": 80, "targetPort": 8080}, SlicePort("", 8080, "TCP"), id="number"),
        pytest.param({"port": 80}, SlicePort("", 80, "TCP"), id="the port itself"),
        pytest.param({"name": "w", "port": 80, "targetPort": "http"}, SlicePort("w", 8080, "TCP"), id="name"),
        pytest.param(
            {"port": 53, "targetPort": "dns", "protocol": "UDP"}, SlicePort("", 53, "UDP"), id="UDP name"
        ),
        pytest.param(
            {"port": 80, "appProtocol": "http2"}, SlicePort("", 80, "TCP", "http2"), id="application protocol"
        ),
        pytest.param({"port": 80, "targetPort": "nope"}, None, id="unknown name"),
        pytest.param({"port": 53, "targetPort": "dns"}, None, id="name of another protocol"),
    ],
)
def test_port(port: dict[str, Any], expected: SlicePort | None) -> None:
    assert ports_of(service(ports=[port]), pod()) == ((expected,) if expected else ())


def test_port_of_a_sidecar() -> None:
    sidecar = {"restartPolicy": "Always", "ports": [{"name": "proxy", "containerPort": 15000}]}
    once = {"ports": [{"name": "setup", "containerPort": 1}]}
    found = pod(spec={"containers": [], "initContainers": [once, sidecar]})
    ports = [
        {"name": "a", "port": 80, "targetPort": "proxy"},
        {"name": "b", "port": 81, "targetPort": "setup"},
    ]
    assert ports_of(service(ports=ports), found) == (SlicePort("a", 15000, "TCP"),)


def test_ports_come_back_from_a_stored_slice() -> None:
    ports = ports_of(
        service(ports=[{"name": "b", "port": 2}, {"name": "a", "port": 1, "appProtocol": "x"}]), pod()
    )
    assert slice_ports({"ports": [port.to_object() for port in reversed(ports)]}) == ports
