"""From one state of a table to another, as the fewest changes, in an order in which they may be made. Pure.

A transaction takes effect as a whole: the kernel moves on by one generation, and a packet sees the table before or
after it. So the order below is for what the kernel demands (a chain is there before a rule leads to it, empty and
unused before it is deleted), and for transactions that must be cut because a socket's buffer is too small: between
any two steps a packet meets chains that are whole, and elements that lead to them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.model import (
    Chain,
    Element,
    InSet,
    Map,
    Remember,
    Rule,
    Set,
    Statement,
    VerdictOf,
)
from testbed.datapaths.nftables.service import Fragment

Named = Chain | Set | Map
_T = TypeVar("_T")

TOGETHER = 256
"""Elements in one step. A transaction is cut between steps only."""


class Step(NamedTuple):
    """What must stay in one transaction: flushed first, deleted then, added last."""

    flushed: Sequence[Chain] = ()
    deleted: Sequence[Named | Element] = ()
    added: Sequence[Named | Rule | Element] = ()


@dataclass(slots=True)
class Edit:
    """What happens to one table, by kind."""

    made: list[Named] = field(default_factory=list)
    written: dict[str, Sequence[Rule]] = field(default_factory=dict)  # the rules of a chain, anew
    fresh: set[str] = field(default_factory=set)  # of those, chains that are made here: nothing to flush
    put_in: list[Element] = field(default_factory=list)
    taken_out: list[Element] = field(default_factory=list)
    deleted: list[Named] = field(default_factory=list)  # chains first: their rules keep sets in use
    replaced: list[Set | Map] = field(default_factory=list)  # deleted, and made otherwise

    def __bool__(self) -> bool:
        return any((self.made, self.written, self.put_in, self.taken_out, self.deleted, self.replaced))

    def replace(self, old: Fragment, new: Fragment) -> None:
        """Go from one state of a service port to another, but for its elements, which others may share."""
        for name, of in new.sets.items():
            if name not in old.sets:
                self.made.append(of)
            elif old.sets[name] != of:
                self._replace_set(of, old, new)
        for name, rules in new.chains.items():
            if name not in old.chains:
                self.make(Chain(name), rules)
            elif old.chains[name] != rules:
                self.written[name] = rules
        self.deleted += [Chain(name) for name in old.chains if name not in new.chains]
        self.deleted += [of for name, of in old.sets.items() if name not in new.sets]

    def _replace_set(self, of: Set, old: Fragment, new: Fragment) -> None:
        """The kernel changes no set's timeout. Rules keep a set in use, so all of the service port's are rewritten;
        the clients that it remembered are forgotten.
        """
        self.replaced.append(of)
        self.written.update({name: rules for name, rules in new.chains.items() if name in old.chains})

    def make(self, chain: Chain, rules: Sequence[Rule]) -> None:
        """A chain that is not there yet."""
        self.made.append(chain)
        self.fresh.add(chain.name)
        if rules:
            self.written[chain.name] = rules

    def steps(self) -> Iterator[Step]:
        """All of it. Chains and sets come before what leads to them, and go after it."""
        if self.made:
            yield Step(added=self.made)
        if self.replaced:
            using = [Chain(name) for name in self.written if name not in self.fresh]
            rules = itertools.chain.from_iterable(self.written.values())
            yield Step(using, self.replaced, [*self.replaced, *rules])
        else:
            for name, written in self.written.items():
                yield Step([] if name in self.fresh else [Chain(name)], (), written)
        yield from self._elements()
        gone = [each for each in self.deleted if isinstance(each, Chain)]
        if gone:
            yield Step(flushed=gone)
        if self.deleted:
            yield Step(deleted=self.deleted)

    def _elements(self) -> Iterator[Step]:
        """One that gets another verdict is deleted and added in one step."""
        new = {(each.of, each.key): each for each in self.put_in}
        both = [(each, new.pop((each.of, each.key), None)) for each in self.taken_out]
        for some in _parts([(old, now) for old, now in both if now is not None]):
            yield Step((), [old for old, _ in some], [now for _, now in some])
        for added in _parts(list(new.values())):
            yield Step(added=added)
        for deleted in _parts([old for old, now in both if now is None]):
            yield Step(deleted=deleted)


def _parts(things: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (things[at : at + TOGETHER] for at in range(0, len(things), TOGETHER))


def difference(wanted: Contents, present: Contents) -> Edit | None:
    """What makes a table what it shall be; None if it must be made anew: it is asleep, or a chain has another hook.

    What is right already is not touched, so clients that are remembered for affinity stay so.
    """
    if present.table != wanted.table:
        return None
    edit, elements = Edit(), dict(present.elements)
    for name, of in wanted.sets.items():
        if name not in present.sets:
            edit.made.append(of)
        elif present.sets[name] != of:
            edit.replaced.append(of)
            elements.pop(name, None)
    for name, chain in wanted.chains.items():
        if name not in present.chains:
            edit.make(chain, wanted.rules.get(name, []))
        elif present.chains[name] != chain:
            return None
        elif _differ(wanted.rules.get(name, []), present.rules.get(name, []), edit.replaced):
            edit.written[name] = wanted.rules.get(name, [])
    for name in wanted.sets:
        want, there = wanted.elements.get(name, {}), elements.get(name, {})
        edit.taken_out += [element for key, element in there.items() if want.get(key) != element]
        edit.put_in += [element for key, element in want.items() if there.get(key) != element]
    edit.deleted += [chain for name, chain in present.chains.items() if name not in wanted.chains]
    edit.deleted += [of for name, of in present.sets.items() if name not in wanted.sets]
    return edit


def _differ(wanted: list[Rule], present: list[Rule], replaced: Sequence[Set | Map]) -> bool:
    """True if a chain must be written anew: also if one of its rules uses a set that is made anew."""
    if wanted != present:
        return True
    names = {of.name for of in replaced}
    return bool(names) and any(_used(each) in names for rule in wanted for each in rule.statements)


def _used(statement: Statement) -> str | None:
    """The named set that a statement keeps in use."""
    return statement.of if isinstance(statement, InSet | VerdictOf | Remember) else None


def whole(wanted: Contents) -> Edit:
    """What fills an empty table."""
    made = difference(wanted, Contents(wanted.table))
    assert made is not None  # there is nothing that could have another hook
    return made
