"""Changes of a table as nf_tables requests. What is encoded here is what `nft` itself sends for the same text.

Sets without a name (of `numgen … map { … }` and `ip saddr { … }`) are made just before their rule. Knows the model,
and through `statements.py`, `unnamed.py` and `keys.py` the bytes; knows no socket.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator

from testbed.datapaths.nftables.keys import NET, key_bytes, set_form
from testbed.datapaths.nftables.model import Chain, Change, Element, Map, Rule, Set, Table, Verb, Verdict
from testbed.datapaths.nftables.netlink.expressions import verdict_data
from testbed.datapaths.nftables.netlink.requests import Requests, comment, element
from testbed.datapaths.nftables.statements import CODES, encoded, encoded_with
from testbed.datapaths.nftables.unnamed import Unnamed, brought_by
from testbed.errors import UsageError

HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}  # NF_INET_*


def encode(table: Table, changes: Iterable[Change]) -> list[bytes]:
    """The requests of one transaction (`netlink.transaction`), in the order of the changes.

    Elements of one set that follow each other share a request, so they are best given together. May be called for
    several tables, and the results joined. Raises UsageError for a change that nf_tables does not have.
    """
    return list(_Encoder(table).encode(changes))


class _Encoder:
    def __init__(self, table: Table) -> None:
        self._family = table.family
        self._make = Requests(NET[table.family], table.name)
        self._numbers = itertools.count(1)

    def encode(self, changes: Iterable[Change]) -> Iterator[bytes]:
        for (verb, of), some in itertools.groupby(changes, _verb_and_set):
            if not of:
                for change in some:
                    yield from self._one(change)
            elif verb is Verb.ADD:
                yield from self._make.new_elements(of, map(_element, some))
            else:
                yield from self._make.delete_elements(of, map(_by_key, some))

    def _one(self, change: Change) -> Iterable[bytes]:
        if change.verb is Verb.ADD:
            return self._added(change)
        if change.verb is Verb.DELETE:
            return (self._deleted(change),)
        return (self._flushed(change),)

    def _added(self, change: Change) -> Iterable[bytes]:
        what = change.what
        if isinstance(what, Rule):
            return self._rule(what)
        if isinstance(what, Chain):
            return (self._chain(what),)
        if isinstance(what, Set | Map):
            return (self._make.set(what.name, set_form(what._replace(name="")), next(self._numbers)),)
        if isinstance(what, Table):
            return (self._make.table(comment(what.comment)),)
        raise _impossible(change)

    def _deleted(self, change: Change) -> bytes:
        what = change.what
        if isinstance(what, Chain):
            return self._make.delete_chain(what.name)
        if isinstance(what, Set | Map):
            return self._make.delete_set(what.name)
        if isinstance(what, Table):
            return self._make.delete_table()
        raise _impossible(change)

    def _flushed(self, change: Change) -> bytes:
        """Of a table, all rules are deleted; chains, sets and elements stay."""
        what = change.what
        if isinstance(what, Chain):
            return self._make.flush_chain(what.name)
        if isinstance(what, Set | Map):
            return self._make.flush_set(what.name)
        if isinstance(what, Table):
            return self._make.flush_table()
        raise _impossible(change)

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
            name = f"{_OURS}{next(_UNIQUE)}"
            yield from self._unnamed(name, own)
            parts.append(encoded_with(self._family, statement, name))
        yield self._make.rule(rule.chain, b"".join(parts), comment(rule.comment))

    def _unnamed(self, name: str, own: Unnamed) -> Iterator[bytes]:
        number = next(self._numbers)
        yield self._make.set(name, own.form, number)
        yield from self._make.first_elements(number, own.elements)


# The kernel would look for a free number itself (`__map%d`), by reading the names of all sets of the table, with
# sscanf; so each gets a name that no other has, of this process or of one before it.
_OURS = f"__{os.getpid():x}.{os.urandom(4).hex()}."
_UNIQUE = itertools.count()


def _verb_and_set(change: Change) -> tuple[Verb, str]:
    """The set that an element belongs to; empty for anything else."""
    return change.verb, change.what.of if isinstance(change.what, Element) else ""


def _element(change: Change) -> bytes:
    assert isinstance(change.what, Element)
    _, key, verdict, said = change.what
    return element(key_bytes(key), _verdict(verdict), comment(said))


def _verdict(verdict: Verdict | None) -> bytes:
    return verdict_data(CODES[verdict.kind], verdict.chain) if verdict is not None else b""


def _by_key(change: Change) -> bytes:
    assert isinstance(change.what, Element)
    return element(key_bytes(change.what.key))


def _impossible(change: Change) -> UsageError:
    return UsageError(f"nf_tables cannot {change.verb} {change.what}")
