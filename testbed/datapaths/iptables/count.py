"""How many rules there are, by table: of a ruleset, of one service port, of what is written. Pure."""

from __future__ import annotations

from collections import Counter

from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.ruleset import Ruleset
from testbed.datapaths.iptables.service import Fragment
from testbed.proxier.plan import Family

Many = Counter[str]  # by table
Counts = Counter[tuple[Family, str]]


def of_ours(wanted: Ruleset) -> Many:
    """The rules in our own chains."""
    found = Many()
    for name, table in wanted.items():
        found[name] = sum(len(rules) for chain, rules in table.chains.items() if names.is_ours(name, chain))
    return found


def of_fragment(part: Fragment) -> Many:
    """The rules of one service port."""
    found = Many(entry.table for entry in part.entries)
    found["nat"] += sum(map(len, part.chains.values()))
    return found


def in_input(text: str) -> Many:
    """The rules that an input for iptables-restore puts in."""
    found = Many()
    start = text.find("*")
    while start >= 0:
        end = text.find("\nCOMMIT", start)
        table = text[start + 1 : text.find("\n", start)]
        found[table] += sum(text.count(f"\n{verb} ", start, end) for verb in ("-A", "-I"))
        start = text.find("*", end)
    return found
