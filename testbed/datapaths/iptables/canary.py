"""An ear for the deletion of our canary chains, by nf_tables' own announcements. Decides nothing.

The kernel tells every change of its tables to a multicast group (NFNLGRP_NFTABLES, what `nft monitor` listens to).
"""

from __future__ import annotations

import socket
import struct

from testbed.datapaths.contract import Node
from testbed.datapaths.iptables.names import CANARY

NETLINK_NETFILTER = 12  # linux/netlink.h
NFNLGRP_NFTABLES = 7  # linux/netfilter/nfnetlink.h
DELETED_CHAIN = 10 << 8 | 5  # NFNL_SUBSYS_NFTABLES, NFT_MSG_DELCHAIN of linux/netfilter/nf_tables.h
SOL_NETLINK, ADD_MEMBERSHIP = 270, 1
RECEIVE_BYTES = 1 << 16

_HEADER = struct.Struct("=LHHLL")  # struct nlmsghdr: length, type, flags, sequence, port
_NAME = CANARY.encode() + b"\0"


class CanaryAlarm:
    """See `contract.Alarm`. Own changes are announced, too, but they never delete a canary."""

    def __init__(self, node: Node) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = node.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER)
        self._socket.bind((0, 0))  # without a port of its own, a socket hears nothing
        self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, NFNLGRP_NFTABLES)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def rang(self) -> bool:
        """Read every announcement; True if a canary is gone, or if some were lost because there were too many."""
        seen = False
        while True:
            try:
                seen |= deletes_canary(self._socket.recv(RECEIVE_BYTES))
            except BlockingIOError:
                return seen
            except OSError:  # ENOBUFS: what did not fit is lost
                seen = True

    def close(self) -> None:
        """An open one keeps its namespace alive."""
        self._socket.close()


def deletes_canary(data: bytes) -> bool:
    """True if one of the messages says that a canary chain was deleted. Pure."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, start)
        if kind == DELETED_CHAIN and _NAME in data[start : start + length]:
            return True
        start += max(_HEADER.size, length + 3 & ~3)
    return False
