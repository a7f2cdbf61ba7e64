"""The IPVS datapath: brings a node's kernel to a plan, whole or change by change, and reads it back.

A full pass reads back what there is and mends what differs; a delta asks for nothing (but for the connections of
real servers that leave) and writes only what its service ports change. Remembers of each node what is asked for how
often, and who is waited for.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from testbed.datapaths.contract import (
    Alarm,
    Applied,
    DatapathOptions,
    Machine,
    Missing,
    Node,
    Observed,
)
from testbed.datapaths.ipvs import mend, render, show
from testbed.datapaths.ipvs.alarm import AddressAlarm
from testbed.datapaths.ipvs.graceful import LOOK_SECONDS, Leaving
from testbed.datapaths.ipvs.items import Server
from testbed.datapaths.ipvs.kernel import Kernel, held, opened
from testbed.datapaths.ipvs.netlink import genl
from testbed.datapaths.ipvs.netlink.link import Links
from testbed.datapaths.ipvs.observe import observed
from testbed.datapaths.ipvs.options import Options, options_of
from testbed.datapaths.ipvs.service import Site, site_of
from testbed.datapaths.ipvs.sets import NAMES
from testbed.datapaths.ipvs.state import Books, changes, wanted
from testbed.datapaths.ipvs.tables import Tables
from testbed.datapaths.ipvs.tool import (
    ALWAYS,
    STRICT_ARP,
    Iptables,
    clearing,
    mending,
    set_settings,
    settings,
)
from testbed.errors import CommandFailed, KernelStateError
from testbed.proxier.plan import Family, NodePlan, PlanDelta

FEATURES = frozenset(
    {
        "affinity",
        "health-check-node-port",
        "ipv6",
        "schedulers",
        "sctp",
        "source-ranges",
        "traffic-policy",
        "weights",
    }
)

_NEEDS = {
    "ip_vs": "a kernel with CONFIG_IP_VS and its schedulers: --kernel uml; modprobe ip_vs",
    "dummy": "a kernel with CONFIG_DUMMY: --kernel uml; modprobe dummy",
    "xt_set": "a kernel with CONFIG_IP_SET and CONFIG_NETFILTER_XT_SET; apt-get install ipset iptables",
    "xt_ipvs": "a kernel with CONFIG_NETFILTER_XT_MATCH_IPVS; modprobe xt_ipvs",
}
"""What a machine must offer besides its variant of iptables, and how to get it."""

_ASKED_SET = re.compile(r"--match-set (\S+)")


def datapath(options: DatapathOptions) -> IpvsDatapath:
    """The datapath with options named as in KubeProxyConfiguration's `ipvs`; README.md lists them. Raises
    UsageError."""
    return IpvsDatapath(options_of(options))


@dataclass(slots=True)
class _State:
    """What a node's kernel holds since the last apply."""

    site: Site
    books: Books
    index: int  # of kube-ipvs0
    tables: dict[Family, Tables]
    shape: object  # of the books when the tables were made


