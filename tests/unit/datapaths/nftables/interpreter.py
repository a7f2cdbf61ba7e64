"""What the kernel makes of an edit, told with dictionaries. Refuses what the kernel refuses."""

from __future__ import annotations

from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.edit import Edit, Step
from testbed.datapaths.nftables.model import (
    Chain,
    Element,
    GotoAny,
    InSet,
    Map,
    Remember,
    Rule,
    Set,
    Verdict,
    VerdictOf,
)


def carry_out(edit: Edit, table: Contents) -> None:
    """Change the table, step by step. Raises AssertionError where the kernel would refuse."""
    for step in edit.steps():
        _carry_out(step, table)


def _carry_out(step: Step, table: Contents) -> None:
    for chain in step.flushed:
        assert chain.name in table.chains, f"flushes {chain.name}, which is not there"
        table.rules.pop(chain.name, None)
    for gone in step.deleted:
        if isinstance(gone, Element):
            members = table.elements[gone.of]
            del members[gone.key]
            if not members:
                del table.elements[gone.of]
        else:
            _delete(gone, table)
    for added in step.added:
        _add(added, table)


def _delete(gone: Chain | Set | Map, table: Contents) -> None:
    assert gone.name not in used(table), f"deletes {gone.name}, which is in use"
    if isinstance(gone, Chain):
        assert gone.name not in table.rules, f"deletes {gone.name}, which has rules"
        del table.chains[gone.name]
    else:
        del table.sets[gone.name]
        table.elements.pop(gone.name, None)


def _add(added: Chain | Set | Map | Rule | Element, table: Contents) -> None:
    if isinstance(added, Rule):
        assert names_of(added) <= table.chains.keys() | table.sets.keys(), f"{added} leads nowhere"
        assert added.chain in table.chains
        table.rules.setdefault(added.chain, []).append(added)
    elif isinstance(added, Element):
        assert added.of in table.sets, f"{added} has no set"
        assert added.verdict is None or not added.verdict.chain or added.verdict.chain in table.chains
        members = table.elements.setdefault(added.of, {})
        assert members.setdefault(added.key, added) == added, f"{added} is there with another verdict"
    elif isinstance(added, Chain):
        assert table.chains.setdefault(added.name, added) == added
    else:
        assert table.sets.setdefault(added.name, added) == added


def used(table: Contents) -> set[str]:
    """The chains and sets that rules and elements lead to."""
    found = {name for rules in table.rules.values() for rule in rules for name in names_of(rule)}
    verdicts = (each.verdict for members in table.elements.values() for each in members.values())
    return found | {verdict.chain for verdict in verdicts if verdict is not None and verdict.chain}


def names_of(rule: Rule) -> set[str]:
    """The chains and sets that a rule leads to."""
    found: set[str] = set()
    for each in rule.statements:
        if isinstance(each, InSet | VerdictOf | Remember):
            found.add(each.of)
        elif isinstance(each, GotoAny):
            found.update(each.chains)
        elif isinstance(each, Verdict) and each.chain:
            found.add(each.chain)
    return found
