"""One pod as an endpoint of a Service (kubernetes/endpointslice utils.go and reconciler.go). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from testbed.kube.controllers.metadata import pod_ready
from testbed.kube.objects.extensions import PLAIN_WEIGHT, WEIGHT, weight_of
from testbed.kube.store import Object, ended, terminating


class SlicePort(NamedTuple):
    """A port of a slice: the Service port's name with the number that this pod gave it."""

    name: str
    port: int
    protocol: str
    app_protocol: str = ""

    def to_object(self) -> dict[str, Any]:
        """As discovery/v1 EndpointPort."""
        found: dict[str, Any] = {"name": self.name, "port": self.port, "protocol": self.protocol}
        return found | ({"appProtocol": self.app_protocol} if self.app_protocol else {})


class Selected:
    """A pod as one Service sees it: kept as long as neither changes, since a Service may have very many."""

    __slots__ = ("endpoints", "pod", "ports", "uid", "weight", "zone")

    def __init__(self, service: Object, pod: Object, zone: str) -> None:
        self.pod, self.zone, self.uid = pod, zone, str(pod["metadata"]["uid"])
        self.ports, self.weight = ports_of(service, pod), pod_weight(pod)
        found = {family: address_of(pod, family) for family in service["spec"].get("ipFamilies") or ("IPv4",)}
        self.endpoints = {
            family: endpoint(pod, address, service, zone) for family, address in found.items() if address
        }

    def weights(self) -> dict[str, int]:
        """Its weight by each of its addresses; empty for the plain one."""
        if self.weight == PLAIN_WEIGHT:
            return {}
        return {a: self.weight for found in self.endpoints.values() for a in found["addresses"]}


def pod_weight(pod: Object) -> int:
    """The pod's weight; the plain one for a pod that says none, or nonsense."""
    text = weight_text(pod)
    found = weight_of(text) if text else None
    return PLAIN_WEIGHT if found is None else found


def weight_text(pod: Object) -> str:
    """What stands in the pod's annotation; empty without one."""
    return str((pod["metadata"].get("annotations") or {}).get(WEIGHT, ""))


def slice_ports(slice_: Object) -> tuple[SlicePort, ...]:
    """The ports of a stored slice, in the order in which `ports_of` gives them."""
    return tuple(
        sorted(
            SlicePort(p.get("name", ""), p["port"], p.get("protocol", "TCP"), p.get("appProtocol", ""))
            for p in slice_.get("ports") or ()
        )
    )


def address_of(pod: Object, family: str) -> str:
    """The pod's address in a family; empty if it has none or has ended (ShouldPodBeInEndpoints)."""
    if ended(pod):
        return ""
    addresses = (entry["ip"] for entry in pod.get("status", {}).get("podIPs") or ())
    return next((ip for ip in addresses if (":" in ip) is (family == "IPv6")), "")


def ports_of(service: Object, pod: Object) -> tuple[SlicePort, ...]:
    """The Service's ports as this pod has them, sorted. A named target port that it lacks is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        protocol = port.get("protocol", "TCP")
        number = _target(port.get("targetPort") or port["port"], protocol, pod)
        if number is not None:
            found.append(SlicePort(port.get("name", ""), number, protocol, port.get("appProtocol", "")))
    return tuple(sorted(found))


def _target(target: int | str, protocol: str, pod: Object) -> int | None:
    """podutil.FindPort."""
    if isinstance(target, int):
        return target
    for port in _container_ports(pod):
        if port.get("name") == target and port.get("protocol", "TCP") == protocol:
            return int(port["containerPort"])
    return None


def _container_ports(pod: Object) -> Iterator[Object]:
    """Ports of the containers, then of init containers that stay (sidecars)."""
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*spec["containers"], *sidecars]:
        yield from container.get("ports") or ()


def endpoint(pod: Object, address: str, service: Object, zone: str) -> dict[str, Any]:
    """discovery/v1 Endpoint with the conditions of podToEndpoint.

    serving: the pod is Ready. terminating: it was told to end. ready: serving and not terminating, or the
    Service publishes addresses that are not ready.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    serving, going = pod_ready(pod), terminating(pod)
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    reference = {
        "kind": "Pod",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    found: dict[str, Any] = {
        "addresses": [address],
        "conditions": {
            "ready": publish or (serving and not going),
            "serving": serving,
            "terminating": going,
        },
        "targetRef": reference,
    }
    if spec.get("nodeName"):
        found["nodeName"] = spec["nodeName"]
    if zone:
        found["zone"] = zone
    if spec.get("hostname") and spec.get("subdomain") == service["metadata"]["name"]:
        found["hostname"] = spec["hostname"]
    return found
