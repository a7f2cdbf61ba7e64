"""What decides how the table of one family looks on one node, whatever the Services are."""

from __future__ import annotations

from dataclasses import dataclass

from testbed.datapaths.nftables.model import ComesBy, Field, KeyType, Matches
from testbed.proxier.plan import Family, IPAddress, IPNetwork, NodeFacts

MASQUERADE_BIT = 14
"""nftables.masqueradeBit: the bit of the packet mark that asks for masquerade."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One family on one node."""

    family: Family
    facts: NodeFacts
    masquerade_bit: int = MASQUERADE_BIT

    @property
    def mark(self) -> int:
        """The masquerade mark."""
        return 1 << self.masquerade_bit

    @property
    def address(self) -> KeyType:
        """The type of an address."""
        return KeyType.IPV4 if self.family is Family.IPV4 else KeyType.IPV6

    def from_pods(self, *, negated: bool = False) -> Matches | ComesBy | None:
        """What tells a pod's packet, or any other; None if the node cannot tell (kube-proxy's local detectors).

        kube-proxy writes `iif`, which is the device's number at that moment; a device that comes later, or comes
        back, is told by its name only.
        """
        facts = self.facts
        if facts.pod_device or facts.pod_device_prefix:
            device = facts.pod_device or facts.pod_device_prefix
            return ComesBy(device, prefix=not facts.pod_device, negated=negated)
        pods = facts.pod_range(self.family)
        return Matches(Field.SADDR, pods, negated) if pods is not None else None

    @property
    def service_ranges(self) -> tuple[IPNetwork, ...]:
        """Where cluster IPs of this family come from."""
        return tuple(network for network in self.facts.service_ranges if network.version == self.family)

    @property
    def node_port_ips(self) -> tuple[IPAddress, ...] | None:
        """The node's addresses on which node ports answer, or None if all do, loopback aside."""
        ranges = [n for n in self.facts.node_port_ranges if n.version == self.family]
        if not ranges or not all(network.prefixlen for network in ranges):
            return None
        ours = (each for each in self.facts.addresses if each.version == self.family)
        return tuple(a for a in ours if not a.is_loopback and any(a in network for network in ranges))