@dataclass(slots=True)
class _Meter:
    """Adds up what an apply costs."""

    render_seconds: float = 0.0
    kernel_seconds: float = 0.0
    lines: int = 0
    bytes: int = 0

    @contextmanager
    def rendering(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.render_seconds += time.perf_counter() - start

    def restore(self, tool: Iptables, content: str) -> None:
        self.lines += content.count("\n")
        self.bytes += len(content)
        tool.change(content)

    def applied(self, kernel: Kernel, start: float, *, full: bool) -> Applied:
        requests, size = kernel.sent()
        kernel_seconds = time.perf_counter() - start - self.render_seconds
        return Applied(full, self.render_seconds, kernel_seconds, self.lines + requests, self.bytes + size)


class IpvsDatapath:
    """See `contract.Datapath` and `contract.Tends`. One object may serve many nodes, each from one thread at a
    time."""

    name = "ipvs"
    features = FEATURES
    tend_seconds = LOOK_SECONDS

    def __init__(self, options: Options) -> None:
        self.options = options
        self.ground = frozenset({"ipvs", f"iptables-{options.variant}"})
        self._states: dict[str, _State] = {}
        self._leaving: dict[str, Leaving] = {}
        self._ears: dict[str, AddressAlarm] = {}  # node ports answer at all of a node's addresses
        self._settings: dict[str, dict[str, str]] = {}  # what they were on a node before us

    def missing(self, machine: Machine) -> tuple[Missing, ...]:
        """IPVS, dummy devices, ipset and the matches that ask them, and the variant of iptables."""
        needs = {f"iptables-{self.options.variant}": "apt-get install iptables"} | _NEEDS
        return tuple(
            Missing(feature, machine.why_not(feature), fix)
            for feature, fix in needs.items()
            if not machine.has(feature)
        )

    def render(self, plan: NodePlan) -> str:
        """What ipvsadm, ipset, ip and iptables-save would print, sorted; the node's addresses are those that the
        plan knows. Pure."""
        return render.text(plan, site_of(plan.facts, self.options))

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        """Bring the node to `plan`; a delta that the kernel refuses is tried again as a full pass.

        IPVS has no transactions: if a full pass is refused, too, what was done until then stays done, and the next
        one goes on from there. Raises CommandFailed and KernelStateError.
        """
        before = self._states.pop(node.name, None)
        if delta is not None and before is not None and before.site.facts == plan.facts:
            try:
                if applied := self._apply_delta(node, before, delta):
                    return applied
            except (CommandFailed, KernelStateError):
                pass  # the full pass mends it, or says what is wrong
        return self._apply_whole(node, plan, before)

    def _apply_delta(self, node: Node, state: _State, delta: PlanDelta) -> Applied | None:
        """None if it takes a full pass, e.g. because the node has other addresses than before."""
        if self._ears[node.name].rang():
            return None
        meter, start = _Meter(), time.perf_counter()
        with opened(node) as kernel:
            with meter.rendering():
                made = changes(delta.before, delta.changed, state.books, state.site)
            if made is None:
                return None
            kernel.ipset.add(sorted(made.new))
            self._follow_rules(node, state, meter)
            mend.follow_servers(kernel, made, self._leaving_of(node))
            kernel.links.bind(state.index, mend.bound(made.new))
            kernel.links.unbind(state.index, mend.bound(made.gone))
            kernel.ipset.delete(sorted(made.gone))
            self._ears[node.name].own_work()
            self._states[node.name] = state
            return meter.applied(kernel, start, full=False)

    def _follow_rules(self, node: Node, state: _State, meter: _Meter) -> None:
        """Rules change only where a set gets its first element or loses its last, or where a guard does."""
        if (shape := state.books.shape()) == state.shape:
            return
        for family in Family:
            with meter.rendering():
                new = state.books.tables(state.site, family)
                content = mending(new, state.tables[family])
            meter.restore(self._iptables(node, family), content)
            state.tables[family] = new
        state.shape = shape

    def _apply_whole(self, node: Node, plan: NodePlan, before: _State | None) -> Applied:
        meter, start = _Meter(), time.perf_counter()
        leaving = self._leaving_of(node)
        with opened(node) as kernel:
            index = kernel.links.create()
            ear = self._ear_of(node)
            ear.rang()  # from here on
            self._prepare(node, kernel)
            known = frozenset(before.books.servers) if before else frozenset()
            found = held(kernel, self.options, known)
            with meter.rendering():
                site = site_of(plan.facts, self.options, found.addresses.local)
                want = wanted(plan, site)
                tables = {family: want.books.tables(site, family) for family in Family}
            mend.fill_sets(kernel, want, found)
            for family in Family:
                tool = self._iptables(node, family)
                meter.restore(tool, mending(tables[family], tool.present()))
            mend.mend_servers(kernel, want, found, leaving)
            mend.mend_addresses(kernel, index, want.addresses(), found)
            mend.empty_sets(kernel, want, found)
            ear.own_work()
            self._states[node.name] = _State(site, want.books, index, tables, want.books.shape())
            return meter.applied(kernel, start, full=True)

    def _prepare(self, node: Node, kernel: Kernel) -> None:
        """The settings that the rest rests on."""
        names = ALWAYS | (STRICT_ARP if self.options.strict_arp else {})
        present = settings(node, names)
        other = {name: value for name, value in names.items() if present.get(name, value) != value}
        set_settings(node, other)
        were = self._settings.setdefault(node.name, {})
        were.update({name: present[name] for name in other if name not in were})
        if any(self.options.timeouts):
            kernel.ipvs.set_timeouts(self.options.timeouts)

    def tend(self, node: Node) -> None:
        """Let go the real servers whose connections have ended. Raises KernelStateError."""
        leaving = self._leaving_of(node)
        if not leaving:
            return
        with opened(node) as kernel:
            for server in leaving.servers():
                kernel.ipvs.change(leaving.look(server, kernel.ipvs.reals(server)))

    def spares_full_passes(self, plan: NodePlan) -> bool:  # noqa: ARG002 - the contract's signature
        """kube-proxy's IPVS mode has no large-cluster mode."""
        return False

    def intact(self, node: Node) -> bool:
        """Looks at the device, the node's addresses, the sizes of the sets and how many rules ask them, and for
        one virtual server of each family. All of it by netlink."""
        state = self._states.get(node.name)
        if state is None:
            return self.present(node)
        with opened(node) as kernel:
            if kernel.links.index() != state.index:
                return False
            return (
                kernel.links.addresses().local == state.site.local
                and _sets_are_right(kernel, state)
                and all(kernel.ipvs.has(server) for server in _samples(state.books))
            )

    def present(self, node: Node) -> bool:
        """Looks for kube-ipvs0, which is made first and removed last, and for the chains of this variant."""
        links = Links(node)
        try:
            there = links.index() != 0
        finally:
            links.close()
        return there and any(self._iptables(node, family).is_there() for family in Family)

    def alarm(self, node: Node) -> Alarm | None:
        """The kernel tells of addresses and of the device, not of IPVS."""
        return AddressAlarm(node)

    def observe(self, node: Node) -> Observed:
        """The frontends that our virtual servers make, and the size of everything."""
        with opened(node) as kernel:
            return observed(held(kernel, self.options))

    def show(self, node: Node) -> str:
        """What `ipvsadm -ln` prints (others' virtual servers, too), our sets, and what iptables-save prints."""
        with opened(node) as kernel:
            servers = {
                state.server: (state.manner, kernel.ipvs.reals(state.server))
                for state in list(kernel.ipvs.servers())
                if not state.fwmark
            }
            lines = [*show.server_lines(kernel.ipvs.info(), servers), *show.set_lines(kernel.ipset.held())]
        rules = "".join(self._iptables(node, family).save() for family in Family)
        return "".join(f"{line}\n" for line in lines) + rules

    def remove(self, node: Node) -> None:
        """Take away our rules, virtual servers, sets, settings and the device; connections end with them."""
        with opened(node) as kernel:
            known = self._states.pop(node.name, None)
            found = held(kernel, self.options, frozenset(known.books.servers) if known else frozenset())
            for family in Family:
                tool = self._iptables(node, family)
                tool.change(clearing(tool.present()))
            kernel.ipvs.change(genl.del_server(server) for server in found.servers)
            kernel.ipset.destroy(found.sets)
            set_settings(node, self._settings.pop(node.name, {}))
            self._leaving.pop(node.name, None)
            if ear := self._ears.pop(node.name, None):
                ear.close()
            kernel.links.delete()

    def _iptables(self, node: Node, family: Family) -> Iptables:
        return Iptables(node, self.options.variant, family)

    def _ear_of(self, node: Node) -> AddressAlarm:
        if node.name not in self._ears:
            self._ears[node.name] = AddressAlarm(node)
        return self._ears[node.name]

    def _leaving_of(self, node: Node) -> Leaving:
        return self._leaving.setdefault(node.name, Leaving())


def _sets_are_right(kernel: Kernel, state: _State) -> bool:
    """Each set has at least the elements and the rules that it ought to have."""
    there = kernel.ipset.counts()
    rules = Counter(
        name
        for tables in state.tables.values()
        for chains in tables.values()
        for lines in chains.values()
        for line in lines
        for name in _ASKED_SET.findall(line)
    )
    return all(
        name in there and there[name].elements >= size and there[name].references >= rules[name]
        for name, size in ((name, state.books.filled[which]) for name, which in NAMES.items())
    )


def _samples(books: Books) -> Iterator[Server]:
    """One virtual server of each family that has one."""
    for length in (4, 16):
        ours = (server for server in books.servers if len(server.address) == length)
        yield from islice(ours, 1)
