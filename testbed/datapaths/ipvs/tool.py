"""The only programs that are started: iptables for the static chains, sysctl for the node's settings.

Both only at full passes, or when a set is filled or emptied, since a process is dear (27 ms in User Mode Linux).
Knows arguments and the kernel's names of settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from testbed.datapaths.contract import Node
from testbed.datapaths.ipvs import tables
from testbed.datapaths.ipvs.render import TOOLS
from testbed.datapaths.ipvs.rules import CHAINS, FILTER, JUMPS
from testbed.datapaths.ipvs.tables import Tables
from testbed.proxier.plan import Family

LOCK_SECONDS = 60
"""How long `legacy` waits for its lock file, which the nodes of a cluster share here. kube-proxy waits 5."""

ALWAYS = {
    "net.ipv4.vs.conntrack": "1",
    "net.ipv4.vs.expire_nodest_conn": "1",
    "net.ipv4.vs.expire_quiescent_template": "1",
    "net.ipv4.ip_forward": "1",
}
STRICT_ARP = {"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.all.arp_announce": "2"}
"""Settings as NewProxier of kube-proxy's pkg/proxy/ipvs/proxier.go makes them. conn_reuse_mode is left alone: since
Linux 5.9 it does no harm (kubernetes/kubernetes#93297)."""


@dataclass(frozen=True, slots=True)
class Iptables:
    """iptables of one family and variant on one node."""

    node: Node
    variant: str
    family: Family

    def save(self) -> str:
        """The node's rules as text. Raises CommandFailed."""
        return self.node.run([self._program("save")]).stdout

    def present(self) -> Tables:
        """The node's rules, read. Raises CommandFailed."""
        return tables.parse(self.save())

    def is_there(self) -> bool:
        """True if our chain that no other mode has is there. Makes nothing: to list a table of legacy would make
        it, so it is looked first whether there are any (net/ipv4/netfilter/ip_tables.c)."""
        if self.variant == "legacy":
            names = f"/proc/self/net/{TOOLS[self.family].replace('tables', '_tables')}_names"
            if not self.node.run(["cat", names], check=False).stdout:
                return False
        program = f"{TOOLS[self.family]}-{self.variant}"
        argv = [program, "-w", str(LOCK_SECONDS), "-t", "filter", "-S", FILTER]
        return self.node.run(argv, check=False).status == 0

    def change(self, text: str) -> None:
        """Change only what `text` names. Raises CommandFailed."""
        if text:
            argv = [self._program("restore"), "-w", str(LOCK_SECONDS), "--noflush"]
            self.node.run(argv, stdin=text)

    def _program(self, verb: str) -> str:
        return f"{TOOLS[self.family]}-{self.variant}-{verb}"


def mending(wanted: Tables, present: Tables) -> str:
    """Input that makes our chains and jumps what they shall be; empty if they are. Pure."""
    made = []
    for name, chains in CHAINS.items():
        there = present[name]
        wrong = [chain for chain in chains if there.get(chain) != wanted[name][chain]]
        commands = [f"-A {chain} {rule}" for chain in wrong for rule in wanted[name][chain]]
        for chain, jumps in JUMPS[name].items():
            found = [rule for rule in there.get(chain, ()) if rule in jumps]
            if found != list(jumps):
                commands += [f"-D {chain} {rule}" for rule in found]
                commands += [f"-I {chain} {rule}" for rule in reversed(jumps)]
        if wrong or commands:
            made.append(tables.edit(name, wrong, commands))
    return "".join(made)


def clearing(present: Tables) -> str:
    """Input that takes away our jumps and chains; empty if there are none. Pure."""
    made = []
    for name, chains in CHAINS.items():
        there = present[name]
        ours = [chain for chain in chains if chain in there]
        commands = [
            f"-D {chain} {rule}"
            for chain, jumps in JUMPS[name].items()
            for rule in there.get(chain, ())
            if rule in jumps
        ]
        if ours or commands:
            made.append(tables.edit(name, ours, [*commands, *(f"-X {chain}" for chain in ours)]))
    return "".join(made)


def settings(node: Node, names: Mapping[str, str]) -> dict[str, str]:
    """What these settings are on the node; those that the kernel lacks are left out. Raises CommandFailed."""
    out = node.run(["sysctl", "-e", *names], check=False).stdout
    pairs = (line.partition("=") for line in out.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def set_settings(node: Node, values: Mapping[str, str]) -> None:
    """Set them. Raises CommandFailed."""
    if values:
        node.run(["sysctl", "-q", "-w", *(f"{name}={value}" for name, value in values.items())])
