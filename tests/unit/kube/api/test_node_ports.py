"""Node ports and health-check node ports: given, kept, refused, released."""

from __future__ import annotations

import re
from typing import Any

import pytest

from testbed.errors import ManifestErrors
from testbed.kube.api.node_ports import LAST, STATIC
from testbed.kube.store import Store
from tests.unit.kube.api.builders import service, started, stored

FIRST = 30086  # after the static band
LOCAL = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}


def port(number: int, protocol: str = "TCP", **fields: Any) -> dict[str, Any]:
    return {"name": f"{protocol.lower()}-{number}", "port": number, "protocol": protocol, **fields}


def node_ports(store: Store, name: str = "web") -> list[int | None]:
    return [p.get("nodePort") for p in stored(store, "Service", name)["spec"]["ports"]]


def applied(*specs: dict[str, Any]) -> tuple[Store, dict[str, Any]]:
    """The store and the Service's spec after each of the specs was applied to it in turn."""
    store, registry = started()
    for spec in specs:
        registry.apply([service(**spec)])
    return store, dict(stored(store, "Service", "web")["spec"])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"type": "NodePort"}, [FIRST], id="node port"),
        pytest.param({"type": "LoadBalancer"}, [FIRST], id="load balancer"),
        pytest.param({"type": "ClusterIP"}, [None], id="cluster IP"),
        pytest.param(
            {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, [None], id="not wanted"
        ),
        pytest.param(
            {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False,
             "ports": [port(80, nodePort=30001), port(81)]}, [30001, None], id="not wanted but given",
        ),
        pytest.param(
            {"type": "NodePort", "ports": [port(80), port(81)]}, [FIRST, FIRST + 1], id="one for each port"
        ),
        pytest.param(
            {"type": "NodePort", "ports": [port(53), port(53, "UDP")]}, [FIRST, FIRST],
            id="one for a port in two protocols",
        ),
        pytest.param(
            {"type": "NodePort", "ports": [port(53), port(53, "UDP", nodePort=30053)]}, [30053, 30053],
            id="given for one of two protocols",
        ),
        pytest.param(
            {"type": "NodePort", "ports": [port(80), port(81, nodePort=FIRST)]}, [FIRST + 1, FIRST],
            id="wish before chance",
        ),
    ],
)  # fmt: skip
def test_new_service(spec: dict[str, Any], expected: list[int | None]) -> None:
    store, _ = applied(spec)
    assert node_ports(store) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param({"type": "NodePort"}, {"type": "NodePort"}, [FIRST], id="nothing said"),
        pytest.param({"type": "NodePort"}, {"type": "LoadBalancer"}, [FIRST], id="another type with ports"),
        pytest.param({"type": "NodePort"}, {"type": "ClusterIP"}, [None], id="a type without"),
        pytest.param(
            {"type": "NodePort", "ports": [port(80), port(81)]},
            {"type": "NodePort", "ports": [port(81), port(82)]},
            [FIRST + 1, FIRST], id="by protocol and number, not by place",
        ),
        pytest.param(
            {"type": "NodePort", "ports": [port(80, nodePort=30001)]},
            {"type": "NodePort", "ports": [port(80, nodePort=30002)]}, [30002], id="changed by wish",
        ),
    ],
)  # fmt: skip
def test_on_update(first: dict[str, Any], second: dict[str, Any], expected: list[int | None]) -> None:
    store, _ = applied(first, second)
    assert node_ports(store) == expected


def test_a_port_that_another_one_of_the_service_has_is_refused() -> None:
    """As with kubectl: the manifest is silent about 80's number, so that stays."""
    with pytest.raises(ManifestErrors, match=r"spec.ports\[1\].nodePort: Duplicate value"):
        applied(
            {"type": "NodePort", "ports": [port(80)]},
            {"type": "NodePort", "ports": [port(80), port(81, nodePort=FIRST)]},
        )


def test_port_of_another_service_is_refused() -> None:
    _, registry = started()
    registry.apply([service("a", type="NodePort", ports=[port(80, nodePort=30001)])])
    message = "spec.ports[0].nodePort: 30001: provided port is already allocated"
    with pytest.raises(ManifestErrors, match=re.escape(message)):
        registry.apply([service("b", type="NodePort", ports=[port(80, nodePort=30001)])])


