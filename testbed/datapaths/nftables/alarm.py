"""An ear for the deletion of our table, its own chains or their rules, by nf_tables' own announcements.

The kernel tells every change of its tables to a multicast group (NFNLGRP_NFTABLES, what `nft monitor` listens to).
Decides nothing: a full pass of ours may be what was heard.
"""

from __future__ import annotations

import socket

from testbed.datapaths.contract import Node
from testbed.datapaths.nftables import names
from testbed.datapaths.nftables.frame import BASE_CHAINS, CHAINS
from testbed.datapaths.nftables.netlink.requests import (
    DELETE_CHAIN,
    DELETE_RULE,
    DELETE_TABLE,
    SUBSYSTEM,
)
from testbed.machine.netlink import GENERIC, NETFILTER, RECEIVE_BYTES, SOL_NETLINK, attributes, received

NFNLGRP_NFTABLES = 7  # linux/netfilter/nfnetlink.h
ADD_MEMBERSHIP = 1  # NETLINK_ADD_MEMBERSHIP, linux/netlink.h

_TABLE = names.TABLE.encode() + b"\0"
_CHAINS = frozenset(chain.name.encode() + b"\0" for chain in (*BASE_CHAINS, *CHAINS))
_CHAIN_NAMED_IN = {DELETE_CHAIN: 3, DELETE_RULE: 2}  # NFTA_CHAIN_NAME, NFTA_RULE_CHAIN


class TableAlarm:
    """See `contract.Alarm`. Own changes are announced, too, but a delta never deletes what is listened for."""

    def __init__(self, node: Node) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = node.socket(socket.AF_NETLINK, kind, NETFILTER)
        self._socket.bind((0, 0))  # without a port of its own, a socket hears nothing
        self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, NFNLGRP_NFTABLES)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def rang(self) -> bool:
        """Read every announcement; True if something is gone, or if some were lost because there were too many."""
        seen = False
        while True:
            try:
                seen |= tells(self._socket.recv(RECEIVE_BYTES))
            except BlockingIOError:
                return seen
            except OSError:  # ENOBUFS: what did not fit is lost
                seen = True

    def close(self) -> None:
        """An open one keeps its namespace alive."""
        self._socket.close()


def tells(data: bytes) -> bool:
    """True if one of the messages says that something of what no delta deletes was deleted. Pure."""
    for each in received(data):
        verb = each.kind & 0xFF
        if each.kind & 0xFF00 == SUBSYSTEM and verb in (DELETE_TABLE, DELETE_CHAIN, DELETE_RULE):
            found = attributes(each.body[GENERIC.size :])
            ours = bytes(found.get(1, b"")) == _TABLE
            if ours and (verb == DELETE_TABLE or bytes(found[_CHAIN_NAMED_IN[verb]]) in _CHAINS):
                return True
    return False
