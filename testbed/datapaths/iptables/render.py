"""From plans to rulesets. Pure: no process, no kernel."""

from __future__ import annotations

from testbed.datapaths.iptables import names, ruleset
from testbed.datapaths.iptables.frame import frame
from testbed.datapaths.iptables.ruleset import Ruleset
from testbed.datapaths.iptables.service import fragment
from testbed.datapaths.iptables.spelling import LARGE_CLUSTER, MASQUERADE_BIT, Spelling
from testbed.proxier.plan import Family, NodePlan

TOOLS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
"""What the tools of a family are called."""


def is_large(endpoints: int) -> bool:
    """True if kube-proxy, with so many endpoints of a family, leaves out the comments of the endpoints' rules."""
    return endpoints > LARGE_CLUSTER


def state(plan: NodePlan, spelling: Spelling) -> Ruleset:
    """The whole wanted ruleset of one family, built-in chains and our jumps in them included."""
    wanted = frame(spelling)
    nat = wanted["nat"].chains
    tail = nat[names.SERVICES]
    nat[names.SERVICES] = entries = []
    for service in plan.ordered(spelling.family):
        part = fragment(service, spelling)
        nat.update(part.chains)
        for table, chain, rule in part.entries:
            wanted[table].chains[chain].append(rule)
    entries += tail  # node ports come last: a service address may be local to the node as well
    return wanted


def text(plan: NodePlan, masquerade_bit: int = MASQUERADE_BIT) -> str:
    """The whole state of both families, as iptables-save would print it on a machine that has everything."""
    parts = []
    for family, tool in TOOLS.items():
        large = is_large(plan.known_endpoints(family))
        spelling = Spelling(family, plan.facts, not large, masquerade_bit=masquerade_bit)
        parts.append(f"# {tool}\n{ruleset.text(state(plan, spelling))}")
    return "".join(parts)
