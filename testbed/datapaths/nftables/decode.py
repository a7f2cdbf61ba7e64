"""A table of nf_tables read back as the model: what `contents.Contents` is for a table that the kernel holds.

What somebody else may have put into the table and no word of the model describes is there as something that equals
nothing: a rule without statements, a set without key types, a hook or a verdict that none of ours has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.encode import HOOKS
from testbed.datapaths.nftables.keys import NET, key_of, parts, set_form
from testbed.datapaths.nftables.meanings import KINDS, decoded
from testbed.datapaths.nftables.model import (
    Chain,
    DnatToAny,
    Element,
    GotoAny,
    Hook,
    KeyType,
    Map,
    Rule,
    Set,
    Statement,
    Table,
    Verdict,
)
from testbed.datapaths.nftables.netlink.listing import (
    ListedChain,
    ListedElement,
    Listing,
    consistent,
    said,
)
from testbed.datapaths.nftables.netlink.requests import ANONYMOUS, MAP, SET_COMMENT, SetForm
from testbed.datapaths.nftables.netlink.transaction import Nftables
from testbed.datapaths.nftables.unnamed import brought_by, digest, told
from testbed.proxier.plan import Family

HOOK_NAMES = {number: name for name, number in HOOKS.items()}
ACCEPT = 1  # NF_ACCEPT


def read(kernel: Nftables, family: Family, name: str, expected: Iterable[Rule] = ()) -> Contents | None:
    """A table as it is between two transactions, whoever makes them; None if there is none.

    Sets that rules brought along are read one by one, and for each the kernel walks through all sets; not so those
    that were named after what an `expected` rule brings (`unnamed.name`): they cannot have changed.
    Raises KernelStateError.
    """
    known = dict(_brought(family, expected))
    return consistent(kernel, lambda: _read(Listing(kernel, NET[family], name), Table(family, name), known))


def _brought(family: Family, rules: Iterable[Rule]) -> Iterator[tuple[str, Statement]]:
    """Of networks the same set may serve several statements, so those are not among them."""
    for rule in rules:
        for statement in rule.statements:
            own = brought_by(family, statement) if isinstance(statement, DnatToAny | GotoAny) else None
            if own is not None:
                yield digest(own), statement


def _read(listing: Listing, table: Table, known: Mapping[str, Statement]) -> Contents | None:
    own = listing.table()
    if own is None:
        return None
    strange = f", flags {own.flags}" if own.flags else ""
    found = Contents(table._replace(comment=said(own.userdata) + strange))
    found.chains = {each.name: _chain(each) for each in listing.chains()}
    unnamed: dict[str, Sequence[ListedElement] | Statement] = {}
    for of, form in listing.sets():
        if form.flags & ANONYMOUS:
            statement = known.get(told(of))
            unnamed[of] = listing.elements(of) if statement is None else statement
        else:
            _add_set(found, listing, of, form)
    for rule in listing.rules():
        statements = decoded(table.family, rule.expressions, unnamed.get) or ()
        read = Rule(rule.chain, statements, said(rule.userdata))
        found.rules.setdefault(rule.chain, []).append(read)
    return found


def _chain(listed: ListedChain) -> Chain:
    if listed.hook is None:
        return Chain(listed.name, None, said(listed.userdata))
    kind, hook, priority, policy = listed.hook
    strange = "" if policy == ACCEPT else f", policy {policy}"
    return Chain(
        listed.name, Hook(kind + strange, HOOK_NAMES.get(hook, str(hook)), priority), said(listed.userdata)
    )


def _add_set(found: Contents, listing: Listing, name: str, form: SetForm) -> None:
    """Elements of a set with a timeout are not ours; those of a set that is not ours are not read."""
    one = found.sets[name] = _set(name, form)
    if not one.key or (isinstance(one, Set) and one.timeout is not None):
        return
    elements = (_element(name, one.key, each) for each in listing.elements(name))
    members = {element.key: element for element in elements}
    if members:
        found.elements[name] = members


def _set(name: str, form: SetForm) -> Set | Map:
    """The set that would be made by this form; one without key types if none would."""
    key, comment = _key_types(form.key_type), said(form.userdata, SET_COMMENT)
    guess: Set | Map
    if form.flags & MAP:
        guess = Map(name, key, comment)
    else:
        timeout = form.timeout // 1000 if form.timeout is not None else None
        guess = Set(name, key, comment, form.size, timeout)
    return guess if key and set_form(guess._replace(name="")) == form else Set(name, ())


def _key_types(number: int) -> tuple[KeyType, ...]:
    try:
        return parts(number)
    except KeyError:
        return ()


def _element(of: str, kinds: tuple[KeyType, ...], listed: ListedElement) -> Element:
    verdict = None
    if listed.verdict is not None:
        code, chain = listed.verdict
        verdict = Verdict(KINDS.get(code, str(code)), chain)
    return Element(of, key_of(kinds, listed.key), verdict, said(listed.userdata))
