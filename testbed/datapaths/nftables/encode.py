"""Changes of a table as nf_tables requests. What is encoded here is what `nft` itself sends for the same text.

Sets without a name (of `numgen … map { … }` and `ip saddr { … }`) are made just before their rule. Knows the model,
and through `statements.py`, `unnamed.py` and `keys.py` the bytes; knows no socket.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from testbed.datapaths.nftables.keys import NET, key_bytes, set_form
from testbed.datapaths.nftables.model import Chain, Element, Map, Rule, Set, Table, Verdict
from testbed.datapaths.nftables.netlink.expressions import verdict_data
from testbed.datapaths.nftables.netlink.requests import Requests, comment, element
from testbed.datapaths.nftables.statements import CODES, encoded, encoded_with
from testbed.datapaths.nftables.unnamed import Unnamed, brought_by, name

HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}  # NF_INET_*

Named = Chain | Set | Map
Content = Named | Rule | Element


class Changes:
    """The requests of one transaction on one table, in the order in which the methods are called.

    Those of several tables may be joined and committed together (`netlink.transaction`).
    """

    def __init__(self, table: Table) -> None:
        self.requests: list[bytes] = []
        self._table = table
        self._family = table.family
        self._make = Requests(NET[table.family], table.name)
        self._numbers = itertools.count(1)

    def add_table(self) -> None:
        """Make the table, unless it is there."""
        self.requests.append(self._make.table(comment(self._table.comment)))

    def delete_table(self) -> None:
        """Delete the table with all that is in it; it must be there."""
        self.requests.append(self._make.delete_table())

    def flush_table(self) -> None:
        """Delete all rules; chains, named sets and elements stay."""
        self.requests.append(self._make.flush_table())

    def add(self, content: Iterable[Content]) -> None:
        """Make what is given, unless it is there; but a rule is appended once more, and an element that is there
        must have the same verdict. Elements that follow each other and are of one set share a request.
        """
        for of, some in itertools.groupby(content, _set_of):
            if of:
                self.requests += self._make.new_elements(of, map(_element, some))
            else:
                for one in some:
                    self.requests += self._added(one)

    def delete(self, content: Iterable[Named | Element]) -> None:
        """Delete what is given, elements by their keys. It must be there, a chain without rules, and nothing may
        lead to it.
        """
        for of, some in itertools.groupby(content, _set_of):
            if of:
                self.requests += self._make.delete_elements(of, map(_by_key, some))
            else:
                self.requests += map(self._deleted, some)

    def flush(self, content: Iterable[Named]) -> None:
        """Delete the rules of chains, the elements of sets and maps."""
        for one in content:
            flushed = self._make.flush_chain if isinstance(one, Chain) else self._make.flush_set
            self.requests.append(flushed(one.name))

    def _added(self, one: Content) -> Iterable[bytes]:
        if isinstance(one, Rule):
            return self._rule(one)
        if isinstance(one, Chain):
            return (self._chain(one),)
        assert not isinstance(one, Element)
        return (self._make.set(one.name, set_form(one._replace(name="")), next(self._numbers)),)

    def _deleted(self, one: Content) -> bytes:
        assert isinstance(one, Named)
        deleted = self._make.delete_chain if isinstance(one, Chain) else self._make.delete_set
        return deleted(one.name)

    def _chain(self, chain: Chain) -> bytes:
        if chain.hook is None:
            return self._make.chain(chain.name, comment(chain.comment))
        kind, hook, priority = chain.hook
        return self._make.base_chain(chain.name, kind, HOOKS[hook], priority, comment(chain.comment))

    def _rule(self, rule: Rule) -> Iterator[bytes]:
        """The sets that the rule brings along, then the rule."""
        parts = []
        for statement in rule.statements:
            own = brought_by(self._family, statement)
            if own is None:
                parts.append(encoded(self._family, statement))
                continue
            called = name(own)
            yield from self._unnamed(called, own)
            parts.append(encoded_with(self._family, statement, called))
        yield self._make.rule(rule.chain, b"".join(parts), comment(rule.comment))

    def _unnamed(self, called: str, own: Unnamed) -> Iterator[bytes]:
        number = next(self._numbers)
        yield self._make.set(called, own.form, number)
        yield from self._make.first_elements(number, own.elements)


def _set_of(one: Content) -> str:
    """The set that an element belongs to; empty for anything else."""
    return one.of if isinstance(one, Element) else ""


def _element(one: Content) -> bytes:
    assert isinstance(one, Element)
    _, key, verdict, said = one
    return element(key_bytes(key), _verdict(verdict), comment(said))


def _verdict(verdict: Verdict | None) -> bytes:
    return verdict_data(CODES[verdict.kind], verdict.chain) if verdict is not None else b""


def _by_key(one: Content) -> bytes:
    assert isinstance(one, Element)
    return element(key_bytes(one.key))
