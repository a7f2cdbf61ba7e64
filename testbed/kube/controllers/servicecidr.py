"""ServiceCIDRs: ready from the start, and not gone while a Service has an address that only they hold.

What Kubernetes' pkg/controller/servicecidrs does, but by the Services themselves: IPAddress objects are not made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network

from testbed.kube.controllers.metadata import with_condition
from testbed.kube.objects.addresses import IPAddress, IPNetwork
from testbed.kube.store import Event, EventType, Object, Store, finish, terminating

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
READY = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
HELD = {
    "type": "Ready",
    "status": "False",
    "reason": "Terminating",
    "message": "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new "
    "ServiceCIDR",
}


class ServiceCIDRController:
    """Keeps the ranges; Services are asked only when one is to go."""

    name = "service-cidr-controller"
    kinds = ("Service", "ServiceCIDR")

    def __init__(self) -> None:
        self._known: dict[str, Object] = {}

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Mark new ones, and let go those that nobody needs."""
        for event in events:
            if event.object["kind"] == "ServiceCIDR":
                self._known.pop(event.object["metadata"]["name"], None)
                if event.type is not EventType.DELETED:
                    self._known[event.object["metadata"]["name"]] = event.object
        for obj in list(self._known.values()):
            if not terminating(obj):
                store.update(_marked(obj, READY, store.timestamp()))
            elif FINALIZER in obj["metadata"].get("finalizers", ()):
                self._let_go(store, obj)

    def _let_go(self, store: Store, obj: Object) -> None:
        kept = [n for other in self._known.values() if not terminating(other) for n in _networks(other)]
        leaving = _networks(obj)
        for service in store.list("Service"):
            for address in _addresses(service):
                if _in(address, leaving) and not _in(address, kept):
                    store.update(_marked(obj, HELD, store.timestamp()))
                    return
        others = [each for each in obj["metadata"]["finalizers"] if each != FINALIZER]
        finish(store, store.update({**obj, "metadata": {**obj["metadata"], "finalizers": others}}))


def _networks(obj: Object) -> list[IPNetwork]:
    return [ip_network(text) for text in obj["spec"]["cidrs"]]


def _addresses(service: Object) -> list[IPAddress]:
    return [ip_address(text) for text in service["spec"].get("clusterIPs") or () if text != "None"]


def _in(address: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    return any(address in network for network in networks)


def _marked(obj: Object, condition: Mapping[str, str], now: str) -> Object:
    """With the finalizer, and with this condition."""
    finalizers = list(dict.fromkeys([*obj["metadata"].get("finalizers", ()), FINALIZER]))
    conditions = with_condition(obj.get("status", {}).get("conditions", ()), condition, now)
    metadata = {**obj["metadata"], "finalizers": finalizers}
    return {**obj, "metadata": metadata, "status": {**obj.get("status", {}), "conditions": conditions}}
