"""What a table holds, whole: what it shall hold, or what was read from the kernel. Equal contents behave alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from testbed.datapaths.nftables.model import Chain, Element, Key, Map, Rule, Set, Table


@dataclass(slots=True)
class Contents:
    """A table of one family.

    Sets with a timeout are there without their elements: packets fill them. A rule that says what no statement of
    `model` says is there, too, as a rule without statements: so it is equal to none that is wanted.
    """

    table: Table
    chains: dict[str, Chain] = field(default_factory=dict)
    rules: dict[str, list[Rule]] = field(default_factory=dict)  # by chain, in their order; none: no entry
    sets: dict[str, Set | Map] = field(default_factory=dict)
    elements: dict[str, dict[Key, Element]] = field(default_factory=dict)  # by set or map; none: no entry
