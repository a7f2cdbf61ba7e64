"""The iptables datapath: brings a node's kernel to a plan, whole or change by change, and reads it back.

A full pass writes all tables; a delta writes the chains of the changed service ports and their single rules
in the shared chains, so its cost does not grow with the Services (beyond what the tool itself reads). Keeps
by node what it applied last.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.datapaths.contract import (
    Applied,
    DatapathOptions,
    Machine,
    Missing,
    Node,
    Observed,
)
from testbed.datapaths.iptables import ruleset
from testbed.datapaths.iptables.observe import frontends
from testbed.datapaths.iptables.render import (
    TOOLS,
    Edit,
    has_ours,
    is_large,
    joined,
    only_ours,
    parted,
    state,
    text,
)
from testbed.datapaths.iptables.ruleset import Ruleset
from testbed.datapaths.iptables.service import NOTHING, fragment
from testbed.datapaths.iptables.spelling import Spelling
from testbed.datapaths.iptables.tool import (
    ROUTE_LOCALNET,
    TCP_BE_LIBERAL,
    VARIANTS,
    Tool,
    delete_counters,
    ensure_counters,
    set_route_localnet,
    sysctls,
)
from testbed.errors import CommandFailed, UsageError
from testbed.proxier.plan import Family, NodePlan, PlanDelta, ServiceKey

FEATURES = frozenset(
    {
        "affinity",
        "health-check-node-port",
        "ipv6",
        "localhost-node-port",
        "sctp",
        "source-ranges",
        "traffic-policy",
    }
)


_NEEDS = {
    "nft": {
        "iptables-nft": "apt-get install iptables",
        "xt_recent": "a kernel with CONFIG_NETFILTER_XT_MATCH_RECENT; modprobe xt_recent",
        "xt_statistic": "a kernel with CONFIG_NETFILTER_XT_MATCH_STATISTIC; modprobe xt_statistic",
    },
    "legacy": {"iptables-legacy": "apt-get install iptables"},
}
"""What a machine must offer for each variant, and how to get it."""


def datapath(options: DatapathOptions) -> IptablesDatapath:
    """The datapath with `options`: `variant` is "nft" (default) or "legacy". Raises UsageError."""
    unknown = sorted(options.keys() - {"variant"})
    if unknown:
        raise UsageError(f"iptables: no option {', '.join(unknown)}; there is: variant")
    variant = options.get("variant", "nft")
    if variant not in VARIANTS:
        raise UsageError(f"iptables: no variant {variant!r}; there are: {', '.join(VARIANTS)}")
    return IptablesDatapath(variant)


@dataclass(frozen=True, slots=True)
class _State:
    """What a node's kernel holds since the last apply."""

    plan: NodePlan
    spellings: Mapping[Family, Spelling]


@dataclass(slots=True)
class _Meter:
    """Adds up what an apply costs."""

    render_seconds: float = 0.0
    restore_seconds: float = 0.0
    lines: int = 0
    bytes: int = 0

    def wrote(self, input_text: str, seconds: float) -> None:
        self.restore_seconds += seconds
        self.lines += input_text.count("\n")
        self.bytes += len(input_text)

    def applied(self, *, full: bool) -> Applied:
        return Applied(full, self.render_seconds, self.restore_seconds, self.lines, self.bytes)


