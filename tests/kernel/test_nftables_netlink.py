"""What is sent over netlink is what `nft -f` sends for the same text: each kind of object and statement, in two
namespaces of a real kernel, listed by `nft` and compared expression by expression. Needs root."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest

from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.decode import read
from testbed.datapaths.nftables.encode import Changes, Content
from testbed.datapaths.nftables.keys import ADDRESS
from testbed.datapaths.nftables.model import Chain, Element, Hook, KeyType, Map, Rule, Set, Table, Verdict
from testbed.machine.netns import Netns
from testbed.proxier.plan import Family
from tests.kernel.nftfacts import facts, opened
from tests.namespaces import fresh_namespace
from tests.require import require
from tests.unit.datapaths.nftables.statements import FRAME, ROWS, WORD, of_family

PROTOCOL, PORT = KeyType.PROTOCOL, KeyType.PORT
HOST = {Family.IPV4: ip_address("10.0.0.1"), Family.IPV6: ip_address("fd00::1")}
DUMP = Path(__file__).parents[1] / "data/kube-proxy-dumps/nftables/nft-ruleset.txt"

OBJECTS = """
    comment "a table"
    chain filter-prerouting {{ type filter hook prerouting priority dstnat - 10; policy accept; }}
    chain filter-input {{ type filter hook input priority filter; policy accept; comment "input"; }}
    chain filter-forward {{ type filter hook forward priority filter; policy accept; }}
    chain nat-output {{ type nat hook output priority -100; policy accept; }}
    chain nat-postrouting {{ type nat hook postrouting priority srcnat; policy accept; }}
    chain target {{ }}
    set ports {{ type inet_service; elements = {{ 80 comment "web", 65535 }} }}
    set protocols {{ type inet_proto; elements = {{ tcp, udp, sctp }} }}
    set small {{ type {address}; size 10; elements = {{ {host} }} }}
    map by-address {{ type {address} : verdict; elements = {{ {host} : drop }} }}
    map by-all {{
        type {address} . inet_proto . inet_service : verdict; comment "all";
        elements = {{ {host} . tcp . 80 comment "default/web:http" : goto target, {host} . udp . 53 : jump target }}
    }}
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Netns, Netns]]:
    """Two namespaces: in one `nft` loads text, in the other netlink is spoken."""
    require("nftables")
    with fresh_namespace(tmp_path, "theirs") as theirs, fresh_namespace(tmp_path, "ours") as ours:
        yield theirs, ours


@pytest.fixture(params=Family, ids=["IPv4", "IPv6"])
def family(request: pytest.FixtureRequest) -> Family:
    return Family(request.param)


def load(node: Netns, family: Family, body: str) -> None:
    """Have `nft` load a table."""
    node.run(["nft", "-f", "-"], stdin=f"table {WORD[family]} t {{\n{body}\n}}\n")


def write(node: Netns, table: Table, content: Sequence[Content]) -> None:
    """Have netlink make a table."""
    changes = Changes(table)
    changes.add_table()
    changes.add(content)
    with opened(node) as kernel:
        kernel.commit(changes.requests)


def frame(family: Family) -> list[Content]:
    """FRAME as the model."""
    address = ADDRESS[family]
    return [
        Chain("a", comment="a chain"),
        Chain("b"),
        Set("one", (address,), "addresses"),
        Set("four", (address, address, PROTOCOL, PORT), "connections"),
        Set("clients", (address,), size=65535, timeout=10800),
        Map("three", (address, PROTOCOL, PORT), "services"),
        Map("two", (PROTOCOL, PORT)),
    ]


def objects(family: Family) -> list[Content]:
    """OBJECTS as the model."""
    address, host, target = ADDRESS[family], HOST[family], Verdict("goto", "target")
    return [
        Chain("filter-prerouting", Hook("filter", "prerouting", -110)),
        Chain("filter-input", Hook("filter", "input", 0), "input"),
        Chain("filter-forward", Hook("filter", "forward", 0)),
        Chain("nat-output", Hook("nat", "output", -100)),
        Chain("nat-postrouting", Hook("nat", "postrouting", 100)),
        Chain("target"),
        Set("ports", (PORT,)),
        Element("ports", (80,), comment="web"),
        Element("ports", (65535,)),
        Set("protocols", (PROTOCOL,)),
        *(Element("protocols", (name,)) for name in ("tcp", "udp", "sctp")),
        Set("small", (address,), size=10),
        Element("small", (host,)),
        Map("by-address", (address,)),
        Element("by-address", (host,), Verdict("drop")),
        Map("by-all", (address, PROTOCOL, PORT), "all"),
        Element("by-all", (host, "tcp", 80), target, "default/web:http"),
        Element("by-all", (host, "udp", 53), Verdict("jump", "target")),
    ]


