"""The real kube-proxy's objects and rules (tests/data/kube-proxy-dumps), and how rulesets are compared."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address, ip_network
from pathlib import Path

from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.ruleset import BUILT_IN, Ruleset, Table, parse
from testbed.proxier.plan import NodeFacts, NodePlan
from testbed.proxier.proxier import Settings, node_plan

FOLDER = Path(__file__).parents[2] / "data/kube-proxy-dumps"
TOOLS = ("iptables", "ip6tables")

UNORDERED = (names.SERVICES, names.EXTERNAL_SERVICES, names.NODE_PORTS, names.PROXY_FIREWALL)
"""Chains that kube-proxy fills in the order of a Go map, which is another one each time."""

_PROBABILITY = re.compile(r"--probability (\S+)")

Comparable = dict[str, dict[str, list[str]]]


def plan(settings: Settings | None = None) -> NodePlan:
    """The plan for the objects, with the settings that the dumps' README tells, or with others."""
    objects = json.loads((FOLDER / "objects.json").read_text())["items"]
    kinds = {
        kind: [o for o in objects if o["kind"] == kind]
        for kind in ("Service", "EndpointSlice", "Node", "ServiceCIDR")
    }
    (node,) = kinds["Node"]
    addresses = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    facts = NodeFacts(
        node["metadata"]["name"], tuple(map(ip_address, addresses)), (ip_network("10.244.0.0/16"),)
    )
    labels = node["metadata"]["labels"]
    services, slices, cidrs = kinds["Service"], kinds["EndpointSlice"], kinds["ServiceCIDR"]
    return node_plan(facts, settings or Settings(), services, slices, labels, service_cidrs=cidrs)


def dump(tool: str) -> Comparable:
    """What the real kube-proxy programmed."""
    return comparable(parse((FOLDER / f"iptables/{tool}-save.txt").read_text()))


def comparable(ruleset: Ruleset) -> Comparable:
    """A ruleset by table and chain, without what does not matter: order where there is none, empty tables.

    Empty tables are those that iptables-legacy keeps once they were used. The last rule of KUBE-SERVICES stays
    last: it must be.
    """
    return {
        name: {chain: _ordered(chain, rules) for chain, rules in table.chains.items()}
        for name, table in sorted(ruleset.items())
        if not _is_empty(name, table)
    }


def _ordered(chain: str, rules: list[str]) -> list[str]:
    told = [_PROBABILITY.sub(_as_the_kernel_keeps_it, rule) for rule in rules]
    if chain not in UNORDERED:
        return told
    last = [rule for rule in told if "must be the last rule" in rule]
    return sorted(rule for rule in told if rule not in last) + told[len(told) - len(last) :]


def _as_the_kernel_keeps_it(match: re.Match[str]) -> str:
    """A probability is kept as a number of 2^-31ths and printed with 11 decimals (xt_statistic)."""
    return f"--probability {round(float(match[1]) * 2**31) / 2**31:.11f}"


def _is_empty(name: str, table: Table) -> bool:
    return set(table.chains) <= set(BUILT_IN.get(name, ())) and not any(table.chains.values())