def test_port_outside_the_range_is_refused() -> None:
    with pytest.raises(
        ManifestErrors, match=r"not in the valid range. The range of valid ports is 30000-32767"
    ):
        applied({"type": "NodePort", "ports": [port(80, nodePort=80)]})


def test_same_port_in_another_protocol_is_free() -> None:
    store, registry = started()
    registry.apply([service("a", type="NodePort", ports=[port(80, nodePort=30001)])])
    registry.apply([service("b", type="NodePort", ports=[port(80, "UDP", nodePort=30001)])])
    assert node_ports(store, "b") == [30001]


def test_port_is_not_shared_between_protocols_if_it_is_held_in_one() -> None:
    store, registry = started()
    registry.apply([service("a", type="NodePort", ports=[port(80, nodePort=30001)])])
    registry.apply([service("b", type="NodePort", ports=[port(53), port(53, "UDP", nodePort=30001)])])
    assert node_ports(store, "b") == [FIRST, 30001]


def test_port_given_by_chance_is_free_in_every_protocol() -> None:
    store, registry = started()
    registry.apply([service("a", type="NodePort", ports=[port(80, "UDP", nodePort=FIRST)])])
    registry.apply([service("b", type="NodePort")])
    assert node_ports(store, "b") == [FIRST + 1]


@pytest.mark.parametrize("change", ["delete", "type"])
def test_released_port_is_given_again(change: str) -> None:
    store, registry = started()
    registry.apply([service("a", type="NodePort")])
    if change == "delete":
        registry.delete("Service", "default", "a")
    else:
        registry.apply([service("a", type="ClusterIP")])
    registry.apply([service("b", type="NodePort")])
    assert node_ports(store, "b") == [FIRST]


def test_one_may_take_what_another_gives_up_in_the_same_call() -> None:
    store, registry = started()
    registry.apply([service("a", type="NodePort", ports=[port(80, nodePort=30001)])])
    registry.apply(
        [
            service("b", type="NodePort", ports=[port(80, nodePort=30001)]),
            service("a", type="NodePort", ports=[port(80, nodePort=30002)]),
        ]
    )
    assert (node_ports(store, "a"), node_ports(store, "b")) == ([30002], [30001])


def test_range_that_is_used_up() -> None:
    _, registry = started()
    registry.apply([service(f"s{n}", type="NodePort") for n in range(LAST - 30000 + 1)])
    with pytest.raises(ManifestErrors, match="failed to allocate a nodePort: range is full"):
        registry.apply([service("more", type="NodePort")])


def test_static_band_of_kep_3668() -> None:
    assert STATIC == 86


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(LOCAL, FIRST + 1, id="load balancer, Local"),
        pytest.param(LOCAL | {"healthCheckNodePort": 30005}, 30005, id="given"),
        pytest.param({"type": "LoadBalancer"}, None, id="load balancer, Cluster"),
        pytest.param({"type": "NodePort", "externalTrafficPolicy": "Local"}, None, id="node port, Local"),
    ],
)
def test_health_check_port(spec: dict[str, Any], expected: int | None) -> None:
    _, found = applied(spec)
    assert found.get("healthCheckNodePort") == expected


def test_health_check_port_is_kept() -> None:
    _, found = applied(LOCAL | {"healthCheckNodePort": 30005}, LOCAL)
    assert found["healthCheckNodePort"] == 30005


def test_health_check_port_cannot_change() -> None:
    with pytest.raises(ManifestErrors, match="spec.healthCheckNodePort: field is immutable"):
        applied(LOCAL, LOCAL | {"healthCheckNodePort": 30005})


def test_health_check_port_is_released_with_the_policy() -> None:
    store, registry = started()
    registry.apply([service("a", **LOCAL)])
    registry.apply([service("a", type="LoadBalancer")])
    assert "healthCheckNodePort" not in stored(store, "Service", "a")["spec"]
    registry.apply([service("b", type="NodePort")])
    assert node_ports(store, "b") == [FIRST + 1]


def test_status_with_addresses_is_honoured() -> None:
    store, registry = started()
    given = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    registry.apply([service(type="LoadBalancer", status=given)])
    assert stored(store, "Service", "web")["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.7"


def test_status_is_kept_when_left_out() -> None:
    store, registry = started()
    given = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    registry.apply([service(type="LoadBalancer", status=given)])
    registry.apply([service(type="LoadBalancer", sessionAffinity="ClientIP")])
    assert stored(store, "Service", "web")["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.7"
