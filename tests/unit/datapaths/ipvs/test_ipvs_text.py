"""The text of values: as ipvsadm and ipset write them, and iptables' input that mends and clears."""

from __future__ import annotations

import pytest

from testbed.datapaths.ipvs import show, tables
from testbed.datapaths.ipvs.items import Element, Manner, Server, saved
from testbed.datapaths.ipvs.netlink.genl import RealState
from testbed.datapaths.ipvs.options import Options
from testbed.datapaths.ipvs.rules import CHAINS, JUMPS
from testbed.datapaths.ipvs.service import site_of
from testbed.datapaths.ipvs.sets import KINDS, LONGEST_NAME, NAMES, SOURCE_CIDR, created, name_of
from testbed.datapaths.ipvs.state import wanted
from testbed.datapaths.ipvs.tool import clearing, mending
from testbed.proxier.plan import Family
from tests.unit.datapaths import dumps
from tests.unit.datapaths.ipvs.listing import FOLDER

ONE, SIX = bytes([10, 96, 0, 10]), bytes.fromhex("fd000010009600000000000000000001")
EMPTY: tables.Tables = {"filter": {}, "nat": {}}


@pytest.mark.parametrize(
    ("server", "manner", "lines"),
    [
        (Server(6, ONE, 80), Manner("rr"), ["-A -t 10.96.0.10:80 -s rr"]),
        (Server(17, ONE, 53), Manner("wlc", 1, 600), ["-A -u 10.96.0.10:53 -s wlc -p 600"]),
        (Server(132, ONE, 9), Manner("rr"), ["-A --sctp-service 10.96.0.10:9 -s rr"]),
        (Server(6, SIX, 80), Manner("mh", 0x10), ["-A -t [fd00:10:96::1]:80 -s mh -b mh-port"]),
        (Server(6, ONE, 80), Manner("sh", 0x18), ["-A -t 10.96.0.10:80 -s sh -b sh-fallback,sh-port"]),
    ],
)
def test_virtual_servers_are_written_as_by_ipvsadm(server: Server, manner: Manner, lines: list[str]) -> None:
    assert saved(server, manner, {}) == lines


@pytest.mark.parametrize(
    ("element", "text"),
    [
        (Element("X", Family.IPV4, port=30080), "30080"),
        (Element("X", Family.IPV4, ONE), "10.96.0.10"),
        (Element("X", Family.IPV6, SIX, 17, 53), "fd00:10:96::1,udp:53"),
        (Element("X", Family.IPV4, ONE, 6, 80, ONE), "10.96.0.10,tcp:80,10.96.0.10"),
        (Element("X", Family.IPV4, ONE, 6, 80, bytes(4), 1), "10.96.0.10,tcp:80,0.0.0.0/1"),
        (Element("X", Family.IPV4, ONE, 6, 80, ONE, 32), "10.96.0.10,tcp:80,10.96.0.10"),
    ],
)
def test_elements_are_written_as_by_ipset(element: Element, text: str) -> None:
    assert str(element) == text


def test_names_of_ipv6_sets_are_cut() -> None:
    assert name_of(SOURCE_CIDR, Family.IPV6) == "KUBE-6-LOAD-BALANCER-SOURCE-CID"
    assert len(NAMES) == 2 * len(KINDS) == 34
    assert max(map(len, NAMES)) == LONGEST_NAME


def test_a_bitmap_has_no_family() -> None:
    assert created("NODE-PORT-TCP", Family.IPV6) == "create KUBE-6-NODE-PORT-TCP bitmap:port range 0-65535"


def test_what_is_shown_is_what_ipvsadm_prints() -> None:
    """The dump's own listing, read back from the plan that made it."""
    want = wanted(dumps.plan(), site_of(dumps.plan().facts, Options())).servers
    idle = {
        server: (manner, {real: RealState(weight, 0, 0, 0) for real, weight in reals.items()})
        for server, (manner, reals) in want.items()
    }
    assert (
        list(show.server_lines(("1.2.1", 4096), idle)) == (FOLDER / "ipvsadm-Ln.txt").read_text().splitlines()
    )


def plain() -> tables.Tables:
    """The rules of a node without Services."""
    return tables.parse("\n".join(tables.lines(_wanted())))


def _wanted() -> tables.Tables:
    plan = dumps.plan()
    return wanted(plan, site_of(plan.facts, Options())).books.tables(
        site_of(plan.facts, Options()), Family.IPV4
    )


def test_what_is_right_is_not_touched() -> None:
    assert mending(_wanted(), plain()) == ""


def test_from_nothing_all_chains_and_jumps_are_written() -> None:
    text = mending(_wanted(), EMPTY)
    assert all(f":{chain} - [0:0]" in text for chains in CHAINS.values() for chain in chains)
    jumps = [line for line in text.splitlines() if line.startswith("-I ")]
    assert len(jumps) == sum(len(rules) for table in JUMPS.values() for rules in table.values()) == 9


def test_only_a_damaged_chain_is_written() -> None:
    there = plain()
    there["nat"]["KUBE-SERVICES"].pop()
    text = mending(_wanted(), there)
    assert [line for line in text.splitlines() if line.startswith((":", "*", "-I", "-D"))] == [
        "*nat",
        ":KUBE-SERVICES - [0:0]",
    ]


def test_jumps_out_of_order_are_laid_anew() -> None:
    there = plain()
    there["filter"]["INPUT"].reverse()
    lines = mending(_wanted(), there).splitlines()
    assert [line.split()[0] for line in lines] == ["*filter", *["-D"] * 3, *["-I"] * 3, "COMMIT"]
    assert "KUBE-IPVS-FILTER" in lines[-2]  # the last one to be put on top


def test_clearing_names_nothing_of_others() -> None:
    there = plain()
    there["filter"]["INPUT"].append("-j MINE")
    there["filter"]["MINE"] = ["-j KUBE-OTHER"]
    text = clearing(there)
    assert "MINE" not in text
    assert text.count("-X ") == sum(map(len, CHAINS.values()))
    assert clearing(EMPTY) == ""
