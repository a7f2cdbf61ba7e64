"""Addresses of Services out of the cluster's service ranges (Kubernetes' ipallocator).

Nothing is remembered between calls: who holds what is read from the store's Services each time, so nothing
can leak. A call keeps what existing Services hold, then grants explicit wishes, then fills the gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from testbed.kube.api.draft import Draft
from testbed.kube.api.families import cluster_ips, family_of, headless, needs_cluster_ip
from testbed.kube.objects.addresses import IPNetwork
from testbed.kube.store import Object, Pool

TAKEN = "provided IP is already allocated"


class Range:
    """The usable addresses of one service range: not the network's own, for IPv4 not the broadcast."""

    def __init__(self, network: IPNetwork) -> None:
        self.network = network
        first, last = int(network.network_address) + 1, int(network.broadcast_address)
        last -= network.version == 4
        self._pool = Pool(first, last, static_band(network.num_addresses))

    def hold(self, address: str) -> None:
        """Note an address that a Service has; a foreign one is nobody's concern."""
        self._pool.claim(int(ip_address(address)))

    def claim(self, address: str) -> str:
        """Take this very address; returns what is wrong with it, in Kubernetes' words, or nothing."""
        number = int(ip_address(address))
        if number not in self._pool:
            return f"provided IP is not in the valid range. The range of valid IPs is {self.network}"
        return "" if self._pool.claim(number) else TAKEN

    def take(self) -> str | None:
        """The lowest free address of the dynamic band, then of the static one; None if all are held."""
        number = self._pool.take()
        return None if number is None else str(type(self.network.network_address)(number))


def static_band(size: int) -> int:
    """How many addresses at the start are left for explicit wishes: KEP-3070, min(max(16, size/16), 256)."""
    return 0 if size <= 16 else min(max(16, size // 16), 256)


class ClusterIPs:
    """The service ranges of a cluster, primary family first, during one apply."""

    def __init__(self, networks: Sequence[IPNetwork]) -> None:
        self._ranges = {f"IPv{network.version}": Range(network) for network in networks}

    def hold(self, spec: Object) -> None:
        """A Service that this apply does not touch."""
        for address in cluster_ips(spec):
            if family_of(address) in self._ranges:
                self._ranges[family_of(address)].hold(address)

    def keep(self, item: Draft) -> None:
        """What the Service holds already."""
        self._claim(item, kept=True)

    def claim(self, item: Draft) -> None:
        """What the manifest asks for."""
        self._claim(item, kept=False)

    def fill(self, item: Draft) -> None:
        """One address for each family that still has none; clusterIP is the first of clusterIPs."""
        spec = item.spec
        if not needs_cluster_ip(spec):
            return
        if not headless(spec):
            missing = spec["ipFamilies"][len(spec["clusterIPs"]) :]
            spec["clusterIPs"] = [*spec["clusterIPs"], *(self._take(item, family) for family in missing)]
        spec["clusterIP"] = spec["clusterIPs"][0]

    def _take(self, item: Draft, family: str) -> str:
        address = self._ranges[family].take()
        if address is None:
            item.mistake("spec.clusterIPs", f"failed to allocate an {family} serviceIP: range is full")
        return address or ""

    def _claim(self, item: Draft, kept: bool) -> None:
        if not needs_cluster_ip(item.spec):
            return
        before = cluster_ips(item.old_spec)
        for index, address in enumerate(cluster_ips(item.spec)):
            if (address in before) is kept:
                wrong = self._ranges[family_of(address)].claim(address)
                if wrong:
                    where = f"spec.clusterIPs[{index}]" if "clusterIPs" in item.manifest.body["spec"] else ""
                    message = f"failed to allocate IP {address}: {wrong}"
                    item.mistake(where or "spec.clusterIP", message, "leave it out to get a free one")
