"""Transactions on a real kernel: all or nothing, errors by name, sizes; and tables that others have put things
into. Needs root."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.decode import read
from testbed.datapaths.nftables.encode import Changes, Content
from testbed.datapaths.nftables.model import (
    Chain,
    DnatToAny,
    Element,
    Field,
    GotoAny,
    Hook,
    IsProtocol,
    KeyType,
    Map,
    MatchesAny,
    Rule,
    Set,
    Table,
    Verdict,
)
from testbed.datapaths.nftables.netlink.listing import Listing
from testbed.datapaths.nftables.netlink.transaction import Nftables
from testbed.errors import KernelStateError
from testbed.machine.netns import Netns
from testbed.proxier.plan import Family
from tests.kernel.nftfacts import opened
from tests.namespaces import fresh_namespace
from tests.require import require

TABLE = Table(Family.IPV4, "t")
PORTS = Map("ports", (KeyType.PROTOCOL, KeyType.PORT))
HOSTS = Set("hosts", (KeyType.IPV4,))
TO_B = Rule("a", (Verdict("jump", "b"),))
ENDPOINTS = DnatToAny(((ip_address("10.0.0.1"), 80), (ip_address("10.0.0.2"), 80)))
CHOICE = Rule("b", (IsProtocol("tcp"), ENDPOINTS), "a choice")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Netns]:
    """A namespace without rules."""
    require("nftables")
    with fresh_namespace(tmp_path) as made:
        yield made


@pytest.fixture
def kernel(node: Netns) -> Iterator[Nftables]:
    """Its nf_tables, with a table that has something of each kind."""
    with opened(node) as made:
        changes = Changes(TABLE)
        changes.add_table()
        changes.add([Chain("a"), Chain("b"), PORTS, HOSTS, TO_B, CHOICE])
        changes.add([Element("ports", ("tcp", 80), Verdict("goto", "b"))])
        made.commit(changes.requests)
        yield made


def changed(*added: Content) -> Changes:
    changes = Changes(TABLE)
    changes.add(added)
    return changes


def there(kernel: Nftables) -> Contents:
    found = read(kernel, Family.IPV4, "t")
    assert found is not None
    return found


def test_a_refused_transaction_has_done_nothing_and_names_the_element(kernel: Nftables) -> None:
    before = there(kernel)
    wrong = changed(
        Chain("new"),
        Element("ports", ("udp", 53), Verdict("goto", "b"), "right"),
        Element("ports", ("udp", 54), Verdict("goto", "nowhere"), "wrong"),
    )
    with pytest.raises(
        KernelStateError, match=r"set ports of table t \(.* wrong\): No such file or directory"
    ):
        kernel.commit(wrong.requests)
    assert there(kernel) == before


def test_the_first_of_many_refusals_is_told(kernel: Nftables) -> None:
    """More than the socket has room for."""
    wrong = Changes(TABLE)
    wrong.delete([Chain(f"gone{n}") for n in range(5000)])
    with pytest.raises(KernelStateError, match="deleting chain gone0 of table t: No such file or directory"):
        kernel.commit(wrong.requests)
    kernel.commit(changed(Chain("after")).requests)
    assert "after" in there(kernel).chains


def test_a_chain_in_use_is_named(kernel: Nftables) -> None:
    wrong = Changes(TABLE)
    wrong.flush([Chain("b")])
    wrong.delete([Chain("b")])
    with pytest.raises(KernelStateError, match="deleting chain b of table t: Device or resource busy"):
        kernel.commit(wrong.requests)
    assert there(kernel).rules["b"] == [CHOICE]


def test_an_element_with_another_verdict_is_refused(kernel: Nftables) -> None:
    with pytest.raises(KernelStateError, match="element of set ports of table t"):
        kernel.commit(changed(Element("ports", ("tcp", 80), Verdict("drop"))).requests)


def test_translation_where_packets_are_only_filtered_is_refused(kernel: Nftables) -> None:
    """The kernel looks at all that a hook leads to when the transaction ends."""
    hooked = changed(Chain("base", Hook("filter", "input", 0)), Rule("base", (Verdict("jump", "a"),)))
    with pytest.raises(KernelStateError, match="rule of chain base of table t: Operation not supported"):
        kernel.commit(hooked.requests)


def test_nothing_is_done_where_the_tables_have_changed_since(kernel: Nftables) -> None:
    seen = kernel.generation()
    assert kernel.commit(changed(Chain("first")).requests, seen)
    assert not kernel.commit(changed(Chain("second")).requests, seen)
    assert {"first", "second"} & there(kernel).chains.keys() == {"first"}


def test_no_requests_are_no_transaction(kernel: Nftables) -> None:
    seen = kernel.generation()
    assert kernel.commit([])
    assert kernel.generation() == seen


def test_a_transaction_that_is_too_large_says_what_mends_that(kernel: Nftables) -> None:
    kernel.limit = 1000
    with pytest.raises(
        KernelStateError, match=r"more than the 1000 that may be sent at once\n    fix: sysctl"
    ):
        kernel.commit(changed(*(Chain(f"c{n}") for n in range(100))).requests)


def test_megabytes_go_in_one_transaction(kernel: Nftables) -> None:
    """More than the default net.core.wmem_max. Root may; an ordinary user is told by `limit` how much he may."""
    many = changed(*(Chain(f"a-chain-with-quite-a-long-name-{n}", None, "x" * 100) for n in range(8000)))
    assert sum(map(len, many.requests)) > 1 << 20
    kernel.commit(many.requests)
    assert len(there(kernel).chains) == 8002


def test_a_socket_without_privilege_knows_its_limit(node: Netns) -> None:
    with opened(node) as kernel:
        allowed = int(Path("/proc/sys/net/core/wmem_max").read_text())
        kernel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 29)
        assert kernel.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * allowed


def test_sets_go_with_the_rules_that_brought_them(kernel: Nftables) -> None:
    gone = Changes(TABLE)
    gone.flush([Chain("b")])
    kernel.commit(gone.requests)
    assert {name for name, _ in Listing(kernel, socket.AF_INET, "t").sets()} == {"ports", "hosts"}


def test_everything_can_be_deleted(kernel: Nftables) -> None:
    gone = Changes(TABLE)
    gone.delete([Element("ports", ("tcp", 80))])
    gone.flush([Chain("a"), Chain("b"), HOSTS])
    gone.delete([Chain("a"), Chain("b"), HOSTS, PORTS])
    kernel.commit(gone.requests)
    assert there(kernel) == Contents(TABLE)
    gone = Changes(TABLE)
    gone.delete_table()
    kernel.commit(gone.requests)
    assert read(kernel, Family.IPV4, "t") is None


def test_rules_can_be_emptied_and_all_else_kept(kernel: Nftables) -> None:
    before = there(kernel)
    flushed = Changes(TABLE)
    flushed.flush_table()
    kernel.commit(flushed.requests)
    after = there(kernel)
    assert after.rules == {}
    assert (after.chains, after.sets, after.elements) == (before.chains, before.sets, before.elements)


def test_two_rules_may_bring_the_same_sets(kernel: Nftables) -> None:
    networks = (ip_network("10.0.0.0/24"), ip_network("10.0.2.0/24"))
    twice = [
        Rule("c", (MatchesAny(Field.SADDR, networks), Verdict("drop"))),
        Rule("c", (MatchesAny(Field.DADDR, networks, negated=True), Verdict("drop"))),
        Rule("c", (GotoAny(("a", "b")),)),
        Rule("c", (GotoAny(("a", "b")),)),
    ]
    kernel.commit(changed(Chain("c"), *twice).requests)
    for expected in ([], twice):
        found = read(kernel, Family.IPV4, "t", expected)
        assert found is not None
        assert found.rules["c"] == twice


@pytest.mark.parametrize(
    "rule",
    [
        "counter drop",
        "ip saddr 10.0.0.1 accept",
        "tcp sport 80 drop",
        "numgen inc mod 2 vmap { 0 : drop, 1 : accept }",
    ],
)
def test_a_rule_of_somebody_else_is_there_without_statements(
    node: Netns, kernel: Nftables, rule: str
) -> None:
    node.run(["nft", "add", "rule", "ip", "t", "b", rule])
    assert there(kernel).rules["b"] == [CHOICE, Rule("b", ())]


def test_objects_of_somebody_else_equal_none_of_ours(node: Netns, kernel: Nftables) -> None:
    node.run(["nft", "add", "set", "ip", "t", "marks", "{ type mark; }"])
    node.run(["nft", "add", "set", "ip", "t", "ranges", "{ type ipv4_addr; flags interval; }"])
    node.run(["nft", "add", "chain", "ip", "t", "h", "{ type filter hook input priority 0; policy drop; }"])
    node.run(["nft", "add", "element", "ip", "t", "ports", "{ udp . 53 : accept }"])
    found = there(kernel)
    assert (found.sets["marks"], found.sets["ranges"]) == (Set("marks", ()), Set("ranges", ()))
    assert found.chains["h"] != Chain("h", Hook("filter", "input", 0))
    assert found.elements["ports"]["udp", 53].verdict not in (None, Verdict("drop"))


def test_tables_of_others_are_not_listed(node: Netns, kernel: Nftables) -> None:
    before = there(kernel)
    for table in ("ip u", "ip6 t", "inet t"):
        body = "chain x { drop; }\nset s { type inet_service; }"
        node.run(["nft", "-f", "-"], stdin=f"table {table} {{\n{body}\n}}\n")
    assert there(kernel) == before
