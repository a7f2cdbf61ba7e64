"""Says how two rulesets differ, in lines that a person can read."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterator

from tests.generated.oracle.rules import Tables

LAST = "this must be the last rule in this chain"


SHARED = ("KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL")
"""Chains with rules of all Services, which have no order among each other."""


def unordered(tables: Tables) -> Tables:
    """The same rules, those of shared chains sorted; what must be last is still last."""
    return {
        table: {chain: _sorted(rules) if chain in SHARED else rules for chain, rules in chains.items()}
        for table, chains in tables.items()
    }


def _sorted(rules: list[str]) -> list[str]:
    ended = _ended(rules)
    entries = [rule for rule in ended if LAST not in rule]
    return sorted(entries) + ended[len(entries) :]


def told(tables: Tables) -> list[str]:
    """The tables as lines, chains sorted."""
    return list(_lines(tables))


def _lines(tables: Tables) -> Iterator[str]:
    for table, chains in sorted(tables.items()):
        yield f"*{table}"
        yield from (f":{chain}" for chain in sorted(chains))
        yield from (f"-A {chain} {rule}" for chain in sorted(chains) for rule in _ended(chains[chain]))


def _ended(rules: list[str]) -> list[str]:
    """The jumps to KUBE-NODEPORTS at the end have no order of their own; anywhere else they stay where they are."""
    end = len(rules)
    while end and LAST in rules[end - 1]:
        end -= 1
    return rules[:end] + sorted(rules[end:])


def difference(expected: Tables, found: Tables) -> str:
    """What is missing (-) and what is too much (+), the first 40 lines; empty if they are the same."""
    lines = difflib.unified_diff(told(expected), told(found), "kube-proxy", "testbed", lineterm="", n=0)
    return "\n".join(itertools.islice(lines, 40))
