"""Changes to rulesets, and how they are spelled as input for `iptables-restore --noflush`. Pure.

Knows tables, chains and rules, which chains are ours, and in which order they may change under traffic. Does not
know what the rules are for. Foreign chains and rules are never named.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from testbed.datapaths.iptables import names
from testbed.datapaths.iptables.frame import JUMPS
from testbed.datapaths.iptables.ruleset import BUILT_IN, Ruleset, Table
from testbed.datapaths.iptables.service import Fragment

_PROBABILITY = re.compile(r"--probability (\S+)")
_TARGET = re.compile(r"-[jg] (KUBE-\S+)")
_REFUSES = re.compile(r"-j (DROP|REJECT)\b")
_REFERRERS = ("KUBE-FW-", "KUBE-EXT-", "KUBE-SVL-", "KUBE-SVC-", "KUBE-SEP-", names.MARK_MASQ)
"""Chains of table nat, each before those that it jumps to: the order in which they can be deleted."""


CROWD = 100
"""iptables-nft finds a rule that is to be deleted by comparing it with all others of its chain: for 1,000 of 3,000
it took 15 s on a busy machine, and 2 s to write the chain anew."""


@dataclass(frozen=True, slots=True)
class Taste:
    """What a variant of the tool swallows best: at most `chains` chains in one input (None: any number), their
    lines and those of their rules in the order of their names, `descending` or not. README, "How long it takes",
    says why.
    """

    chains: int | None
    descending: bool


@dataclass(slots=True)
class TableEdit:
    """What happens to one table."""

    written: dict[str, Sequence[str]] = field(default_factory=dict)  # chains as they shall be, whole
    put_in: list[str] = field(default_factory=list)  # lines for chains that stay
    taken_out: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)  # chains that nothing refers to any more at the end
    in_the_end: dict[str, Sequence[str]] = field(
        default_factory=dict
    )  # written once more when all else is done

    def __bool__(self) -> bool:
        return bool(self.written or self.put_in or self.taken_out or self.deleted or self.in_the_end)

    def rewrite(self, chain: str, rules: Sequence[str]) -> None:
        """Write a shared chain whole rather than take lines out of it."""
        self.taken_out = [line for line in self.taken_out if _chain_of(line) != chain]
        self.in_the_end[chain] = rules


class Edit:
    """Changes to a ruleset."""

    def __init__(self) -> None:
        self.tables = {name: TableEdit() for name in BUILT_IN}

    def __bool__(self) -> bool:
        return any(self.tables.values())

    def replace(self, old: Fragment, new: Fragment, *, whole: bool = False) -> None:
        """Go from one state of a service port to another; `whole` writes also its chains that are as they were."""
        nat = self.tables["nat"]
        for chain, rules in new.chains.items():
            if whole or old.chains.get(chain) != rules:
                nat.written[chain] = rules
        nat.deleted.extend(old.chains.keys() - new.chains.keys())
        # Entries of different service ports never depend on each other's order, so new ones go on top: no
        # rule has to be read back or counted to find their place.
        for entry in reversed(new.entries):
            if entry not in old.entries:
                self.tables[entry.table].put_in.append(f"-I {entry.chain} {entry.rule}")
        for entry in old.entries:
            if entry not in new.entries:
                self.tables[entry.table].taken_out.append(f"-D {entry.chain} {entry.rule}")

    def crowded(self) -> list[tuple[str, str]]:
        """Tables and shared chains out of which so many rules are taken that it is cheaper to write them whole."""
        lines = ((name, _chain_of(line)) for name, table in self.tables.items() for line in table.taken_out)
        return [place for place, count in Counter(lines).items() if count > CROWD]

    def inputs(self, taste: Taste) -> Iterator[str]:
        """Inputs to be given to the tool one after the other. Between any two of them every packet meets the
        state before or the state after: chains come before whatever jumps to them.
        """
        text, names_so_far = "", set[str]()
        for table, block in self._blocks(taste):
            if table in names_so_far and taste.chains is not None and block.count("\n:") > 1:
                yield text
                text, names_so_far = "", set()
            text, names_so_far = text + block, names_so_far | {table}
        if text:
            yield text

    def _blocks(self, taste: Taste) -> Iterator[tuple[str, str]]:
        """Each table's changes at once; only what filter takes out comes after nat has changed. So a Service that
        gets its first endpoint is translated before it is no longer refused, and one that loses its last is
        refused before it is no longer translated.
        """
        last: list[str] = []
        refusals = self.tables["filter"].in_the_end if self.tables["nat"] else {}
        for name, table in self.tables.items():
            now = table
            if name == "filter" and self.tables["nat"]:
                last, now = table.taken_out, TableEdit(table.written, table.put_in, [], table.deleted)
            elif table.in_the_end:
                put_in = [line for line in table.put_in if _chain_of(line) not in table.in_the_end]
                now = replace(table, written=table.written | table.in_the_end, put_in=put_in)
            if now:
                yield from ((name, block) for block in _of_table(name, now, taste))
        if last or refusals:
            yield "filter", _block("filter", [*refusals.items()], last, [], taste)


def _chain_of(line: str) -> str:
    return line.split(" ", 2)[1]


def _of_table(name: str, table: TableEdit, taste: Taste) -> Iterator[str]:
    """One block if the chains are few, else several: own chains, then what jumps to them, then the stale."""
    last = {chain: rules for chain, rules in table.written.items() if chain in names.SHARED}
    first = [(chain, rules) for chain, rules in table.written.items() if chain not in last]
    stale = sorted(table.deleted, key=_referrers_first)
    most = taste.chains or len(first) + len(last) + len(stale) + 1
    while len(first) + len(last) + len(stale) > most and first:
        part, first = first[:most], first[most:]
        yield _block(name, part, [], [], taste)
    now, stale = stale[:most], stale[most:]
    yield _block(name, [*first, *last.items()], [*table.put_in, *table.taken_out], now, taste)
    while stale:
        now, stale = stale[:most], stale[most:]
        yield _block(name, [], [], now, taste)


def _referrers_first(chain: str) -> tuple[int, str]:
    rank = next((i for i, prefix in enumerate(_REFERRERS) if chain.startswith(prefix)), -1)
    return rank, chain


def _block(
    name: str,
    written: Sequence[tuple[str, Sequence[str]]],
    lines: Iterable[str],
    deleted: Sequence[str],
    taste: Taste,
) -> str:
    """One table's part of an input. A chain's line makes it, or empties it."""
    gone: list[tuple[str, Sequence[str]]] = [(chain, ()) for chain in deleted]
    chains = sorted([*written, *gone], key=itemgetter(0), reverse=taste.descending)
    body = [f"*{name}"]
    body += [f":{chain} - [0:0]" for chain, _ in chains]
    body += [f"-A {chain} {rule}" for chain, rules in chains for rule in rules]
    body += lines
    body += [f"-X {chain}" for chain in deleted]
    body.append("COMMIT\n")
    return "\n".join(body)


def difference(wanted: Ruleset, present: Ruleset) -> Edit:
    """What makes our part of a ruleset what it shall be, leaving all that is not ours as it is.

    As kube-proxy's full sync: our chains are written anew, our jumps are put on top of the built-in chains, chains
    of ours that are not wanted any more are deleted. Unlike it, what is right already is not touched.
    """
    edit = Edit()
    for name, table in edit.tables.items():
        want, there = wanted.get(name, Table()), present.get(name, Table())
        for chain, rules in want.chains.items():
            if names.is_ours(name, chain) and not _holds(there.chains.get(chain), rules):
                _write(table, chain, rules, there.chains.get(chain, ()) if name == "filter" else ())
        for chain, jumps in JUMPS[name].items():
            _set_jumps(table, chain, _only(jumps, want, chain), _only(jumps, there, chain))
        stale = [c for c in there.chains if c not in want.chains and names.is_ours(name, c)]
        held = _held_by_others(name, there) if stale else frozenset()
        table.deleted = [chain for chain in stale if chain not in held]
        table.written |= {chain: () for chain in stale if chain in held and there.chains[chain]}
    return edit


def _write(table: TableEdit, chain: str, rules: Sequence[str], present: Sequence[str]) -> None:
    """Write a chain anew. Refusals in it that are outdated stay behind the others until nat has changed, too."""
    table.written[chain] = rules
    if outdated := [rule for rule in present if _REFUSES.search(rule) and rule not in rules]:
        table.written[chain] = [*rules, *outdated]
        table.in_the_end[chain] = rules


def _held_by_others(name: str, table: Table) -> frozenset[str]:
    """The chains that others' rules jump to. The kernel refuses to delete one, and with it the whole input."""
    theirs = (
        rule
        for chain, rules in table.chains.items()
        if not names.is_ours(name, chain)
        for rule in rules
        if rule not in JUMPS.get(name, {}).get(chain, ())
    )
    return frozenset(target for rule in theirs for target in _TARGET.findall(rule))


