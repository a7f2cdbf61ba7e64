"""The programs of iptables on one node: which are called, and with which arguments.

Knows the two variants (`nft`: iptables over nf_tables; `legacy`: the kernel's old tables), and no rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from testbed.datapaths.contract import Node
from testbed.datapaths.iptables.edit import Taste
from testbed.datapaths.iptables.render import TOOLS
from testbed.datapaths.iptables.ruleset import Ruleset, parse
from testbed.datapaths.iptables.spelling import COUNTERS
from testbed.errors import CommandFailed
from testbed.machine.run import Result
from testbed.proxier.plan import Family

TASTES = {"nft": Taste(1500, descending=False), "legacy": Taste(None, descending=True)}
"""With nft, finding a chain costs the more the more chains an input names; legacy reads and writes the whole table
for each input, and finds the place of a new chain soonest if it comes before those that it knows."""

VARIANTS = tuple(TASTES)

LOCK_SECONDS = 60
"""How long `legacy` waits for its lock file, in seconds. kube-proxy waits 5, but has its machine for itself;
here the nodes of a cluster share one file, and a whole pass over 10,000 Services holds it for seconds."""

NO_CHAIN = 1
"""The status with which iptables says that there is no such chain (PARAMETER_PROBLEM is 2, RESOURCE_PROBLEM 4)."""

ROUTE_LOCALNET = "net.ipv4.conf.all.route_localnet"
TCP_BE_LIBERAL = "net.netfilter.nf_conntrack_tcp_be_liberal"


@dataclass(frozen=True, slots=True)
class Tool:
    """iptables of one family and variant on one node."""

    node: Node
    variant: str
    family: Family

    def save(self) -> str:
        """The node's ruleset as text. Changes nothing."""
        return self.node.run([self._program("save")]).stdout

    def present(self) -> Ruleset:
        """The node's ruleset, read."""
        return parse(self.save())

    def has(self, table: str, chain: str) -> bool:
        """True if a table has a chain. Changes nothing. Raises CommandFailed if that cannot be told."""
        argv = [f"{TOOLS[self.family]}-{self.variant}", "-w", str(LOCK_SECONDS), "-t", table, "-S", chain]
        result = self.node.run(argv, check=False)
        if result.status not in (0, NO_CHAIN):  # e.g. the lock was not to be had
            raise CommandFailed(argv, result.status, result.stderr, where=self.node.name)
        return result.status == 0

    def in_use(self) -> bool:
        """False if there can be nothing of this variant. To list a table of legacy would make it: the kernel names
        those that there are (net/ipv4/netfilter/ip_tables.c, net/ipv6/netfilter/ip6_tables.c).
        """
        if self.variant != "legacy":
            return True
        names = f"/proc/self/net/{TOOLS[self.family].replace('tables', '_tables')}_names"
        return bool(self.node.run(["cat", names], check=False).stdout)

    def change(self, text: str) -> Result:
        """Change only the chains and rules that `text` names. Raises CommandFailed."""
        return self.node.run([self._program("restore"), "-w", str(LOCK_SECONDS), "--noflush"], stdin=text)

    def _program(self, verb: str) -> str:
        return f"{TOOLS[self.family]}-{self.variant}-{verb}"


def ensure_counters(node: Node) -> frozenset[str]:
    """Make the nfacct objects that rules count in; returns those that there are now.

    Without the program or the kernel's support there are none, and as in kube-proxy the rules do without.
    """
    try:
        there = node.run(["nfacct", "list"], check=False).stdout
        # Adding one that exists is an error, so only those that are not listed are added.
        return frozenset(n for n in COUNTERS if f"= {n};" in there or _add_counter(node, n))
    except CommandFailed:  # no such program
        return frozenset()


def _add_counter(node: Node, name: str) -> bool:
    return node.run(["nfacct", "add", name], check=False).status == 0


def delete_counters(node: Node) -> None:
    """Remove the nfacct objects. Those that are not there, or that others' rules use, are left alone."""
    try:
        for name in COUNTERS:
            node.run(["nfacct", "delete", name], check=False)
    except CommandFailed:  # no such program, so no such objects
        return


def sysctls(node: Node) -> dict[str, str]:
    """The node's settings that matter here; one that the kernel lacks is left out."""
    out = node.run(["sysctl", "-e", ROUTE_LOCALNET, TCP_BE_LIBERAL], check=False).stdout
    return {
        name.strip(): value.strip() for name, _, value in (line.partition("=") for line in out.splitlines())
    }


def set_route_localnet(node: Node, value: str) -> None:
    """Let packets to 127.0.0.1 be translated and routed ("1") or not ("0"). Raises CommandFailed."""
    node.run(["sysctl", "-q", "-w", f"{ROUTE_LOCALNET}={value}"])
