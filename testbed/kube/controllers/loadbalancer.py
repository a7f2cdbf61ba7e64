"""Addresses of Services of type LoadBalancer (what a cloud or MetalLB does for a real cluster).

An address that a Service has already, by its manifest or by us, is never changed. Knows the load-balancer
range; how packets for an address come in is the node agents' matter.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address

from testbed.kube.objects.addresses import IPNetwork
from testbed.kube.store import Event, EventType, Key, Object, Pool, Store, key_of

logger = logging.getLogger(__name__)


def ingress_of(service: Object) -> Sequence[Object]:
    """status.loadBalancer.ingress."""
    found: Sequence[Object] = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    return found


def wants_address(service: Object) -> bool:
    """True if it is for us to give the Service an address: loadBalancerClass names somebody else."""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


class LoadBalancerController:
    """Gives out the lowest free addresses of the range, one for each family of a Service."""

    name = "loadbalancer"
    kinds = ("Service",)

    def __init__(self, subnets: Sequence[IPNetwork]) -> None:
        self._networks = {f"IPv{n.version}": n for n in subnets}
        self._pools = {family: _pool(network) for family, network in self._networks.items()}
        self._held: dict[Key, frozenset[str]] = {}
        self._holders: Counter[str] = Counter()  # replayed objects may share an address
        self._waiting: dict[Key, Object] = {}

    def handle(self, store: Store, events: Sequence[Event]) -> None:
        """Learn who holds what, give back, then serve those who wait in the order in which they came."""
        for event in events:
            self._learn(event)
        served = [key for key, service in self._waiting.items() if self._serve(store, key, service)]
        for key in served:
            del self._waiting[key]

    def _learn(self, event: Event) -> None:
        service, key = event.object, key_of(event.object)
        self._waiting.pop(key, None)
        if event.type is EventType.DELETED:
            self._hold(key, frozenset())
            return
        self._hold(key, frozenset(entry["ip"] for entry in ingress_of(service) if entry.get("ip")))
        if wants_address(service) != bool(ingress_of(service)):
            self._waiting[key] = service

    def _hold(self, key: Key, addresses: frozenset[str]) -> None:
        before = self._held.pop(key, frozenset())
        if addresses:
            self._held[key] = addresses
        self._holders.update(addresses)
        self._holders.subtract(before)
        for address in before | addresses:
            pool = self._pools.get(_family(address))
            if pool is not None and self._holders[address]:
                pool.claim(int(ip_address(address)))
            elif pool is not None:
                pool.release(int(ip_address(address)))

    def _serve(self, store: Store, key: Key, service: Object) -> bool:
        """Give addresses, or take them back if the type is another now. False: keep it waiting."""
        if not wants_address(service):
            if service["spec"].get("type") != "LoadBalancer":
                self._hold(key, frozenset())
                store.update({**service, "status": {**service["status"], "loadBalancer": {}}})
            return True
        addresses = self._choose(key, service)
        if not addresses:
            return False
        ingress = [{"ip": address, "ipMode": "VIP"} for address in addresses]
        store.update(
            {**service, "status": {**service.get("status", {}), "loadBalancer": {"ingress": ingress}}}
        )
        return True

    def _choose(self, key: Key, service: Object) -> list[str]:
        """An address for each family, all or none; spec.loadBalancerIP or nothing for its own family."""
        wish = service["spec"].get("loadBalancerIP", "")
        families = service["spec"].get("ipFamilies") or list(self._networks)[:1]
        chosen = [
            self._claim(wish) if wish and _family(wish) == family else self._take(family)
            for family in families
            if family in self._pools
        ]
        found = [address for address in chosen if address]
        if len(found) == len(chosen):
            self._hold(key, frozenset(found))
            return found
        for address in found:
            self._pools[_family(address)].release(int(ip_address(address)))
        logger.warning("Service %s/%s waits for a load-balancer address", key[1], key[2])
        return []

    def _claim(self, address: str) -> str:
        pool, number = self._pools[_family(address)], int(ip_address(address))
        return address if number in pool and pool.claim(number) else ""

    def _take(self, family: str) -> str:
        number = self._pools[family].take()
        return "" if number is None else str(type(self._networks[family].network_address)(number))


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def _pool(network: IPNetwork) -> Pool:
    """All but the network's own address and the broadcast."""
    return Pool(int(network.network_address) + 1, int(network.broadcast_address) - (network.version == 4))
