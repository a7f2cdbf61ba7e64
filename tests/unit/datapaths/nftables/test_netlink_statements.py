"""A statement as bytes and back, without a kernel; and what of somebody else's is not taken for ours."""

from __future__ import annotations

import pytest

from testbed.datapaths.nftables.meanings import decoded
from testbed.datapaths.nftables.model import Statement
from testbed.datapaths.nftables.netlink import expressions as e
from testbed.datapaths.nftables.netlink.listing import ListedElement, elements_in
from testbed.datapaths.nftables.statements import encoded, encoded_with
from testbed.datapaths.nftables.unnamed import brought_by
from testbed.proxier.plan import Family
from tests.unit.datapaths.nftables.statements import ROWS, Row

PAIRS = [(row, family) for row in ROWS for family in row.families]


def rule(family: Family, statements: tuple[Statement, ...]) -> tuple[bytes, dict[str, list[ListedElement]]]:
    """The expressions of a rule, and the elements of the sets that it brings along, by their names."""
    parts, sets = [], {}
    for number, statement in enumerate(statements):
        own = brought_by(family, statement)
        if own is None:
            parts.append(encoded(family, statement))
        else:
            sets[f"set{number}"] = elements_in(b"".join(own.elements))
            parts.append(encoded_with(family, statement, f"set{number}"))
    return b"".join(parts), sets


@pytest.mark.parametrize(("row", "family"), PAIRS, ids=lambda value: str(getattr(value, "text", value)))
def test_what_is_encoded_is_decoded(row: Row, family: Family) -> None:
    expressions, sets = rule(family, row.statements)
    assert decoded(family, expressions, sets.get) == row.statements


@pytest.mark.parametrize(
    "foreign",
    [
        e.payload(e.Base.TRANSPORT, 0, 2) + e.compare(e.EQUAL, b"\0P"),
        e.meta(e.Meta.L4PROTO) + e.compare(e.UNEQUAL, b"\6"),
        e.meta(e.Meta.L4PROTO) + e.compare(e.EQUAL, b"\1"),
        e.ct(e.Ct.STATE) + e.bitwise(e.host(2), bytes(4)) + e.compare(e.UNEQUAL, bytes(4)),
        e.ct(e.Ct.STATE) + e.bitwise(e.host(8), bytes(4)) + e.compare(e.EQUAL, bytes(4)),
        e.verdict(1),
        e.reject(1),
        e.random(3) + e.lookup_verdict("two"),
        e.expression("counter", e.be32(1, 0)),
        e.expression("masq"),
        e.payload(e.Base.NETWORK, 12, 4),
        e.immediate(b"\x0a\0\0\1"),
    ],
    ids=range(12),
)
def test_what_no_statement_says_is_none(foreign: bytes) -> None:
    two = [ListedElement(e.host(n), b"", (e.GOTO, "a"), b"", 0) for n in range(2)]
    assert decoded(Family.IPV4, foreign, {"two": two}.get) is None


def test_a_known_set_is_not_looked_into() -> None:
    [row] = [row for row in ROWS if row.text.startswith("numgen random mod 2")]
    expressions, _ = rule(Family.IPV4, row.statements)
    assert decoded(Family.IPV4, expressions, {"set0": row.statements[0]}.get) == row.statements


def test_a_known_set_does_not_hide_what_the_rule_says_otherwise() -> None:
    [row] = [row for row in ROWS if row.text.startswith("numgen random mod 2")]
    other = e.random(3) + e.lookup_verdict("set0")
    assert decoded(Family.IPV4, other, {"set0": row.statements[0]}.get) is None
