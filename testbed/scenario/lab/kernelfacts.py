"""Facts about what a node's kernel holds besides iptables' rules: whose rules, nftables' chains and maps, IPVS.

Knows the text of `nft list table` and of `ipvsadm -ln`, which a datapath's `show` is. Knows no objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from testbed.errors import NotFound
from testbed.scenario.lab.answers import Compare, Seen
from testbed.scenario.lab.running import Cluster

IPV6_TABLE = "table ip6 "
_VIRTUAL = re.compile(r"^(?:TCP|UDP|SCTP) +(\S+:\d+) (\w+)", re.MULTILINE)

Arguments = Mapping[str, Any]


def scheduler(cluster: Cluster, node: str, virtual: str) -> Seen:
    """By which rule IPVS chooses for a virtual server. Raises NotFound if there is none."""
    found = dict(_VIRTUAL.findall(cluster.shown(node)))
    if virtual not in found:
        raise NotFound(f"{node} has no virtual server {virtual}")
    return Seen((found[virtual],), Compare.WORDS, f"the scheduler of {virtual} on {node} is {found[virtual]}")


def _datapaths(cluster: Cluster, arguments: Arguments) -> Seen:
    """The names alone: which variant is no part of an answer."""
    held = cluster.present(arguments["node"])
    names = tuple(sorted({words.split()[0] for words in held}))
    return Seen(names, Compare.SET, f"{arguments['node']} holds rules of {' and '.join(held) or 'nobody'}")


def _virtual_servers(cluster: Cluster, arguments: Arguments) -> Seen:
    there = any(words.startswith("ipvs") for words in cluster.present(arguments["node"]))
    number = len(_VIRTUAL.findall(cluster.shown(arguments["node"]))) if there else 0
    return Seen((str(number),), Compare.NUMBERS, f"{arguments['node']} has {number} virtual servers")


def _chain_rules(cluster: Cluster, arguments: Arguments) -> Seen:
    lines = _block(cluster, arguments["node"], f"chain {arguments['chain']}")
    number = sum(not line.startswith(("type ", "comment ")) for line in lines)
    text = f"the chain {arguments['chain']} on {arguments['node']} has {number} rules"
    return Seen((str(number),), Compare.NUMBERS, text)


def _map_elements(cluster: Cluster, arguments: Arguments) -> Seen:
    text = " ".join(_block(cluster, arguments["node"], f"map {arguments['map']}"))
    number = len(re.findall(r" : (?:goto|jump|drop|reject)\b", text.partition("elements = ")[2]))
    said = f"the map {arguments['map']} on {arguments['node']} has {number} elements"
    return Seen((str(number),), Compare.NUMBERS, said)


def _block(cluster: Cluster, node: str, head: str) -> list[str]:
    """The lines of a chain or a map in the IPv4 table. Raises NotFound."""
    lines = [line.strip() for line in cluster.shown(node).partition(IPV6_TABLE)[0].splitlines()]
    if f"{head} {{" not in lines:
        raise NotFound(f"{node} has no {head}: is its datapath nftables?")
    start = lines.index(f"{head} {{") + 1
    return lines[start : lines.index("}", start)]


FACTS: Mapping[str, Callable[[Cluster, Arguments], Seen]] = {
    "datapaths": _datapaths,
    "virtualServers": _virtual_servers,
    "chainRules": _chain_rules,
    "mapElements": _map_elements,
}
