"""The nftables datapath: brings a node's table to a plan, whole or change by change, and reads it back.

A full pass reads the table and writes what is not as it shall be; a delta writes what its service ports change, and
reads nothing, so its cost does not grow with the Services. Remembers of a node only which service port has which
element of the shared sets: the plan is the caller's.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from testbed.datapaths.contract import (
    Alarm,
    Applied,
    DatapathOptions,
    Machine,
    Missing,
    Node,
    Observed,
)
from testbed.datapaths.nftables import names
from testbed.datapaths.nftables.alarm import TableAlarm
from testbed.datapaths.nftables.claims import Claims
from testbed.datapaths.nftables.decode import read
from testbed.datapaths.nftables.edit import Edit, difference, whole
from testbed.datapaths.nftables.frame import frame, table
from testbed.datapaths.nftables.keys import NET
from testbed.datapaths.nftables.netlink.listing import Listing
from testbed.datapaths.nftables.netlink.transaction import Nftables
from testbed.datapaths.nftables.observe import frontends
from testbed.datapaths.nftables.render import contents, text
from testbed.datapaths.nftables.service import NOTHING, Fragment, fragment
from testbed.datapaths.nftables.settings import MASQUERADE_BIT, Settings
from testbed.datapaths.nftables.writing import Meter, Work, write
from testbed.errors import KernelStateError, UsageError
from testbed.machine.netlink import NETFILTER
from testbed.proxier.plan import Family, NodeFacts, NodePlan, PlanDelta, ServiceKey, ServicePlan

FEATURES = frozenset(
    {"affinity", "health-check-node-port", "ipv6", "sctp", "source-ranges", "traffic-policy"}
)
"""No localhost-node-port: kube-proxy's nftables mode has none, and no IPv6 has it (KEP-3866)."""

READINGS = 4
"""How often a full pass reads the table anew because somebody else changes the kernel's tables meanwhile."""


def datapath(options: DatapathOptions) -> NftablesDatapath:
    """The datapath with `options`: `masqueradeBit` is a bit of the packet mark (0 to 31, default 14).

    Raises UsageError.
    """
    unknown = sorted(options.keys() - {"masqueradeBit"})
    if unknown:
        raise UsageError(f"nftables: no option {', '.join(unknown)}; there is: masqueradeBit")
    bit = options.get("masqueradeBit", MASQUERADE_BIT)
    if not isinstance(bit, int) or not 0 <= bit <= 31:
        raise UsageError(f"nftables: no masqueradeBit {bit!r}; a packet's mark has the bits 0 to 31")
    return NftablesDatapath(bit)


@dataclass(slots=True)
class _State:
    """What the agent of a node has written last."""

    facts: NodeFacts
    claims: dict[Family, Claims]
    nftables: Nftables
    """Stays open: to close a socket takes as long as the kernel takes to clear away what was deleted, several
    milliseconds (nft_rcv_nl_event in net/netfilter/nf_tables_api.c)."""


