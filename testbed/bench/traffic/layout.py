"""Where things stand in the frames that the bench sends and sees: one table of byte offsets.

Used three times, so that they cannot disagree: to patch frames (`frames.py`), to filter them in the kernel
(`filters.py`) and to read them back from a ring (`ring.py`). Knows Ethernet without VLAN tags, IPv4 without
options, IPv6 without extension headers, UDP and TCP. Knows no sockets.

A frame carries three marks of ours, and NAT changes none of them:

    UDP  payload:  magic (4 bytes), stream (4), sequence (4), zeros
    TCP  header:   sequence number = sequence, acknowledgement number = stream (a SYN has no ACK flag, so the
                   kernel ignores that field)

The stream tells one run from another, the sequence one frame from another. All numbers in network order.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from testbed.errors import UsageError

MAGIC = 0x7E57BED5
MARKS = 12  # bytes of magic, stream and sequence: the smallest UDP payload
BACKGROUND_STREAM = 0  # the stream of load that nobody measures; measured streams are never 0

ETHERTYPE = 12
NETWORK = 14
ETHERTYPES = {4: 0x0800, 6: 0x86DD}
TRANSPORTS = {4: NETWORK + 20, 6: NETWORK + 40}
PROTOCOLS = {"UDP": 17, "TCP": 6}

IPV4_ID = NETWORK + 4
IPV4_CHECKSUM = NETWORK + 10


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets in bytes from the start of the Ethernet header, for one IP version and one protocol."""

    version: int  # 4 or 6
    protocol: str  # "UDP" or "TCP"

    @classmethod
    def of(cls, address: str, protocol: str) -> Layout:
        """The layout of frames to `address`. Raises UsageError for a protocol that cannot be marked."""
        if protocol not in PROTOCOLS:
            raise UsageError(f"probes speak {' and '.join(PROTOCOLS)}, not {protocol}")
        return cls(ip_address(address).version, protocol)

    @property
    def ethertype(self) -> int:
        return ETHERTYPES[self.version]

    @property
    def protocol_number(self) -> int:
        """IANA's number, as in the IPv4 protocol or the IPv6 next-header field."""
        return PROTOCOLS[self.protocol]

    @property
    def protocol_field(self) -> int:
        return NETWORK + (9 if self.version == 4 else 6)

    @property
    def source_address(self) -> int:
        return NETWORK + (12 if self.version == 4 else 8)

    @property
    def address_length(self) -> int:
        return 4 if self.version == 4 else 16

    @property
    def destination_address(self) -> int:
        return self.source_address + self.address_length

    @property
    def transport(self) -> int:
        return TRANSPORTS[self.version]

    @property
    def source_port(self) -> int:
        return self.transport

    @property
    def destination_port(self) -> int:
        return self.transport + 2

    @property
    def checksum(self) -> int:
        return self.transport + (6 if self.protocol == "UDP" else 16)

    @property
    def magic(self) -> int:
        """UDP only."""
        return self.transport + 8

    @property
    def stream(self) -> int:
        return self.transport + (12 if self.protocol == "UDP" else 8)

    @property
    def sequence(self) -> int:
        return self.transport + (16 if self.protocol == "UDP" else 4)

    @property
    def tcp_flags(self) -> int:
        """TCP only."""
        return self.transport + 13

    @property
    def length(self) -> int:
        """Bytes of the shortest frame: headers and marks."""
        return self.transport + (8 + MARKS if self.protocol == "UDP" else 20)