class IptablesDatapath:
    """See `contract.Datapath`. One object may serve many nodes, each from one thread at a time."""

    name = "iptables"
    features = FEATURES

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self._states: dict[str, _State] = {}
        self._route_localnet: dict[str, str] = {}  # what it was on a node before us

    def missing(self, machine: Machine) -> tuple[Missing, ...]:
        """The variant's programs and kernel support; nfacct counters are used where there are any."""
        return tuple(
            Missing(feature, machine.why_not(feature), fix)
            for feature, fix in _NEEDS[self.variant].items()
            if not machine.has(feature)
        )

    def render(self, plan: NodePlan) -> str:
        """Both families' tables as iptables-save prints them, chains sorted. Pure."""
        return text(plan)

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        """Bring the node to `plan`; a delta that the kernel refuses is tried again as a full pass.

        Each table changes at once. Raises CommandFailed if the full pass is refused too; what was there
        before is then put back.
        """
        before = self._states.pop(node.name, None)
        if delta is not None and before is not None and before.plan.facts == plan.facts:
            try:
                return self._apply_delta(node, before, plan, delta)
            except CommandFailed:
                pass  # as kube-proxy: the full pass mends it, or says what is wrong
        return self._apply_whole(node, plan)

    def _apply_delta(self, node: Node, before: _State, plan: NodePlan, delta: PlanDelta) -> Applied:
        meter = _Meter()
        keys = sorted(delta.changed.keys() | delta.removed)
        for family, spelling in before.spellings.items():
            start = time.perf_counter()
            edit = _edit([key for key in keys if key.family == family], before.plan, plan, spelling)
            meter.render_seconds += time.perf_counter() - start
            if edit:
                meter.wrote(edit, self._tool(node, family).change(edit).seconds)
        self._states[node.name] = _State(plan, before.spellings)
        return meter.applied(full=False)

    def _apply_whole(self, node: Node, plan: NodePlan) -> Applied:
        meter = _Meter()
        spellings = self._prepare(node, plan)
        saved: dict[Family, str] = {}
        try:
            for family, spelling in spellings.items():
                tool = self._tool(node, family)
                start = time.perf_counter()
                saved[family] = tool.save(counters=True)
                meter.restore_seconds += time.perf_counter() - start  # kube-proxy's sync reads back too
                _write_whole(tool, plan, spelling, ruleset.parse(saved[family]), meter)
        except CommandFailed:
            for family, content in saved.items():
                self._tool(node, family).replace(_roll_back(content), counters=True)
            raise
        self._states[node.name] = _State(plan, spellings)
        return meter.applied(full=True)

    def _prepare(self, node: Node, plan: NodePlan) -> dict[Family, Spelling]:
        """Counters and settings that the rules rest on; returns how to spell the rules on this node."""
        counters, settings, large = ensure_counters(node), sysctls(node), is_large(plan)
        liberal = settings.get(TCP_BE_LIBERAL) == "1"
        spellings = {f: Spelling(f, plan.facts, not large, counters, liberal) for f in TOOLS}
        if spellings[Family.IPV4].localhost_node_ports and settings.get(ROUTE_LOCALNET) == "0":
            self._route_localnet[node.name] = "0"
            set_route_localnet(node, "1")
        return spellings

    def observe(self, node: Node) -> Observed:
        """The frontends that the rules make, from iptables-save; `size`: chains, rules, rules by table."""
        rulesets = {family: self._tool(node, family).present() for family in TOOLS}
        found = [frontend for present in rulesets.values() for frontend in frontends(present)]
        return Observed(tuple(sorted(found, key=repr)), ruleset.counts(rulesets.values()))

    def show(self, node: Node) -> str:
        """What iptables-save and ip6tables-save print."""
        return "".join(self._tool(node, family).save() for family in TOOLS)

    def remove(self, node: Node) -> None:
        """Take away our chains, jumps, counters and setting; tables that held nothing else become empty."""
        for family in TOOLS:
            tool = self._tool(node, family)
            present = {n: t for n, t in tool.present().items() if has_ours(n, t)}
            alone = [name for name, table in present.items() if only_ours(name, table)]
            if alone:
                tool.replace("".join(f"*{name}\nCOMMIT\n" for name in alone))
            shared = parted({name: present[name] for name in present.keys() - set(alone)}).text()
            if shared:
                tool.change(shared)
        delete_counters(node)
        if node.name in self._route_localnet:
            set_route_localnet(node, self._route_localnet.pop(node.name))
        self._states.pop(node.name, None)

    def _tool(self, node: Node, family: Family) -> Tool:
        return Tool(node, self.variant, family)


def _edit(keys: list[ServiceKey], old: NodePlan, new: NodePlan, spelling: Spelling) -> str:
    """The input that turns the rules of these service ports from the old plan's into the new one's."""
    edit = Edit()
    for key in keys:
        before, after = old.services.get(key), new.services.get(key)
        edit.replace(
            fragment(before, spelling) if before else NOTHING,
            fragment(after, spelling) if after else NOTHING,
        )
    return edit.text()


def _write_whole(tool: Tool, plan: NodePlan, spelling: Spelling, present: Ruleset, meter: _Meter) -> None:
    """Write one family's tables. Where they are ours alone, without --noflush: the same rules, but
    iptables-nft then need not find each chain's place among thousands (README, "How long it takes").
    """
    start = time.perf_counter()
    wanted = state(plan, spelling)
    alone = all(only_ours(name, table) for name, table in present.items() if name in wanted)
    content = ruleset.text(wanted) if alone else joined(wanted, present).text()
    meter.render_seconds += time.perf_counter() - start
    result = tool.replace(content) if alone else tool.change(content)
    meter.wrote(content, result.seconds)


def _roll_back(saved: str) -> str:
    """Input that brings back what was saved, our tables that did not exist then as empty ones."""
    absent = [name for name in ruleset.BUILT_IN if f"*{name}\n" not in saved]
    return saved + "".join(f"*{name}\nCOMMIT\n" for name in absent)
