"""Any table that the model can say is taken by a real kernel, read back equal, and equal to what `nft` makes of the
text that it prints of it. Needs root."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from testbed.datapaths.nftables import model
from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.decode import read
from testbed.datapaths.nftables.encode import Changes
from testbed.datapaths.nftables.keys import ADDRESS, PROTOCOLS
from testbed.datapaths.nftables.model import Chain, Element, Field, Key, KeyType, Map, Rule, Set, Statement
from testbed.machine.netns import Netns
from testbed.proxier.plan import Family, IPNetwork
from tests.kernel.nftfacts import facts, opened
from tests.namespaces import fresh_namespace
from tests.require import require
from tests.unit.datapaths.nftables.statements import WORD

T = TypeVar("T")

PLAIN, TARGETS = ("one", "two"), ("x", "default/web/tcp/http__10.0.0.1/80"[:60])
COMMENTS = st.text("abcXYZ019 -_/:@.", max_size=60)
PORTS = st.integers(1, 65535)
BITS = st.integers(0, 31).map(lambda n: 1 << n)
DEVICES = st.text("abcxyz019.-_", min_size=1, max_size=12)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Netns, Netns]]:
    """Two namespaces: in one netlink is spoken, in the other `nft` loads text."""
    require("nftables")
    folder = tmp_path_factory.mktemp("netns")
    with fresh_namespace(folder, "ours") as ours, fresh_namespace(folder, "theirs") as theirs:
        yield ours, theirs


def addresses(family: Family) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    """Any; for `nft` reads and prints them all alike."""
    if family is Family.IPV4:
        return st.integers(0, (1 << 32) - 1).map(IPv4Address)
    return st.integers(0, (1 << 128) - 1).map(IPv6Address)


def network(family: Family, address: int, prefix: int) -> IPNetwork:
    kind = IPv4Network if family is Family.IPV4 else IPv6Network
    return kind((address, prefix), strict=False)


def networks(family: Family) -> st.SearchStrategy[IPNetwork]:
    bits = 32 if family is Family.IPV4 else 128
    return st.builds(network, st.just(family), st.integers(0, (1 << bits) - 1), st.integers(1, bits))


def several(family: Family) -> st.SearchStrategy[tuple[IPNetwork, ...]]:
    """Sorted, none within another, at least two."""
    drawn = st.lists(networks(family), min_size=2, max_size=6)
    return drawn.map(lambda some: tuple(collapse_addresses(some))).filter(lambda some: len(some) > 1)


def part(family: Family, kind: KeyType) -> st.SearchStrategy[model.Part]:
    if kind is KeyType.PORT:
        return PORTS
    if kind is KeyType.PROTOCOL:
        return st.sampled_from(sorted(PROTOCOLS))
    return addresses(family)


def keys(family: Family, kinds: tuple[KeyType, ...]) -> st.SearchStrategy[Key]:
    return st.tuples(*(part(family, kind) for kind in kinds))


def verdicts() -> st.SearchStrategy[model.Verdict]:
    jumps = st.builds(model.Verdict, st.sampled_from(["jump", "goto"]), st.sampled_from(TARGETS))
    return st.one_of(st.just(model.Verdict("drop")), jumps)


def matching(family: Family) -> st.SearchStrategy[Statement]:
    """Statements after which a rule goes on. Not `meta l4proto`: with a later port `nft` prints `sctp dport`."""
    fields = st.sampled_from([Field.SADDR, Field.DADDR])
    return st.one_of(
        st.builds(model.Matches, fields, networks(family), st.booleans()),
        st.builds(model.MatchesAny, fields, several(family), st.booleans()),
        st.builds(model.ComesBy, DEVICES, st.booleans(), st.booleans()),
        st.just(model.CtState("new")),
        st.just(model.CtStatus("dnat")),
        st.builds(model.IsLocal, fields),
        st.builds(model.IsMarked, BITS),
        st.builds(model.SetMark, st.sampled_from("|^"), BITS),
        st.builds(model.InSet, fields.map(lambda field: (field,)), st.just("addresses")),
        st.just(model.Remember("clients")),
    )


def ending(family: Family) -> st.SearchStrategy[tuple[Statement, ...]]:
    """The end of a rule, with what `nft` demands before it."""
    endpoints = st.tuples(addresses(family), PORTS)
    tcp = st.just(model.IsProtocol("tcp"))
    joined = (Field.DADDR, Field.L4PROTO, Field.DPORT)
    return st.one_of(
        st.tuples(verdicts()),
        st.tuples(st.just(model.VerdictOf(joined, "services"))),
        st.tuples(st.builds(model.GotoAny, st.lists(st.sampled_from(TARGETS), min_size=1, max_size=5).map(tuple))),
        st.tuples(
            tcp, st.builds(model.DnatToAny, st.lists(endpoints, min_size=1, max_size=5).map(tuple))
        ),
        st.tuples(tcp, endpoints.map(lambda to: model.DnatTo(*to))),
        st.just((model.Masquerade(),)),
        st.just((model.Reject(),)),
    )  # fmt: skip


@st.composite
def tables(draw: st.DrawFn, family: Family) -> Contents:
    """A table with every kind of content."""
    address = ADDRESS[family]
    found = Contents(model.Table(family, "t", draw(COMMENTS)))
    for chain in (*PLAIN, *TARGETS):
        found.chains[chain] = Chain(chain, None, draw(COMMENTS))
    joined = (address, KeyType.PROTOCOL, KeyType.PORT)
    for of in (
        Set("addresses", (address,), draw(COMMENTS)),
        Map("services", joined, draw(COMMENTS)),
        Set("clients", (address,), draw(COMMENTS), 65535, draw(st.integers(1, 86400))),
    ):
        found.sets[of.name] = of
    _fill(found, draw(st.sets(keys(family, (address,)), max_size=4)), "addresses", draw)
    _fill(found, draw(st.sets(keys(family, joined), max_size=4)), "services", draw)
    for chain in PLAIN:
        rules = [_rule(draw, family, chain) for _ in range(draw(st.integers(0, 4)))]
        if rules:
            found.rules[chain] = rules
    return found


def _fill(found: Contents, drawn: set[Key], name: str, draw: st.DrawFn) -> None:
    of_verdicts = isinstance(found.sets[name], Map)
    for key in drawn:
        verdict = draw(verdicts()) if of_verdicts else None
        found.elements.setdefault(name, {})[key] = Element(name, key, verdict, draw(COMMENTS))


def _rule(draw: st.DrawFn, family: Family, chain: str) -> Rule:
    before = draw(st.lists(matching(family), max_size=3))
    return Rule(chain, (*before, *draw(ending(family))), draw(COMMENTS))


def made(table: Contents) -> list[bytes]:
    """What puts the table in the place of the one before."""
    changes = Changes(table.table)
    changes.add_table()
    changes.delete_table()
    changes.add_table()
    changes.add(table.sets.values())
    changes.add(table.chains.values())
    changes.add(itertools.chain.from_iterable(table.rules.values()))
    for some in table.elements.values():
        changes.add(some.values())
    return changes.requests


@pytest.mark.parametrize("family", Family, ids=["IPv4", "IPv6"])
@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_table_is_written_read_and_printed(
    nodes: tuple[Netns, Netns], family: Family, data: st.DataObject
) -> None:
    wanted, (ours, theirs) = data.draw(tables(family)), nodes
    with opened(ours) as kernel, opened(theirs) as other:
        kernel.commit(made(wanted))
        assert read(kernel, family, "t") == wanted
        assert read(kernel, family, "t", itertools.chain.from_iterable(wanted.rules.values())) == wanted
        text = ours.run(["nft", "list", "table", WORD[family], "t"]).stdout
        theirs.run(["nft", "-f", "-"], stdin=f"flush ruleset\n{text}")
        assert facts(other, family, "t") == facts(kernel, family, "t")