def assert_equal(nodes: tuple[Netns, Netns], family: Family) -> None:
    """What the kernels hold, and what `nft` prints of that, elements in any order."""
    theirs, ours = (node.run(["nft", "list", "table", WORD[family], "t"]).stdout for node in nodes)
    assert sorted(ours.replace(",", " ").split()) == sorted(theirs.replace(",", " ").split())
    with opened(nodes[0]) as one, opened(nodes[1]) as two:
        assert facts(two, family, "t") == facts(one, family, "t")


def test_objects_are_those_that_nft_makes(nodes: tuple[Netns, Netns], family: Family) -> None:
    load(nodes[0], family, OBJECTS.format(address=ADDRESS[family], host=HOST[family]))
    write(nodes[1], Table(family, "t", "a table"), objects(family))
    assert_equal(nodes, family)


def test_statements_are_those_that_nft_makes(nodes: tuple[Netns, Netns], family: Family) -> None:
    """Each in a chain of its own, so a difference tells which."""
    rows = [row for row in ROWS if family in row.families]
    chains = (f'chain c{n} {{ {of_family(row, family)} comment "row {n}"; }}' for n, row in enumerate(rows))
    load(nodes[0], family, "\n".join([FRAME.format(address=ADDRESS[family]), *chains]))
    ours = [Chain(f"c{n}") for n in range(len(rows))]
    rules = [Rule(f"c{n}", row.statements, f"row {n}") for n, row in enumerate(rows)]
    write(nodes[1], Table(family, "t"), [*frame(family), *ours, *rules])
    assert_equal(nodes, family)


def test_what_nft_makes_is_read_as_the_model(nodes: tuple[Netns, Netns], family: Family) -> None:
    rows = [row for row in ROWS if family in row.families]
    chains = (f"chain c{n} {{ {of_family(row, family)}; }}" for n, row in enumerate(rows))
    load(nodes[0], family, "\n".join([FRAME.format(address=ADDRESS[family]), *chains]))
    with opened(nodes[0]) as kernel:
        found = read(kernel, family, "t")
    assert found is not None
    for n, row in enumerate(rows):
        assert found.rules[f"c{n}"] == [Rule(f"c{n}", row.statements)]
    assert [found.sets[each.name] for each in frame(family) if isinstance(each, Set | Map)] == [
        each for each in frame(family) if isinstance(each, Set | Map)
    ]


def content(of: Contents) -> list[Content]:
    """A table's content in an order in which it can be made."""
    rules = itertools.chain.from_iterable(of.rules.values())
    elements = (each for some in of.elements.values() for each in some.values())
    return [*of.sets.values(), *of.chains.values(), *rules, *elements]


def test_kube_proxys_ruleset_is_read_and_made_again(nodes: tuple[Netns, Netns]) -> None:
    theirs, ours = nodes
    theirs.run(["nft", "-f", str(DUMP)])
    for family in Family:
        with opened(theirs) as kernel, opened(ours) as other:
            found = read(kernel, family, "kube-proxy")
            assert found is not None
            write(ours, found.table, content(found))
            assert facts(other, family, "kube-proxy") == facts(kernel, family, "kube-proxy")
            assert read(other, family, "kube-proxy", content_rules(found)) == found
    texts = [node.run(["nft", "list", "ruleset"]).stdout for node in nodes]
    assert [sorted(text.replace(",", " ").split()) for text in texts[:1]] == [
        sorted(text.replace(",", " ").split()) for text in texts[1:]
    ]


def content_rules(of: Contents) -> list[Rule]:
    """All rules of a table."""
    return list(itertools.chain.from_iterable(of.rules.values()))
