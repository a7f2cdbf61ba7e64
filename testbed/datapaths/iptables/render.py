"""From plans to rulesets and to the edits between them. Pure: no process, no kernel.

`state` is the whole ruleset of a node for one family. `Edit` is the difference that some changed service
ports make: input for `iptables-restore --noflush` that names only what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from testbed.datapaths.iptables import names, ruleset
from testbed.datapaths.iptables.frame import JUMPS, frame
from testbed.datapaths.iptables.ruleset import BUILT_IN, Ruleset, Table
from testbed.datapaths.iptables.service import Fragment, fragment
from testbed.datapaths.iptables.spelling import LARGE_CLUSTER, Spelling
from testbed.proxier.plan import Family, NodePlan

TOOLS = {Family.IPV4: "iptables", Family.IPV6: "ip6tables"}
"""What the tools of a family are called."""


def is_large(plan: NodePlan) -> bool:
    """True if kube-proxy would leave out the endpoints' comments (large-cluster mode)."""
    return sum(len(service.endpoints()) for service in plan.services.values()) > LARGE_CLUSTER


def state(plan: NodePlan, spelling: Spelling) -> Ruleset:
    """The whole wanted ruleset of one family, built-in chains and our jumps in them included."""
    wanted = frame(spelling)
    tail = wanted["nat"].chains[names.SERVICES]
    wanted["nat"].chains[names.SERVICES] = entries = []
    for service in plan.ordered(spelling.family):
        part = fragment(service, spelling)
        wanted["nat"].chains.update(part.chains)
        for table, chain, rule in part.entries:
            wanted[table].chains[chain].append(rule)
    entries += tail  # node ports come last: a service address may be local to the node as well
    return wanted


def text(plan: NodePlan) -> str:
    """The whole state of both families, as iptables-save would print it on a machine that has everything."""
    parts = []
    for family, tool in TOOLS.items():
        spelling = Spelling(family, plan.facts, endpoint_comments=not is_large(plan))
        parts.append(f"# {tool}\n{ruleset.text(state(plan, spelling))}")
    return "".join(parts)


@dataclass(slots=True)
class Edit:
    """Changes to a ruleset, by table: chains to (re)write, rules of shared chains to take out and put in."""

    flushed: dict[str, list[str]] = field(default_factory=dict)
    rules: dict[str, list[str]] = field(default_factory=dict)
    deleted: dict[str, list[str]] = field(default_factory=dict)
    outdated: dict[str, list[str]] = field(default_factory=dict)  # rules of service ports, to take out

    def replace(self, old: Fragment, new: Fragment) -> None:
        """Go from one state of a service port to another."""
        for chain, rules in new.chains.items():
            if old.chains.get(chain) != rules:
                self.write("nat", chain, rules)
        for chain in old.chains.keys() - new.chains.keys():
            self.delete("nat", chain)
        # Entries of different service ports never depend on each other's order, so new ones go on top: no
        # rule has to be read back or counted to find their place.
        for table, chain, rule in reversed(new.entries):
            if (table, chain, rule) not in old.entries:
                self._rules(table).append(f"-I {chain} {rule}")
        for table, chain, rule in old.entries:
            if (table, chain, rule) not in new.entries:
                self.outdated.setdefault(table, []).append(f"-D {chain} {rule}")

    def write(self, table: str, chain: str, rules: Iterable[str]) -> None:
        """Make a chain hold exactly these rules, whether it exists or not."""
        self.flushed.setdefault(table, []).append(chain)
        self._rules(table).extend(f"-A {chain} {rule}" for rule in rules)

    def delete(self, table: str, chain: str) -> None:
        """Remove a chain. By the end of the edit nothing may jump to it."""
        self.flushed.setdefault(table, []).append(chain)
        self.deleted.setdefault(table, []).append(chain)

    def insert(self, table: str, chain: str, rules: Iterable[str]) -> None:
        """Put rules on top of a chain, keeping their order."""
        self._rules(table).extend(f"-I {chain} {rule}" for rule in reversed(list(rules)))

    def take_out(self, table: str, chain: str, rules: Iterable[str]) -> None:
        """Take rules out of a chain that stays."""
        self._rules(table).extend(f"-D {chain} {rule}" for rule in rules)

    def text(self) -> str:
        """Input for iptables-restore with --noflush; empty if there is nothing to do.

        A table changes at once, but one table after the other. What nat does not translate must find its refusal
        in filter at any moment: so new refusals come before the change of nat, and outdated ones go after it.
        """
        outdated = dict(self.outdated)
        late = outdated.pop("filter", []) if "nat" in {*self.rules, *self.flushed, *outdated} else []
        tables = [t for t in BUILT_IN if t in self.rules or t in self.flushed or t in outdated]
        lines = [line for table in tables for line in self._lines(table, outdated.get(table, ()))]
        lines += ["*filter", *late, "COMMIT"] if late else []
        return "".join(f"{line}\n" for line in lines)

    def _rules(self, table: str) -> list[str]:
        return self.rules.setdefault(table, [])

    def _lines(self, table: str, outdated: Iterable[str]) -> Iterator[str]:
        yield f"*{table}"
        # A chain's line makes it, or empties it. Sorted, because iptables-nft keeps its list of chains in
        # the order of their names and walks it for each new one (3 times faster at 15,000 chains).
        yield from (f":{chain} - [0:0]" for chain in sorted(self.flushed.get(table, ())))
        yield from self.rules.get(table, ())
        yield from outdated
        yield from (f"-X {chain}" for chain in self.deleted.get(table, ()))
        yield "COMMIT"


def joined(wanted: Ruleset, present: Ruleset) -> Edit:
    """What brings tables that others use too to the wanted state, leaving all that is not ours as it is.

    As kube-proxy's full sync: our chains are written anew, our jumps are put on top of the built-in chains if
    they are missing, chains of ours that are not wanted any more are deleted.
    """
    edit = Edit()
    for name, table in wanted.items():
        there = present.get(name, Table()).chains
        for chain, rules in table.chains.items():
            if chain not in table.policies:
                edit.write(name, chain, rules)
        for chain, jumps in JUMPS[name].items():
            edit.insert(name, chain, [jump for jump in jumps if jump not in there.get(chain, ())])
        for chain in there.keys() - table.chains.keys():
            if names.is_ours(name, chain):
                edit.delete(name, chain)
    return edit


def parted(present: Ruleset) -> Edit:
    """What takes our chains and jumps out of tables that others use too."""
    edit = Edit()
    for name, table in present.items():
        for chain, rules in JUMPS.get(name, {}).items():
            edit.take_out(name, chain, [rule for rule in rules if rule in table.chains.get(chain, ())])
        for chain in table.chains:
            if names.is_ours(name, chain):
                edit.delete(name, chain)
    return edit


def only_ours(name: str, table: Table) -> bool:
    """True if a table holds nothing that this datapath did not make."""
    if any(policy != "ACCEPT" for policy in table.policies.values()):
        return False
    known = {**dict.fromkeys(BUILT_IN.get(name, ()), ()), **JUMPS.get(name, {})}
    return all(
        names.is_ours(name, chain) or (chain in known and set(rules) <= set(known[chain]))
        for chain, rules in table.chains.items()
    )


def has_ours(name: str, table: Table) -> bool:
    """True if a table holds a chain of ours."""
    return any(names.is_ours(name, chain) for chain in table.chains)
