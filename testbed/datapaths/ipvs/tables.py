"""iptables-save's text, read and written, as far as this datapath needs it: tables of chains of rules. Pure.

A rule is what follows `-A CHAIN ` on its line, in iptables-save's own spelling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

Chains = dict[str, list[str]]
Tables = dict[str, Chains]

BUILT_IN = {
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
"""The kernel's own chains of the tables that are written here, in the order of iptables-save."""


def parse(text: str) -> Tables:
    """Read what iptables-save prints, without counters and policies; tables of no interest are left out."""
    tables: Tables = {}
    chains: Chains = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:], {})
        elif line.startswith(":"):
            chains[line[1:].split()[0]] = []
        elif line.startswith("-A "):
            chain, _, rule = line[3:].partition(" ")
            chains[chain].append(rule)
    return {name: tables.get(name, {}) for name in BUILT_IN}


def lines(tables: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[str]:
    """The text of whole tables, own chains sorted by name, as iptables-save lays it out."""
    for name, built_in in BUILT_IN.items():
        chains = tables[name]
        order = [*built_in, *sorted(chains.keys() - set(built_in))]
        yield f"*{name}"
        yield from (f":{chain} {'ACCEPT' if chain in built_in else '-'} [0:0]" for chain in order)
        yield from (f"-A {chain} {rule}" for chain in order for rule in chains.get(chain, ()))
        yield "COMMIT"


def edit(name: str, chains: Iterable[str], commands: Iterable[str]) -> str:
    """Input for iptables-restore --noflush that makes or empties `chains` and carries out `commands`."""
    head = [f"*{name}", *(f":{chain} - [0:0]" for chain in chains)]
    return "\n".join([*head, *commands, "COMMIT\n"])