class NftablesDatapath:
    """See `contract.Datapath`. One object may serve many nodes, each from one thread at a time."""

    name = "nftables"
    features = FEATURES
    ground = frozenset({"nftables"})

    def __init__(self, masquerade_bit: int = MASQUERADE_BIT) -> None:
        self._masquerade_bit = masquerade_bit
        self._states: dict[str, _State] = {}

    def missing(self, machine: Machine) -> tuple[Missing, ...]:
        """nf_tables with its sets and maps. The program nft is needed to look at it, and for that probe."""
        if machine.has("nftables"):
            return ()
        fix = "apt-get install nftables; a kernel with CONFIG_NF_TABLES, CONFIG_NFT_NAT and CONFIG_NFT_NUMGEN"
        return (Missing("nftables", machine.why_not("nftables"), fix),)

    def render(self, plan: NodePlan) -> str:
        """Both families' tables as nft lists them, elements sorted. Pure."""
        return text(plan, self._masquerade_bit)

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        """Bring the node to `plan`, both families in one transaction unless it is very large (`writing.LARGEST`).

        A delta that the kernel refuses is tried again as a full pass. Raises KernelStateError if that is refused.
        """
        before = self._states.get(node.name)
        if delta is not None and before is not None and before.facts == plan.facts:
            try:
                return self._apply_delta(before, plan, delta)
            except KernelStateError:
                pass  # as kube-proxy: the full pass mends it, or says what is wrong
        self._forget(node)
        return self._apply_whole(node, plan)

    def _apply_delta(self, held: _State, plan: NodePlan, delta: PlanDelta) -> Applied:
        meter, start = Meter(), time.perf_counter()
        work = {}
        for settings in self._settings(plan.facts):
            edit = table_edit(delta, plan, settings, held.claims[settings.family])
            if edit:
                work[table(settings.family)] = Work(edit)
        meter.render_seconds += time.perf_counter() - start
        write(held.nftables, work, meter)
        return meter.applied(full=False)

    def _apply_whole(self, node: Node, plan: NodePlan) -> Applied:
        nftables = _open(node)
        try:
            meter, claims = self._mend(nftables, plan)
        except BaseException:
            nftables.close()
            raise
        self._states[node.name] = _State(plan.facts, claims, nftables)
        return meter.applied(full=True)

    def _mend(self, nftables: Nftables, plan: NodePlan) -> tuple[Meter, dict[Family, Claims]]:
        """What was read must not be outdated when it is written: somebody else may change the kernel's tables."""
        meter = Meter()
        for left in reversed(range(READINGS)):
            claims = {family: Claims() for family in Family}
            generation = nftables.generation() if left else None
            work = {}
            for settings in self._settings(plan.facts):
                each = self._mending(nftables, plan, settings, claims[settings.family], meter)
                if each.edit or each.anew:
                    work[table(settings.family)] = each
            if write(nftables, work, meter, generation):
                break
        return meter, claims

    def _mending(
        self, nftables: Nftables, plan: NodePlan, settings: Settings, claims: Claims, meter: Meter
    ) -> Work:
        """What makes the kernel's table of one family as it shall be."""
        start = time.perf_counter()
        wanted = contents(plan, settings, claims)
        ready = time.perf_counter()
        present = read(nftables, settings.family, names.TABLE, chain.from_iterable(wanted.rules.values()))
        known = time.perf_counter()
        edit = difference(wanted, present) if present is not None else whole(wanted)
        meter.restore_seconds += known - ready  # kube-proxy's sync reads back, too
        meter.render_seconds += ready - start + time.perf_counter() - known
        return Work(edit) if edit is not None else Work(whole(wanted), anew=True)

    def _settings(self, facts: NodeFacts) -> Iterator[Settings]:
        return (Settings(family, facts, self._masquerade_bit) for family in Family)

    def spares_full_passes(self, plan: NodePlan) -> bool:  # noqa: ARG002 - the contract's signature
        """kube-proxy's nftables mode has no large-cluster mode."""
        return False

    def intact(self, node: Node) -> bool:
        """Looks for the table, its own chains, and the rules in them that no Service changes."""
        held = self._states.get(node.name)
        if held is None:
            return False
        with _opened(node) as nftables:
            return all(_stands(nftables, settings) for settings in self._settings(held.facts))

    def present(self, node: Node) -> bool:
        """Looks for kube-proxy's table, which no other mode has."""
        with _opened(node) as nftables:
            return any(_listing(nftables, family).table() is not None for family in Family)

    def alarm(self, node: Node) -> Alarm | None:
        """nf_tables tells what is deleted."""
        return TableAlarm(node)

    def observe(self, node: Node) -> Observed:
        """The frontends that the tables make; `size`: chains, rules, sets, elements."""
        with _opened(node) as nftables:
            tables = [read(nftables, family, names.TABLE) for family in Family]
        there = [each for each in tables if each is not None]
        found = [frontend for each in there for frontend in frontends(each)]
        size = {
            "chains": sum(len(each.chains) for each in there),
            "rules": sum(len(rules) for each in there for rules in each.rules.values()),
            "sets": sum(len(each.sets) for each in there),
            "elements": sum(len(some) for each in there for some in each.elements.values()),
        }
        return Observed(tuple(sorted(found, key=repr)), size)

    def show(self, node: Node) -> str:
        """What `nft list table` prints for both families."""
        listed = (node.run(["nft", "list", "table", ip, names.TABLE], check=False) for ip in ("ip", "ip6"))
        return "".join(result.stdout for result in listed)

    def remove(self, node: Node) -> None:
        """Delete our tables."""
        self._forget(node)
        with _opened(node) as nftables:
            write(nftables, {table(family): Work(Edit(), gone=True) for family in Family}, Meter())

    def _forget(self, node: Node) -> None:
        held = self._states.pop(node.name, None)
        if held is not None:
            held.nftables.close()


def _open(node: Node) -> Nftables:
    return Nftables(node.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETFILTER))


@contextlib.contextmanager
def _opened(node: Node) -> Iterator[Nftables]:
    """A socket for a while."""
    nftables = _open(node)
    try:
        yield nftables
    finally:
        nftables.close()


def _listing(nftables: Nftables, family: Family) -> Listing:
    return Listing(nftables, NET[family], names.TABLE)


def table_edit(delta: PlanDelta, plan: NodePlan, settings: Settings, claims: Claims) -> Edit:
    """What turns the table of one family from the old plan's into the new one's; `claims` follow."""

    def parts(services: Mapping[ServiceKey, ServicePlan]) -> dict[ServiceKey, Fragment]:
        ours = (each for key, each in services.items() if key.family == settings.family)
        return {each.key: fragment(each, settings) for each in ours}

    before, after, edit = parts(delta.before), parts(delta.changed), Edit()
    for key in sorted(before.keys() | after.keys()):
        edit.replace(before.get(key, NOTHING), after.get(key, NOTHING))
    claims.move(before, after, lambda key: fragment(plan.services[key], settings), edit)
    return edit


def _stands(nftables: Nftables, settings: Settings) -> bool:
    """True if the chains that no Service changes have as many rules as they shall have (each has at least one), and
    the table is not asleep.
    """
    listing = _listing(nftables, settings.family)
    own, rules = listing.table(), frame(settings).rules
    awake = own is not None and not own.flags
    return awake and all(len(listing.rules(name)) == len(wanted) for name, wanted in rules.items())
