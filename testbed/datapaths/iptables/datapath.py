"""The iptables datapath: brings a node's kernel to a plan, whole or change by change, and reads it back.

A full pass reads the tables back and writes what is not as it shall be; a delta writes the chains of the changed
service ports and their single rules in the shared chains, so its cost does not grow with the Services (beyond what
the tool itself reads). Remembers of a node only how its rules are spelled: the plan is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from testbed.datapaths.contract import (
    Alarm,
    Applied,
    DatapathOptions,
    Machine,
    Missing,
    Node,
    Observed,
    RuleCounts,
)
from testbed.datapaths.iptables import ruleset
from testbed.datapaths.iptables.canary import CanaryAlarm
from testbed.datapaths.iptables.count import Counts, Many, in_input, of_fragment, of_ours
from testbed.datapaths.iptables.edit import Edit, difference, ours
from testbed.datapaths.iptables.names import CANARY, TOP_LEVEL
from testbed.datapaths.iptables.observe import frontends
from testbed.datapaths.iptables.render import TOOLS, is_large, state, text
from testbed.datapaths.iptables.ruleset import Ruleset
from testbed.datapaths.iptables.service import NOTHING, fragment
from testbed.datapaths.iptables.spelling import MASQUERADE_BIT, Spelling
from testbed.datapaths.iptables.tool import (
    ROUTE_LOCALNET,
    TASTES,
    TCP_BE_LIBERAL,
    VARIANTS,
    Tool,
    delete_counters,
    ensure_counters,
    set_route_localnet,
    sysctls,
)
from testbed.errors import CommandFailed, UsageError
from testbed.proxier.plan import Family, NodeFacts, NodePlan, PlanDelta, ServiceKey, ServicePlan

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
    """The datapath with `options`: `variant` is "nft" (default) or "legacy", `masqueradeBit` is a bit of the packet
    mark (0 to 31, default 14). Raises UsageError.
    """
    unknown = sorted(options.keys() - {"variant", "masqueradeBit"})
    if unknown:
        raise UsageError(f"iptables: no option {', '.join(unknown)}; there are: masqueradeBit, variant")
    variant, bit = options.get("variant", "nft"), options.get("masqueradeBit", MASQUERADE_BIT)
    if variant not in VARIANTS:
        raise UsageError(f"iptables: no variant {variant!r}; there are: {', '.join(VARIANTS)}")
    if not isinstance(bit, int) or not 0 <= bit <= 31:
        raise UsageError(f"iptables: no masqueradeBit {bit!r}; a packet's mark has the bits 0 to 31")
    return IptablesDatapath(variant, bit)


@dataclass(slots=True)
class _State:
    """How the rules that a node's kernel holds since the last apply are spelled."""

    facts: NodeFacts
    spellings: dict[Family, Spelling]
    endpoints: dict[Family, int]  # how many are known
    rules: dict[Family, Many]
    last: Counts = field(default_factory=Counts)  # rules that the last apply wrote
    mixed: set[Family] = field(default_factory=set)
    """Families whose cluster became large, or small again, since the full pass: the rules of service ports that
    have not changed since are still spelled as before (as kube-proxy leaves them, too)."""

    def follow(self, delta: PlanDelta) -> None:
        """Take in how many endpoints there are now, and what that means for the spelling."""
        for family, spelling in self.spellings.items():
            more = _known(delta.changed, family) - _known(delta.before, family)
            self.endpoints[family] += more
            comments = not is_large(self.endpoints[family])
            if comments != spelling.endpoint_comments:
                self.mixed.add(family)
                self.spellings[family] = replace(spelling, endpoint_comments=comments)


def _known(services: Mapping[ServiceKey, ServicePlan], family: Family) -> int:
    return sum(each.known_endpoints for key, each in services.items() if key.family == family)


@dataclass(slots=True)
class _Meter:
    """Adds up what an apply costs."""

    render_seconds: float = 0.0
    restore_seconds: float = 0.0
    lines: int = 0
    bytes: int = 0
    rules: Counts = field(default_factory=Counts)

    def write(self, tool: Tool, edit: Edit) -> None:
        """Give an edit to a tool, input by input. Raises CommandFailed."""
        inputs = edit.inputs(TASTES[tool.variant])
        while True:
            start = time.perf_counter()
            content = next(inputs, None)
            self.render_seconds += time.perf_counter() - start
            if content is None:
                return
            self.lines += content.count("\n")
            self.bytes += len(content)
            self.rules.update({(tool.family, table): n for table, n in in_input(content).items()})
            self.restore_seconds += tool.change(content).seconds

    def applied(self, *, full: bool) -> Applied:
        return Applied(full, self.render_seconds, self.restore_seconds, self.lines, self.bytes)


