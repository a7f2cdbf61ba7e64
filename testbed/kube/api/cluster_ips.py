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

    def __contains__(self, address: str) -> bool:
        return int(ip_address(address)) in self._pool

    def claim(self, address: str) -> str:
        """Take this very address; returns what is wrong with it, in Kubernetes' words, or nothing."""
        return "" if self._pool.claim(int(ip_address(address))) else TAKEN

    def take(self) -> str | None:
        """The lowest free address of the dynamic band, then of the static one; None if all are held."""
        number = self._pool.take()
        return None if number is None else str(type(self.network.network_address)(number))


def static_band(size: int) -> int:
    """How many addresses at the start are left for explicit wishes: KEP-3070, min(max(16, size/16), 256)."""
    return 0 if size <= 16 else min(max(16, size // 16), 256)


class ClusterIPs:
    """The service ranges of a cluster during one apply; of each family the first one with room gives."""

    def __init__(self, networks: Sequence[IPNetwork]) -> None:
        self._ranges: dict[str, list[Range]] = {}
        for network in networks:
            self._ranges.setdefault(f"IPv{network.version}", []).append(Range(network))

    def hold(self, spec: Object) -> None:
        """A Service that this apply does not touch."""
        for address in cluster_ips(spec):
            for each in self._ranges.get(family_of(address), ()):
                each.hold(address)

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
        address = next((found for each in self._ranges[family] if (found := each.take())), "")
        if not address:
            item.mistake("spec.clusterIPs", f"failed to allocate an {family} serviceIP: range is full")
        self._hold_elsewhere(family, address)
        return address

    def _hold_elsewhere(self, family: str, address: str) -> None:
        """Ranges may overlap: what one has given is held in all."""
        for each in self._ranges[family] if address else ():
            each.hold(address)

    def _claim_in(self, family: str, address: str) -> str:
        """Take an address from the range that has it; returns what is wrong with it, or nothing."""
        ranges = self._ranges[family]
        home = next((each for each in ranges if address in each), None)
        if home is None:
            listed = ", ".join(str(each.network) for each in ranges)
            return f"provided IP is not in the valid range. The range of valid IPs is {listed}"
        wrong = home.claim(address)
        if not wrong:
            self._hold_elsewhere(family, address)
        return wrong

    def _claim(self, item: Draft, kept: bool) -> None:
        if not needs_cluster_ip(item.spec):
            return
        before = cluster_ips(item.old_spec)
        for index, address in enumerate(cluster_ips(item.spec)):
            if (address in before) is kept:
                wrong = self._claim_in(family_of(address), address)
                if wrong:
                    where = f"spec.clusterIPs[{index}]" if "clusterIPs" in item.manifest.body["spec"] else ""
                    message = f"failed to allocate IP {address}: {wrong}"
                    item.mistake(where or "spec.clusterIP", message, "leave it out to get a free one")
