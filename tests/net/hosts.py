"""The hosts of a lab as the sender's script sees them: addresses, routes, and what a case leaves in their kernels.

Several cases follow one another in one lab instance. What they might tell each other is taken away between
them: routes of clients, extra addresses, tracked connections. A kernel's limit of ICMP errors is lifted, since
cases follow faster than it allows. Knows namespaces and netlink; knows neither cases nor Kubernetes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

from pyroute2 import IPRoute, NFCTSocket

from testbed.machine import rtnetlink
from testbed.machine.netns import FOLDER, Netns
from testbed.machine.rtnetlink import Message, Route, Rtnetlink

# Six errors to one host at once, then one a second; fifty in all, then a thousand a second (ip-sysctl.rst). Kinds
# that no mask names have no limit: who refuses by ICMP in every packet of every case must not be silenced.
NO_LIMITS = {"ipv4/icmp_ratemask": "0\n", "ipv6/icmp/ratemask": "\n"}
SETTINGS = Path("/proc/sys/net")  # of the network namespace that the thread is in
DEVICE = "eth0"
GLOBAL = 0  # RT_SCOPE_UNIVERSE, linux/rtnetlink.h
IFF_UP = 1  # linux/if.h


@dataclass(slots=True)
class Hosts:
    """Network namespaces in `folder`; remembers what it changed in them."""

    folder: Path = FOLDER
    _undo: dict[tuple[str, str], Message] = field(default_factory=dict)  # by host and by what was changed
    _added: set[tuple[str, str]] = field(default_factory=set)

    def prepare(self, names: Sequence[str]) -> None:
        """Lift the limits of hosts that will refuse."""
        for name in names:
            self._netns(name).call(_lift_limits)

    def route(self, name: str, address: str, via: str) -> None:
        """Let a host send to an address by way of another, as a router outside a cluster would."""
        wanted = Route(ip_network(address), via=ip_address(via))
        self._change(name, address, lambda device: rtnetlink.route(device, wanted))

    def add_addresses(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Give hosts more addresses, each by itself, so that no route comes with it."""
        for name, address in pairs:
            self._added.add((name, address))
            self._change(name, address, partial(rtnetlink.address, given=ip_interface(address)))

    def reset(self, names: Sequence[str]) -> None:
        """Take back every change, and have the hosts forget the connections that they track."""
        while self._undo:
            (name, _), message = self._undo.popitem()
            self._netns(name).call(partial(_send, message))
        self._added.clear()
        for name in names:
            self._netns(name).call(_forget_connections)

    def addresses(self, names: Sequence[str]) -> dict[str, list[str]]:
        """The global addresses that each host has, those that it was given here at the end."""
        return {
            name: sorted(
                self._netns(name).call(_global_addresses), key=lambda address: (name, address) in self._added
            )
            for name in names
        }

    def _change(self, name: str, what: str, change: Callable[[int], Message]) -> None:
        """Tell the kernel about a host's device, and remember what takes it back: each RTM_DEL... is the number
        behind its RTM_NEW... (linux/rtnetlink.h)."""
        message = self._netns(name).call(lambda: change(socket.if_nametoindex(DEVICE)))
        self._netns(name).call(partial(_send, message))
        self._undo[name, what] = message._replace(kind=message.kind + 1, flags=0)

    def _netns(self, name: str) -> Netns:
        return Netns(name, self.folder)


def _lift_limits() -> None:
    for name, nothing in NO_LIMITS.items():
        (SETTINGS / name).write_text(nothing)


def _send(message: Message) -> None:
    with Rtnetlink() as netlink:
        netlink.send([message])


def _global_addresses() -> list[str]:
    """Those of this namespace, on devices that are up: on one that is down a datapath may keep service addresses.
    On a link between two a local address differs from the other end's."""
    with IPRoute() as netlink:
        up = {link["index"] for link in netlink.get_links() if link["flags"] & IFF_UP}
        found = [entry for entry in netlink.get_addr(scope=GLOBAL) if entry["index"] in up]
    return [entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS") for entry in found]


def _forget_connections() -> None:
    """Every entry of this namespace's connection tracking table; where nothing is tracked there is none."""
    with NFCTSocket() as netlink:
        netlink.flush()
