"""Whatever is applied and deleted: no address and no port is held twice, and none is lost."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from testbed.errors import ManifestErrors, NotFound
from testbed.kube.api import Registry
from testbed.kube.objects import ClusterConfig, Networking, NodeConfig
from testbed.kube.store import Store
from tests.unit.kube.api.builders import service, stored

SMALL = IPv4Network("10.96.0.0/28")  # 14 addresses, no static band
CLUSTER = ClusterConfig("test", (NodeConfig("node1"),), Networking("ipv4", service_subnets=(SMALL,)))

names = st.sampled_from("abcdef")
specs = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]),
        "externalName": st.just("example.org"),
        "ports": st.lists(
            st.fixed_dictionaries(
                {"port": st.sampled_from([53, 80]), "protocol": st.sampled_from(["TCP", "UDP"])},
                optional={"nodePort": st.integers(30000, 30003)},
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda port: (port["port"], port["protocol"]),
        ),
    },
    optional={
        "clusterIP": st.one_of(st.just("None"), st.integers(1, 4).map(lambda n: str(SMALL[n]))),
        "externalTrafficPolicy": st.sampled_from(["Local", "Cluster"]),
    },
)
calls = st.lists(st.tuples(names, specs), max_size=3, unique_by=lambda call: call[0])
actions = st.one_of(calls, names)


def addresses(store: Store) -> list[str]:
    """The addresses of all Services, each as often as it is held."""
    found = [ip for obj in store.list("Service") for ip in obj["spec"].get("clusterIPs", ())]
    return [ip for ip in found if ip != "None"]


def ports(store: Store) -> list[tuple[str, int]]:
    """Protocol and number of all node ports, each as often as it is held."""
    found = []
    for obj in store.list("Service"):
        spec = obj["spec"]
        found += [(p["protocol"], p["nodePort"]) for p in spec.get("ports", ()) if p.get("nodePort")]
        if spec.get("healthCheckNodePort"):
            found.append(("TCP", spec["healthCheckNodePort"]))
    return found


def check_complete(spec: dict[str, Any]) -> None:
    """A Service has what its type needs, and nothing that it does not."""
    has_ports = [bool(port.get("nodePort")) for port in spec.get("ports", ())]
    assert all(has_ports) if spec["type"] in ("NodePort", "LoadBalancer") else True
    assert ("clusterIPs" in spec) == (spec["type"] != "ExternalName")
    local = spec["type"] == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"
    assert bool(spec.get("healthCheckNodePort")) == local


@given(st.lists(actions, max_size=12))
def test_nothing_is_held_twice_and_nothing_is_lost(script: list[Any]) -> None:
    store = Store()
    registry = Registry(store, CLUSTER)
    for action in script:
        if isinstance(action, str):
            with contextlib.suppress(NotFound):
                registry.delete("Service", "default", action)
        else:
            with contextlib.suppress(ManifestErrors):
                registry.apply([service(name, **spec) for name, spec in action])
        assert len(addresses(store)) == len(set(addresses(store)))
        assert len(ports(store)) == len(set(ports(store)))
        for obj in store.list("Service"):
            check_complete(obj["spec"])
    free = sorted({str(ip) for ip in SMALL.hosts()} - set(addresses(store)), key=IPv4Address)
    registry.apply([service("last")])
    assert stored(store, "Service", "last")["spec"]["clusterIP"] == free[0]
