"""A ruleset as iptables-save prints it: tables of chains of rules, to and from text.

Knows the file format alone. A rule is what follows `-A CHAIN ` on its line, in iptables-save's own spelling,
so that what we write and what the kernel gives back can be compared as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

BUILT_IN = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
"""The kernel's own chains of the tables that are written here."""


@dataclass(slots=True)
class Table:
    """One table: its chains with their rules, and the policies of the kernel's own chains."""

    chains: dict[str, list[str]] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)  # "ACCEPT" or "DROP"; our chains have none


Ruleset = dict[str, Table]


def parse(text: str) -> Ruleset:
    """Read what iptables-save prints. Counters are dropped, and runs of blanks count as one."""
    ruleset: Ruleset = {}
    table = Table()
    for line in map(_without_counters, text.splitlines()):
        if line.startswith("-A "):
            chain, _, rule = line[3:].partition(" ")
            table.chains[chain].append(" ".join(rule.split()))
        elif line.startswith(":"):
            chain, policy, *_ = line[1:].split()
            table.chains[chain] = []
            if policy != "-":
                table.policies[chain] = policy
        elif line.startswith("*"):
            table = ruleset.setdefault(line[1:], Table())
    return ruleset


def _without_counters(line: str) -> str:
    """A rule's line without the `[packets:bytes] ` that `--counters` puts before it."""
    return line.partition("] ")[2] if line.startswith("[") else line


def text(ruleset: Ruleset) -> str:
    """The ruleset as input for iptables-restore, each table whole, own chains sorted by name."""
    return "".join(f"{line}\n" for name, table in ruleset.items() for line in _lines(name, table))


def _lines(name: str, table: Table) -> Iterator[str]:
    order = [*table.policies, *sorted(table.chains.keys() - table.policies.keys())]
    yield f"*{name}"
    yield from (f":{chain} {table.policies.get(chain, '-')} [0:0]" for chain in order)
    yield from (f"-A {chain} {rule}" for chain in order for rule in table.chains[chain])
    yield "COMMIT"


def counts(rulesets: Iterable[Mapping[str, Table]]) -> dict[str, int]:
    """How many chains and rules there are in all, and how many rules by table (`nat rules`)."""
    tables = [(name, table) for ruleset in rulesets for name, table in ruleset.items()]
    found = {"chains": sum(len(t.chains) for _, t in tables), "rules": 0}
    for name, table in tables:
        rules = sum(len(rules) for rules in table.chains.values())
        found["rules"] += rules
        found[f"{name} rules"] = found.get(f"{name} rules", 0) + rules
    return found
