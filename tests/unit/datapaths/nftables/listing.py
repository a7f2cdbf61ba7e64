"""Tables as `nft list` prints them, laid side by side: what has no order is sorted. Knows no rules."""

from __future__ import annotations

import re
from collections.abc import Iterator

Listing = dict[str, list[str]]
"""By `family kind name`, e.g. `ip chain services`: the lines inside."""

_TABLE = re.compile(r"^table (\w+) (\S+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^\t(set|map|chain) (\S+) \{[^\n]*\n(.*?)^\t\}", re.MULTILINE | re.DOTALL)
_OWN = re.compile(r"\t(comment|flags) ")
_NEXT_ELEMENT = re.compile(r",\n\s+")


def parsed(text: str) -> Listing:
    """Every set, map and chain; rules in their order, elements sorted."""
    found: Listing = {}
    for family, table, body in _TABLE.findall(_NEXT_ELEMENT.sub(", ", text)):
        found[f"{family} table {table}"] = [line for line in body.splitlines() if _OWN.match(line)]
        for kind, name, lines in _BLOCK.findall(body):
            found[f"{family} {kind} {name}"] = list(_lines(lines))
    return found


def _lines(body: str) -> Iterator[str]:
    for line in map(str.strip, body.splitlines()):
        if line.startswith("elements = { "):
            yield from (f"element {each}" for each in sorted(line[13:-2].split(", ")))
        elif line:
            yield line
