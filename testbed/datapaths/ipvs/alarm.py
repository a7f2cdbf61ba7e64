"""An ear for what rtnetlink announces: kube-ipvs0 is gone, or the node has other addresses. Decides nothing.

kube-proxy looks at the node's addresses at each sync; here the kernel tells (RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
RTNLGRP_IPV6_IFADDR of linux/rtnetlink.h). Of a flush of IPVS itself the kernel tells nobody.
"""

from __future__ import annotations

import socket

from testbed.datapaths.contract import Node
from testbed.datapaths.ipvs.netlink.link import DELADDR, DELLINK, DEVICE, NEWADDR, NEWLINK, Links
from testbed.machine.netlink import RECEIVE_BYTES, Received, attributes, received
from testbed.machine.rtnetlink import IFADDR, IFINFO, IFLA_IFNAME

GROUPS = 1 << 0 | 1 << 4 | 1 << 8  # links, IPv4 addresses, IPv6 addresses


class AddressAlarm:
    """See `contract.Alarm`. What happens to addresses of kube-ipvs0 is mostly our own work, and passed over."""

    def __init__(self, node: Node) -> None:
        links = Links(node)
        self._index = links.index()
        self._rang = False  # something that matters was read together with our own work
        links.close()
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = node.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, GROUPS))

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def rang(self) -> bool:
        """Read every announcement; True if one is worth a look, or if some were lost."""
        seen, self._rang = self._rang, False
        while True:
            try:
                for announced in received(self._socket.recv(RECEIVE_BYTES)):
                    seen |= self._matters(announced)
            except BlockingIOError:
                return seen
            except OSError:  # ENOBUFS: what did not fit is lost
                seen = True

    def own_work(self) -> None:
        """Read what our own work has made the kernel announce. So much of it may come that some is lost; that is
        no reason to look, where the rest is kept for the next time."""
        while True:
            try:
                for announced in received(self._socket.recv(RECEIVE_BYTES)):
                    self._rang |= self._matters(announced)
            except BlockingIOError:
                return
            except OSError:  # ENOBUFS
                continue

    def _matters(self, announced: Received) -> bool:
        if announced.kind in (NEWADDR, DELADDR):
            return bool(IFADDR.unpack_from(announced.body)[4] != self._index)
        if announced.kind not in (NEWLINK, DELLINK):
            return False
        named = attributes(announced.body[IFINFO.size :]).get(IFLA_IFNAME, memoryview(b""))
        if bytes(named).rstrip(b"\0").decode() != DEVICE:
            return False
        self._index = IFINFO.unpack_from(announced.body)[2]
        return announced.kind == DELLINK

    def close(self) -> None:
        """An open one keeps its namespace alive."""
        self._socket.close()
