"""From a ruleset back to frontends: what the kernel's rules do, told in the contract's words. Pure.

Reads only rules, never a plan, so that what was applied can be checked against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from testbed.datapaths.contract import ObservedFrontend
from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.ruleset import Ruleset, Table

_ENTRIES = (
    ("nat", names.SERVICES),
    ("nat", names.NODE_PORTS),
    ("filter", names.SERVICES),
    ("filter", names.EXTERNAL_SERVICES),
)
"""The shared chains with a rule for each service address. Both tables, as the empty ones are in filter."""

_ENTRY = re.compile(
    r"(?:-d (?P<address>\S+)/\d+ )?-p (?P<protocol>\w+) -m comment --comment \"(?P<words>[^\"]*)\" "
    r".*--dport (?P<port>\d+) .*-j (?P<target>\S+)"
)
_ROLE = re.compile(r" (cluster IP|external IP|loadbalancer IP|has no endpoints|has no local endpoints)$")
_JUMP = re.compile(r"-j (KUBE-(?:SVC|SVL|EXT|FW|SEP)-\S+)")
_TRANSLATION = re.compile(r"-j DNAT --to-destination (\S+)")
_AFFINITY = re.compile(r"-m recent --rcheck --seconds (\d+)")

_Place = tuple[str, str, str, int]  # key, protocol, address, port


@dataclass(slots=True)
class _Found:
    """What the chains behind an entry lead to."""

    endpoints: set[str]
    affinity_seconds: int | None


def frontends(ruleset: Ruleset) -> Iterator[ObservedFrontend]:
    """The service addresses of one family, each with every endpoint that some source can reach."""
    nat = ruleset.get("nat", Table()).chains
    found: dict[_Place, _Found] = {}
    for table, chain in _ENTRIES:
        for rule in ruleset.get(table, Table()).chains.get(chain, ()):
            entry = _ENTRY.match(rule)
            if entry is None or entry["address"] == "127.0.0.0":  # the counted twin of a node port's rule
                continue
            _merge(found, entry, _follow(nat, entry["target"]))
    for (key, protocol, address, port), each in found.items():
        yield ObservedFrontend(
            key, protocol, address, port, tuple(sorted(each.endpoints)), each.affinity_seconds
        )


def _merge(found: dict[_Place, _Found], entry: re.Match[str], more: _Found) -> None:
    key = _ROLE.sub("", entry["words"])
    place = (key, entry["protocol"].upper(), entry["address"] or "", int(entry["port"]))
    known = found.setdefault(place, more)
    known.endpoints |= more.endpoints
    known.affinity_seconds = known.affinity_seconds or more.affinity_seconds


def _follow(chains: dict[str, list[str]], start: str) -> _Found:
    """Walk every chain that can be reached from one."""
    found, todo, seen = _Found(set(), None), [start], {start}
    while todo:
        for rule in chains.get(todo.pop(), ()):
            if translation := _TRANSLATION.search(rule):
                found.endpoints.add(translation[1])
            if affinity := _AFFINITY.search(rule):
                found.affinity_seconds = int(affinity[1])
            jump = _JUMP.search(rule)
            if jump and jump[1] not in seen:
                seen.add(jump[1])
                todo.append(jump[1])
    return found
