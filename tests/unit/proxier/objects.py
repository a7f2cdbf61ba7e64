"""Short ways to write the Kubernetes objects that the proxier reads, and hypothesis strategies for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from testbed.proxier.plan import NodeFacts
from testbed.proxier.proxier import Change

Object = dict[str, Any]

NODE = "node1"
FACTS = NodeFacts(
    NODE,
    (ip_address("192.168.0.1"), ip_address("fd00:10:192::1")),
    (ip_network("10.244.0.0/16"), ip_network("fd00:10:244::/56")),
)


def port(number: int = 80, name: str = "http", protocol: str = "TCP", node_port: int | None = None) -> Object:
    """A Service's port."""
    return {"name": name, "port": number, "protocol": protocol} | (
        {"nodePort": node_port} if node_port else {}
    )


def service(
    name: str = "web", ports: Sequence[Object] = (port(),), ingress: Iterable[Object] = (), **spec: Any
) -> Object:
    """A Service; cluster IP 10.96.0.10 and type ClusterIP unless `spec` says something else."""
    defaults = {"type": "ClusterIP", "clusterIP": "10.96.0.10", "ports": list(ports)}
    return {
        "kind": "Service",
        "metadata": {"namespace": "default", "name": name},
        "spec": defaults | spec,
        "status": {"loadBalancer": {"ingress": list(ingress)}},
    }


def endpoint(address: str, node: str | None = "node2", **conditions: bool | None) -> Object:
    """An endpoint; ready unless `conditions` say something else."""
    item: Object = {"addresses": [address], "conditions": conditions or {"ready": True}}
    return item | ({"nodeName": node} if node else {})


def endpoint_slice(
    endpoints: Sequence[Object],
    of: str = "web",
    name: str = "",
    ports: Sequence[Object] | None = None,
    family: str = "IPv4",
) -> Object:
    """A slice of Service `of`, with port 8080 under the name `http` unless `ports` say something else."""
    return {
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": "default",
            "name": name or f"{of}-1",
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": family,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}] if ports is None else list(ports),
        "endpoints": list(endpoints),
    }


# Generated objects: few names and addresses, so that they meet

NAMES = ("a", "b", "c")
PORTS = (("http", "TCP"), ("dns", "UDP"))
_ADDRESSES = {
    "IPv4": ("10.244.0.5", "10.244.0.6", "10.244.1.5", "10.244.1.6"),
    "IPv6": ("fd00:10:244::5", "fd00:10:244:1::5", "fd00:10:244:1::6"),
}
_POLICY = st.sampled_from(["Cluster", "Local"])


@st.composite
def services(draw: st.DrawFn) -> Object:
    """A valid Service as the API server would hand it out: addresses and node ports are its own."""
    name = draw(st.sampled_from(NAMES))
    number = NAMES.index(name) + 1
    kind = draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]))
    chosen = draw(st.lists(st.sampled_from(PORTS), min_size=1, unique=True))
    ports = [
        port(
            53 + PORTS.index(each),
            *each,
            node_port=30000 + 10 * number + PORTS.index(each) if kind != "ClusterIP" else None,
        )
        for each in chosen
    ]
    made = service(name, ports, type=kind, **draw(_spec(number)))
    if kind == "LoadBalancer":
        mode = draw(st.sampled_from(["VIP", "Proxy"]))
        made["status"]["loadBalancer"]["ingress"] = [{"ip": f"198.51.100.{number}", "ipMode": mode}]
        made["spec"]["healthCheckNodePort"] = 31000 + number
    return made


@st.composite
def _spec(draw: st.DrawFn, number: int) -> Object:
    ips = draw(st.sampled_from([["v4"], ["v6"], ["v4", "v6"]]))
    cluster_ips = [{"v4": f"10.96.0.{number}", "v6": f"fd00:10:96::{number}"}[ip] for ip in ips]
    spec: Object = {
        "clusterIP": cluster_ips[0],
        "clusterIPs": cluster_ips,
        "internalTrafficPolicy": draw(_POLICY),
        "externalTrafficPolicy": draw(_POLICY),
        "externalIPs": draw(
            st.sampled_from([[], [f"203.0.113.{number}"], [f"203.0.113.{number}", f"fd00:10:203::{number}"]])
        ),
        "loadBalancerSourceRanges": draw(
            st.sampled_from([[], ["203.0.113.0/25"], ["192.168.0.0/24", "fd00::/8"]])
        ),
    }
    if draw(st.booleans()):
        spec |= {
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}},
        }
    return spec


@st.composite
def _endpoints(draw: st.DrawFn, family: str) -> Object:
    maybe = st.sampled_from([None, True, False])
    conditions = {each: draw(maybe) for each in ("ready", "serving", "terminating")}
    made = endpoint(
        draw(st.sampled_from(_ADDRESSES[family])), draw(st.sampled_from([NODE, "node2"])), **conditions
    )
    hints: Object = {}
    if draw(st.booleans()):
        hints["forZones"] = [{"name": draw(st.sampled_from(["za", "zb"]))}]
    if draw(st.booleans()):
        hints["forNodes"] = [{"name": draw(st.sampled_from([NODE, "node2"]))}]
    return made | ({"hints": hints} if hints else {})


@st.composite
def slices(draw: st.DrawFn) -> Object:
    """An EndpointSlice of one of the generated Services."""
    of, family = draw(st.sampled_from(NAMES)), draw(st.sampled_from(["IPv4", "IPv6"]))
    ports = [{"name": n, "port": 8080 + i, "protocol": p} for i, (n, p) in enumerate(PORTS)]
    found = draw(st.lists(_endpoints(family), max_size=4))
    return endpoint_slice(found, of, f"{of}-{family.lower()}-{draw(st.integers(1, 2))}", ports, family)


@dataclass
class World:
    """The objects that there are, as a store holds them, and the changes that led here."""

    objects: dict[tuple[str, str], Object] = field(default_factory=dict)

    def put(self, obj: Object) -> Change:
        """Add or replace an object."""
        key = obj["kind"], obj["metadata"]["name"]
        old = self.objects.get(key)
        self.objects[key] = obj
        return obj["kind"], old, obj

    def drop(self, obj: Object) -> Change:
        """Remove the object of that kind and name, if it is there."""
        old = self.objects.pop((obj["kind"], obj["metadata"]["name"]), None)
        return obj["kind"], old, None

    def kind(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return [obj for (each, _), obj in self.objects.items() if each == kind]


Step = list[tuple[str, Object]]  # `put` or `drop`, and the object


def steps(**bounds: int) -> st.SearchStrategy[list[Step]]:
    """Batches of changes in the order in which they come."""
    change = st.tuples(st.sampled_from(["put", "put", "put", "drop"]), st.one_of(services(), slices()))
    return st.lists(st.lists(change, min_size=1, max_size=4), **bounds)


def changes(world: World, step: Step) -> list[Change]:
    """Carry out a batch on the world; returns what a watch would tell."""
    return [getattr(world, verb)(obj) for verb, obj in step]