def _only(jumps: Sequence[str], table: Table, chain: str) -> list[str]:
    return [rule for rule in table.chains.get(chain, ()) if rule in jumps]


def _set_jumps(table: TableEdit, chain: str, wanted: list[str], present: list[str]) -> None:
    """Put the jumps on top of a built-in chain unless they are in it, in their order and each once."""
    if wanted != present:
        table.put_in += [f"-D {chain} {rule}" for rule in present]
        table.put_in += [f"-I {chain} {rule}" for rule in reversed(wanted)]


def ours(present: Ruleset) -> Ruleset:
    """What in a ruleset is ours, in an order in which chains can be written: those that others jump to first."""
    found: Ruleset = {}
    for name in BUILT_IN:
        there = present.get(name, Table()).chains
        mine = [chain for chain in there if names.is_ours(name, chain)]
        chains = {chain: there[chain] for chain in sorted(mine, key=_referrers_first, reverse=True)}
        chains |= {chain: _only(jumps, Table(there), chain) for chain, jumps in JUMPS[name].items()}
        found[name] = Table(chains)
    return found


def _holds(present: list[str] | None, wanted: list[str]) -> bool:
    """True if a chain is there with these rules, as the kernel prints them.

    In their order, too: deltas put new rules on top of shared chains, and what a first packet costs is its rule's
    place.
    """
    if present is None or len(present) != len(wanted):
        return False
    if present == wanted:
        return True
    printed = [_PROBABILITY.sub(_printed, rule) if "--probability" in rule else rule for rule in wanted]
    return present == printed


def _printed(match: re.Match[str]) -> str:
    return f"--probability {_as_the_kernel_keeps_it(match[1])}"


@functools.cache  # there are as many as there are endpoints of one Service
def _as_the_kernel_keeps_it(probability: str) -> str:
    """A probability is kept as a number of 2^-31ths and printed with 11 decimals (xt_statistic)."""
    return f"{round(float(probability) * 2**31) / 2**31:.11f}"
