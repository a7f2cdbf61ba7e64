"""Generated EndpointSlices: several for a Service, overlapping, endpoints in every state that the API allows."""

from __future__ import annotations

from random import Random

from tests.generated.addresses import odd, pod_ip
from tests.generated.scene import FAMILIES, NODE, OTHER_NODES, ZONES, Object
from tests.generated.services import HIDING, PORTS, identity

NODES = (NODE, *OTHER_NODES)
MANY = 1000
"""More endpoints than this make a large cluster."""


def slice_name(number: int, family: str, part: int) -> str:
    """The name of a slice; the parts of a Service's slices sort in the order of their numbers."""
    return f"{identity(number)[1][:40]}-{family.lower()}-{part}"


def endpoint_slice(rng: Random, number: int, family: str, part: int) -> Object:
    """A slice of the service with this number; equal arguments have equal names."""
    namespace, name = identity(number)
    labels = {"kubernetes.io/service-name": name}
    if rng.random() < 0.04:
        labels[rng.choice(HIDING)] = ""
    if rng.random() < 0.03:
        labels = {}
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"namespace": namespace, "name": slice_name(number, family, part), "labels": labels},
        "addressType": "FQDN" if rng.random() < 0.03 else family,
        "ports": _ports(rng),
        "endpoints": _endpoints(rng, family),
    }


def large_cluster(rng: Random, number: int, count: int) -> list[Object]:
    """A Service with so many endpoints, some of them not ready, and its slices."""
    namespace, name = identity(number)
    spec = {"type": "ClusterIP", "clusterIP": "10.96.9.9", "ports": [{"name": "http", "port": 80}]}
    service = {"kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": spec}
    ends: list[Object] = [{"addresses": [pod_ip("IPv4", 1, n)], "nodeName": "node2"} for n in range(count)]
    for end in rng.sample(ends, rng.choice((0, 3))):
        end["conditions"] = {"ready": False}
    return [service] + [
        {
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": namespace,
                "name": f"{slice_name(number, 'IPv4', 9)}-{first}",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": ends[first : first + 100],
        }
        for first in range(0, count, 100)
    ]


def _ports(rng: Random) -> list[Object]:
    """Ports under the Service's names, some missing, one name with two numbers, none at all."""
    if rng.random() < 0.05:
        return []
    found: list[Object] = []
    for name, protocol, number in (*PORTS, *(("", p, n) for _, p, n in PORTS[:2] + PORTS[3:])):
        if rng.random() < 0.1:
            continue
        port: Object = {"name": name, "protocol": protocol, "port": 8000 + number}
        if protocol == "TCP" and rng.random() < 0.2:
            del port["protocol"]
        if rng.random() < 0.05:
            port["port"] = None  # all ports: nothing to translate to
        found.append(port)
        if rng.random() < 0.05:
            found.append(port | {"port": 9000 + number})
    rng.shuffle(found)
    return found


def _endpoints(rng: Random, family: str) -> list[Object]:
    """Few addresses, so that slices overlap; in most slices everything is as usual."""
    strange, hints = rng.random() < 0.6, rng.choice(("none", "none", "zones", "nodes", "both", "mixed"))
    return [_endpoint(rng, family, strange, hints) for _ in range(rng.choice((0, 1, 2, 3, 5)))]


def _endpoint(rng: Random, family: str, strange: bool, hints: str) -> Object:
    node = rng.randrange(len(NODES))
    found: Object = {"addresses": [odd(rng, pod_ip(family, node, rng.randrange(4)))], "nodeName": NODES[node]}
    if strange:
        found["conditions"] = _conditions(rng)
        if rng.random() < 0.1:
            del found["nodeName"]
        if rng.random() < 0.05:
            other = next(f for f in FAMILIES if f != family)
            found["addresses"] = rng.choice(
                ([pod_ip(other, 0, 9)], [], [pod_ip(family, 2, 8), pod_ip(family, 2, 9)])
            )
    else:
        found["conditions"] = {"ready": True, "serving": True, "terminating": False}
    if hints != "none":
        found["hints"] = _hints(rng, hints)
    return found


def _conditions(rng: Random) -> Object:
    """Every combination of yes, no and unknown, but one: not ready, terminating, and serving unknown.

    There kube-proxy's checklist (an unknown `serving` follows `ready`) and the text of the API (unknown means
    yes) differ. No controller writes it.
    """
    found = {name: rng.choice((True, False, None)) for name in ("ready", "serving", "terminating")}
    if found["ready"] is False and found["terminating"] and found["serving"] is None:
        found["serving"] = rng.choice((True, False))
    return {name: value for name, value in found.items() if value is not None or rng.random() < 0.5}


def _hints(rng: Random, hints: str) -> Object:
    found: Object = {}
    if hints in ("zones", "both") or (hints == "mixed" and rng.random() < 0.7):
        found["forZones"] = [{"name": zone} for zone in rng.sample(ZONES, rng.choice((1, 1, 2)))]
    if hints in ("nodes", "both") or (hints == "mixed" and rng.random() < 0.5):
        found["forNodes"] = [{"name": node} for node in rng.sample(NODES, rng.choice((1, 1, 2)))]
    return found
