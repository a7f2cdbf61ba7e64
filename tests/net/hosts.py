"""The hosts of a lab as the sender's script sees them: addresses, routes, and what a case leaves in their kernels.

Several cases follow one another in one lab instance. What they might tell each other is taken away between
them: routes of clients, extra addresses, tracked connections. A kernel's limit of ICMP errors is lifted, since
cases follow faster than it allows. Knows namespaces and netlink; knows neither cases nor Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyroute2 import IPRoute, NFCTSocket

from testbed.machine.netns import FOLDER, Netns

# Six errors to one host at once, then one a second (ip-sysctl.rst); 0 lifts it. Who refuses by ICMP in every
# packet of every case must not be silenced by it.
NO_LIMITS = ("net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
DEVICE = "eth0"
GLOBAL = 0  # RT_SCOPE_UNIVERSE, linux/rtnetlink.h


@dataclass(slots=True)
class Hosts:
    """Network namespaces in `folder`; remembers what it changed in them."""

    folder: Path = FOLDER
    _undo: list[tuple[str, list[str]]] = field(default_factory=list)
    _added: set[tuple[str, str]] = field(default_factory=set)

    def prepare(self, names: Sequence[str]) -> None:
        """Lift the limits of hosts that will refuse."""
        for name in names:
            self._netns(name).run(["sysctl", "-q", "-w", *NO_LIMITS])

    def route(self, name: str, address: str, via: str) -> None:
        """Let a host send to an address by way of another, as a router outside a cluster would."""
        self._change(name, ["route", "replace", address, "via", via], ["route", "del", address])

    def add_addresses(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Give hosts more addresses, each by itself, so that no route comes with it."""
        for name, address in pairs:
            self._added.add((name, address))
            given = ["dev", DEVICE, f"{address}/{128 if ':' in address else 32}"]
            quick = ["nodad"] if ":" in address else []
            self._change(name, ["address", "add", *given, *quick], ["address", "del", *given])

    def reset(self, names: Sequence[str]) -> None:
        """Take back every change, and have the hosts forget the connections that they track."""
        while self._undo:
            name, command = self._undo.pop()
            self._netns(name).run(command)
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

    def _change(self, name: str, command: Sequence[str], undo: Sequence[str]) -> None:
        """Run `ip` with a command, and remember the one that takes it back, once."""
        tool = ["ip", "-6" if ":" in " ".join(command) else "-4"]
        self._netns(name).run([*tool, *command])
        if (name, [*tool, *undo]) not in self._undo:
            self._undo.append((name, [*tool, *undo]))

    def _netns(self, name: str) -> Netns:
        return Netns(name, self.folder)


def _global_addresses() -> list[str]:
    """Those of this namespace. On a link between two a local address differs from the other end's."""
    with IPRoute() as netlink:
        found = [*netlink.get_addr(scope=GLOBAL)]
    return [entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS") for entry in found]


def _forget_connections() -> None:
    """Every entry of this namespace's connection tracking table; where nothing is tracked there is none."""
    with NFCTSocket() as netlink:
        netlink.flush()
