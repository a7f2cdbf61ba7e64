"""From plans to contents. Pure: no process, no kernel."""

from __future__ import annotations

from testbed.datapaths.nftables import spelling
from testbed.datapaths.nftables.claims import Claims
from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.frame import frame
from testbed.datapaths.nftables.model import Chain
from testbed.datapaths.nftables.service import fragment
from testbed.datapaths.nftables.settings import MASQUERADE_BIT, Settings
from testbed.proxier.plan import Family, NodePlan


def contents(plan: NodePlan, settings: Settings, claims: Claims | None = None) -> Contents:
    """The whole wanted table of one family; `claims` learn who has which element.

    Where two service ports claim one address and port, the first in their order has it; with kube-proxy it is one
    of them, another one at each start.
    """
    wanted = frame(settings)
    for service in plan.ordered(settings.family):
        part = fragment(service, settings)
        for name, rules in part.chains.items():
            wanted.chains[name] = Chain(name)
            wanted.rules[name] = rules
        wanted.sets.update(part.sets)
        if claims is not None:
            claims.add(service.key, part.elements)
        for (of, key), element in part.elements.items():
            wanted.elements.setdefault(of, {}).setdefault(key, element)
    return wanted


def text(plan: NodePlan, masquerade_bit: int = MASQUERADE_BIT) -> str:
    """The tables of both families, as `nft list ruleset` would print them, what has no order sorted."""
    settings = (Settings(family, plan.facts, masquerade_bit) for family in Family)
    return "".join(spelling.text(contents(plan, each)) for each in settings)
