"""Names, frontends read back from a table, announcements, options: what the datapath's small parts say."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from testbed.datapaths.nftables import datapath, names
from testbed.datapaths.nftables.alarm import tells
from testbed.datapaths.nftables.netlink.requests import (
    DELETE_CHAIN,
    DELETE_ELEMENTS,
    DELETE_RULE,
    DELETE_TABLE,
    NEW_TABLE,
    SUBSYSTEM,
)
from testbed.datapaths.nftables.observe import frontends
from testbed.datapaths.nftables.render import contents
from testbed.datapaths.nftables.settings import Settings
from testbed.datapaths.nftables.spelling import duration
from testbed.errors import UsageError
from testbed.machine.netlink import GENERIC, message, text
from testbed.proxier.plan import Endpoint, Family, Protocol, ServiceKey
from tests.contract import wanted
from tests.unit.datapaths import golden_cases

KEY = ServiceKey("default", "clusterip", "http", Protocol.TCP, Family.IPV4)
LONG = ServiceKey("n" * 63, "s" * 63, "p" * 63, Protocol.SCTP, Family.IPV6)


def test_a_name_is_a_hash_and_what_it_stands_for() -> None:
    assert names.base(KEY) == "MCOWACZE-default/clusterip/tcp/http"


def test_an_endpoint_s_name_has_dots_for_colons() -> None:
    end = Endpoint(ip_address("fd00::5"), 8080, local=False)
    assert names.endpoint_base(names.text(KEY), end).endswith("-default/clusterip/tcp/http__fd00..5/8080")


def test_a_service_port_s_name_is_never_cut() -> None:
    assert len(names.base(LONG)) == 8 + 1 + 3 * 63 + len("///sctp")


def test_an_endpoint_s_name_is_cut_where_it_is_too_long() -> None:
    end = Endpoint(ip_address("fd00:1111:2222:3333:4444:5555:6666:7777"), 65535, local=False)
    name = names.endpoint_base(names.text(LONG), end)
    assert len(name) == names.LONGEST
    assert name.endswith("...")


@pytest.mark.parametrize(
    ("chain", "key"),
    [
        (f"service-{names.base(KEY)}", "default/clusterip:http"),
        (f"external-{names.base(KEY._replace(port=''))}", "default/clusterip"),
        (f"local-{names.base(KEY._replace(namespace='a-b-c'))}", "a-b-c/clusterip:http"),
        ("services", ""),
        ("mine/of/two", ""),
    ],
)
def test_a_chain_s_name_tells_its_service_port(chain: str, key: str) -> None:
    assert names.told(chain) == key


@pytest.mark.parametrize("case", golden_cases.CASES)
def test_a_table_read_back_has_the_plan_s_frontends(case: str) -> None:
    plan = golden_cases.plan(case)
    tables = [contents(plan, Settings(family, plan.facts)) for family in Family]
    found = sorted((each for table in tables for each in frontends(table)), key=repr)
    assert tuple(found) == wanted.frontends(plan, "nftables")


@pytest.mark.parametrize(
    ("seconds", "told"), [(10800, "3h"), (600, "10m"), (86399, "23h59m59s"), (86400, "1d"), (1, "1s")]
)
def test_a_time_is_told_as_nft_tells_it(seconds: int, told: str) -> None:
    assert duration(seconds) == told


def announced(verb: int, table: str, *more: bytes) -> bytes:
    body = GENERIC.pack(socket.AF_INET, 0, 0) + text(1, table) + b"".join(more)
    return message(SUBSYSTEM | verb, 0, body)


@pytest.mark.parametrize(
    ("heard", "rings"),
    [
        (announced(DELETE_TABLE, "kube-proxy"), True),
        (announced(DELETE_TABLE, "filter"), False),
        (announced(NEW_TABLE, "kube-proxy"), False),
        (announced(DELETE_CHAIN, "kube-proxy", text(3, "services")), True),
        (announced(DELETE_CHAIN, "kube-proxy", text(3, f"service-{names.base(KEY)}")), False),
        (announced(DELETE_CHAIN, "filter", text(3, "services")), False),
        (announced(DELETE_RULE, "kube-proxy", text(2, "nat-output")), True),
        (announced(DELETE_RULE, "kube-proxy", text(2, f"service-{names.base(KEY)}")), False),
        (announced(DELETE_ELEMENTS, "kube-proxy", text(2, "service-ips")), False),
        (announced(DELETE_TABLE, "filter") + announced(DELETE_TABLE, "kube-proxy"), True),
    ],
)
def test_what_rings_the_alarm(heard: bytes, rings: bool) -> None:
    assert tells(heard) is rings


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"variant": "nft"}, "nftables: no option variant; there is: masqueradeBit"),
        ({"masqueradeBit": 32}, "nftables: no masqueradeBit 32; a packet's mark has the bits 0 to 31"),
        ({"masqueradeBit": "14"}, "nftables: no masqueradeBit '14'; a packet's mark has the bits 0 to 31"),
    ],
)
def test_options_that_are_none(options: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=f"^{told}$"):
        datapath(options)


def test_another_bit_is_in_all_rules_that_mark() -> None:
    rendered = datapath({"masqueradeBit": 31}).render(golden_cases.plan("node-port"))
    assert "0x00004000" not in rendered
    assert "meta mark & 0x80000000 != 0x00000000 meta mark set meta mark ^ 0x80000000" in rendered