class IptablesDatapath:
    """See `contract.Datapath`. One object may serve many nodes, each from one thread at a time."""

    name = "iptables"
    features = FEATURES

    def __init__(self, variant: str, masquerade_bit: int = MASQUERADE_BIT) -> None:
        self.variant = variant
        self.ground = frozenset({f"iptables-{variant}"})
        self._masquerade_bit = masquerade_bit
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
        return text(plan, self._masquerade_bit)

    def apply(self, node: Node, plan: NodePlan, delta: PlanDelta | None) -> Applied:
        """Bring the node to `plan`; a delta that the kernel refuses is tried again as a full pass.

        Each table changes at once. Raises CommandFailed if the full pass is refused too; what was there
        before is then put back.
        """
        before = self._states.pop(node.name, None)
        if delta is not None and before is not None and before.facts == plan.facts:
            try:
                return self._apply_delta(node, before, plan, delta)
            except CommandFailed:
                pass  # as kube-proxy: the full pass mends it, or says what is wrong
        return self._apply_whole(node, plan)

    def _apply_delta(self, node: Node, held: _State, plan: NodePlan, delta: PlanDelta) -> Applied:
        meter = _Meter()
        held.follow(delta)
        keys = sorted(delta.changed.keys() | delta.removed)
        for family, spelling in held.spellings.items():
            start = time.perf_counter()
            ours = [key for key in keys if key.family == family]
            edit = _edit(ours, delta, spelling, held.rules[family], whole=family in held.mixed)
            for table, chain in edit.crowded():
                edit.tables[table].rewrite(chain, state(plan, spelling)[table].chains[chain])
            meter.render_seconds += time.perf_counter() - start
            meter.write(self._tool(node, family), edit)
        held.last = meter.rules
        self._states[node.name] = held
        return meter.applied(full=False)

    def _apply_whole(self, node: Node, plan: NodePlan) -> Applied:
        meter = _Meter()
        counted = {family: plan.known_endpoints(family) for family in TOOLS}
        spellings = self._prepare(node, plan, counted)
        saved: dict[Family, Ruleset] = {}
        rules: dict[Family, Many] = {}
        try:
            for family, spelling in spellings.items():
                tool = self._tool(node, family)
                start = time.perf_counter()
                present = saved[family] = tool.present()
                read = time.perf_counter()
                wanted = state(plan, spelling)
                rules[family], edit = of_ours(wanted), difference(wanted, present)
                meter.restore_seconds += read - start  # kube-proxy's sync reads back too
                meter.render_seconds += time.perf_counter() - read
                meter.write(tool, edit)
        except CommandFailed:
            for family, present in saved.items():
                tool = self._tool(node, family)
                meter.write(tool, difference(ours(present), tool.present()))
            raise
        self._states[node.name] = _State(plan.facts, spellings, counted, rules, meter.rules)
        return meter.applied(full=True)

    def _prepare(self, node: Node, plan: NodePlan, endpoints: Mapping[Family, int]) -> dict[Family, Spelling]:
        """Counters and settings that the rules rest on; returns how to spell the rules on this node."""
        counters, settings = ensure_counters(node), sysctls(node)
        liberal, bit = settings.get(TCP_BE_LIBERAL) == "1", self._masquerade_bit
        spellings = {
            f: Spelling(f, plan.facts, not is_large(endpoints[f]), counters, liberal, bit) for f in TOOLS
        }
        if spellings[Family.IPV4].localhost_node_ports and settings.get(ROUTE_LOCALNET) == "0":
            self._route_localnet[node.name] = "0"
            set_route_localnet(node, "1")
        return spellings

    def rule_counts(self, node: Node) -> RuleCounts:
        """See `contract.CountsRules`; as kube-proxy counts, without the jumps from the kernel's own chains."""
        held = self._states.get(node.name)
        if held is None:
            return RuleCounts({}, {})
        total = {(family, table): n for family, rules in held.rules.items() for table, n in rules.items()}
        return RuleCounts(total, dict(held.last))

    def spares_full_passes(self, plan: NodePlan) -> bool:
        """kube-proxy's large-cluster mode has no hourly full sync."""
        return any(is_large(plan.known_endpoints(family)) for family in TOOLS)

    def intact(self, node: Node) -> bool:
        """Looks for the canary chains, as kube-proxy's monitor does; in all tables, not in mangle alone."""
        return all(self._tool(node, family).has(table, CANARY) for family in TOOLS for table in TOP_LEVEL)

    def present(self, node: Node) -> bool:
        """Looks for the canary chains, which no other mode of kube-proxy has: its IPVS mode shares most names."""
        families = [family for family in TOOLS if self._tool(node, family).in_use()]
        return any(self._tool(node, family).has(table, CANARY) for family in families for table in TOP_LEVEL)

    def alarm(self, node: Node) -> Alarm | None:
        """nf_tables tells of each chain that is deleted; the old tables tell nothing."""
        return CanaryAlarm(node) if self.variant == "nft" else None

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
            _Meter().write(tool, difference({}, tool.present()))
        delete_counters(node)
        if node.name in self._route_localnet:
            set_route_localnet(node, self._route_localnet.pop(node.name))
        self._states.pop(node.name, None)

    def _tool(self, node: Node, family: Family) -> Tool:
        return Tool(node, self.variant, family)


def _edit(
    keys: Iterable[ServiceKey], delta: PlanDelta, spelling: Spelling, rules: Many, *, whole: bool
) -> Edit:
    """What turns the rules of these service ports from the old plan's into the new one's; `rules` follow them."""
    edit = Edit()
    for key in keys:
        old, new = delta.before.get(key), delta.changed.get(key)
        before = fragment(old, spelling) if old else NOTHING
        after = fragment(new, spelling) if new else NOTHING
        edit.replace(before, after, whole=whole)
        rules.update(of_fragment(after))
        rules.subtract(of_fragment(before))
    return edit
