"""The nftables datapath on a real kernel's tables: the real kube-proxy's dump, damage, others' tables, alarms."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from testbed.datapaths.contract import Alarm
from testbed.datapaths.nftables import datapath
from testbed.datapaths.nftables.datapath import NftablesDatapath
from testbed.errors import KernelStateError
from testbed.machine.netns import Netns
from testbed.proxier.plan import NodePlan
from testbed.proxier.proxier import Proxier, Settings
from tests.namespaces import fresh_namespace
from tests.require import require
from tests.unit.datapaths import dumps, golden_cases
from tests.unit.datapaths.nftables.listing import Listing, parsed
from tests.unit.proxier.objects import FACTS, endpoint, endpoint_slice, service

CLUSTER_IP = "service-MCOWACZE-default/clusterip/tcp/http"
AFFINITY = "affinity-G6JDV44S-default/affinity/tcp/http__10.244.0.11/8080"
NODE_PORTS = Settings(node_port_ranges=(ip_network("10.99.0.2"),))

DAMAGE: Mapping[str, str] = {
    "all-rules-flushed": "flush table ip kube-proxy",
    "a-table-gone": "delete table ip6 kube-proxy",
    "both-tables-gone": "flush ruleset",
    "a-service-s-chain-flushed": f"flush chain ip kube-proxy {CLUSTER_IP}",
    "a-shared-chain-flushed": "flush chain ip kube-proxy services",
    "a-base-chain-gone": "delete chain ip6 kube-proxy nat-output",
    "a-base-chain-at-another-place": """
        delete chain ip6 kube-proxy nat-output
        add chain ip6 kube-proxy nat-output { type nat hook output priority 5; }""",
    "a-policy-changed": "chain ip kube-proxy filter-input { policy drop; }",
    "the-table-asleep": "add table ip kube-proxy { flags dormant; }",
    "a-stranger-s-rule": "insert rule ip kube-proxy services ip saddr 203.0.113.7 accept",
    "a-rule-twice": f"add rule ip kube-proxy {CLUSTER_IP} meta l4proto tcp dnat to 10.244.0.11:8080",
    "elements-gone": "flush map ip kube-proxy service-ips",
    "an-element-gone": "delete element ip kube-proxy cluster-ips { 10.96.0.10 }",
    "an-element-too-many": "add element ip kube-proxy nodeport-ips { 203.0.113.7 }",
    "a-verdict-changed": f"""
        delete element ip kube-proxy service-ips {{ 10.96.0.11 . tcp . 80 }}
        add element ip kube-proxy service-ips {{ 10.96.0.11 . tcp . 80 : goto {CLUSTER_IP} }}""",
    "a-stale-service-left": """
        add chain ip kube-proxy service-AAAAAAAA-default/gone/tcp/
        add rule ip kube-proxy service-AAAAAAAA-default/gone/tcp/ meta l4proto tcp dnat to 10.244.0.99:80
        add element ip kube-proxy service-ips {
            10.96.0.99 . tcp . 80 : goto service-AAAAAAAA-default/gone/tcp/ }""",
    "stale-affinity-left": """
        add set ip kube-proxy affinity-gone { type ipv4_addr; flags dynamic,timeout; timeout 1h; }""",
    "a-set-of-another-type": """
        flush chain ip6 kube-proxy cluster-ips-check
        flush chain ip6 kube-proxy services
        delete set ip6 kube-proxy cluster-ips
        add set ip6 kube-proxy cluster-ips { type inet_service; }
        add element ip6 kube-proxy cluster-ips { 80 }""",
}  # fmt: skip

NOTICED = (
    "all-rules-flushed",
    "a-table-gone",
    "both-tables-gone",
    "a-shared-chain-flushed",
    "a-base-chain-gone",
)
"""What a quick look finds, and what rings the alarm."""

OTHERS = """
table inet filter {
    chain input { type filter hook input priority 0; policy accept; ip saddr 203.0.113.7 drop; }
}
table ip nat {
    chain post { type nat hook postrouting priority 100; oifname "eth0" masquerade; }
}
table ip kube-proxy-of-mine {
    set s { type ipv4_addr; elements = { 10.0.0.1 }; }
}
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Netns]:
    """A fresh network namespace as a node."""
    require("nftables")
    with fresh_namespace(tmp_path) as made:
        yield made


@dataclass(frozen=True)
class Programmed:
    """A node that the real kube-proxy's objects are programmed on."""

    node: Netns
    datapath: NftablesDatapath
    plan: NodePlan


@pytest.fixture
def programmed(node: Netns) -> Programmed:
    """Programmed once."""
    made = Programmed(node, datapath({}), dumps.plan(NODE_PORTS))
    made.datapath.apply(node, made.plan, None)
    return made


def nft(node: Netns, text: str) -> None:
    """Do something to a node behind our back."""
    node.run(["nft", "-f", "-"], stdin=text)


def held(node: Netns) -> Listing:
    """What the node's kernel holds, by nft(8)."""
    return parsed(node.run(["nft", "list", "ruleset"]).stdout)


def test_the_kernel_holds_what_the_real_kube_proxy_put_there(programmed: Programmed) -> None:
    dump = parsed((dumps.FOLDER / "nftables/nft-ruleset.txt").read_text())
    assert held(programmed.node) == dump


@pytest.mark.parametrize("case", golden_cases.CASES)
def test_the_rendered_text_is_what_the_kernel_holds(node: Netns, case: str) -> None:
    target, plan = datapath({}), golden_cases.plan(case)
    target.apply(node, plan, None)
    assert parsed(target.show(node)) == parsed(target.render(plan))


def test_a_full_pass_of_another_run_finds_nothing_to_mend(programmed: Programmed) -> None:
    assert datapath({}).apply(programmed.node, programmed.plan, None).lines == 0


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_full_pass_mends(programmed: Programmed, damage: str) -> None:
    whole = held(programmed.node)
    nft(programmed.node, DAMAGE[damage])
    assert held(programmed.node) != whole
    programmed.datapath.apply(programmed.node, programmed.plan, None)
    assert held(programmed.node) == whole


@pytest.mark.parametrize("damage", [*NOTICED, "the-table-asleep"])
def test_a_quick_look_finds(programmed: Programmed, damage: str) -> None:
    assert programmed.datapath.intact(programmed.node)
    nft(programmed.node, DAMAGE[damage])
    assert not programmed.datapath.intact(programmed.node)


@pytest.fixture
def alarm(programmed: Programmed) -> Iterator[Alarm]:
    """An ear for what is done to the node from now on."""
    made = programmed.datapath.alarm(programmed.node)
    assert made is not None
    yield made
    made.close()


@pytest.mark.parametrize("damage", NOTICED)
def test_an_alarm_rings(programmed: Programmed, alarm: Alarm, damage: str) -> None:
    nft(programmed.node, DAMAGE[damage])
    assert alarm.rang()
    assert not alarm.rang()


def test_no_alarm_rings_at_deltas_and_at_others_doings(programmed: Programmed, alarm: Alarm) -> None:
    proxier = Proxier(programmed.plan.facts, {})
    programmed.datapath.apply(programmed.node, proxier.plan, None)
    alarm.rang()
    for change in ((None, service()), (service(), None)):
        delta = proxier.update([("Service", *change)])
        assert not programmed.datapath.apply(programmed.node, proxier.plan, delta).full
    nft(programmed.node, f"{OTHERS}\ndelete table inet filter")
    assert not alarm.rang()


def test_remembered_clients_outlive_a_full_pass_and_a_restart(programmed: Programmed) -> None:
    nft(programmed.node, f"add element ip kube-proxy {AFFINITY} {{ 10.244.1.99 }}\n{DAMAGE['elements-gone']}")
    datapath({}).apply(programmed.node, programmed.plan, None)
    listed = programmed.node.run(["nft", "list", "set", "ip", "kube-proxy", AFFINITY]).stdout
    assert "10.244.1.99" in listed


def test_another_timeout_makes_the_set_anew(programmed: Programmed) -> None:
    """By a full pass; the rules that use the set are written anew with it."""
    services = programmed.plan.services
    longer = {
        key: each._replace(affinity_seconds=1234) if key.name == "affinity" else each
        for key, each in services.items()
    }
    plan = NodePlan(programmed.plan.facts, longer)
    assert programmed.datapath.apply(programmed.node, plan, None).lines
    assert held(programmed.node) == parsed(programmed.datapath.render(plan))


def test_others_tables_are_left_alone(node: Netns) -> None:
    nft(node, OTHERS)
    before = held(node)
    target = datapath({})
    target.apply(node, dumps.plan(), None)
    assert held(node).items() > before.items()
    target.remove(node)
    assert held(node) == before


def test_what_others_table_goes_on_without_is_no_concern(programmed: Programmed) -> None:
    """A full pass that finds the kernel's tables changed while it was read reads again."""
    nft(programmed.node, OTHERS)
    assert programmed.datapath.apply(programmed.node, programmed.plan, None).lines == 0


def test_a_refused_delta_is_mended_by_a_full_pass(programmed: Programmed) -> None:
    """Somebody has taken an element away that the delta would delete."""
    proxier = Proxier(FACTS, {})
    proxier.update(
        [("Service", None, service()), ("EndpointSlice", None, endpoint_slice([endpoint("10.244.1.5")]))]
    )
    programmed.datapath.apply(programmed.node, proxier.plan, None)
    nft(programmed.node, DAMAGE["elements-gone"])
    delta = proxier.update([("Service", service(), None)])
    assert programmed.datapath.apply(programmed.node, proxier.plan, delta).full
    assert held(programmed.node) == parsed(programmed.datapath.render(proxier.plan))


def test_what_the_kernel_refuses_leaves_the_old_state(programmed: Programmed) -> None:
    before = held(programmed.node)
    key, odd = next((key, each) for key, each in programmed.plan.services.items() if key.name == "clusterip")
    route = odd.frontends[0].routes[-1]
    ends = tuple(each._replace(port=1 << 16) for each in route.endpoints)
    routes = (route._replace(endpoints=ends),)
    worse = odd._replace(frontends=(odd.frontends[0]._replace(routes=routes),))
    plan = NodePlan(programmed.plan.facts, {**programmed.plan.services, key: worse})
    with pytest.raises((KernelStateError, OverflowError)):
        programmed.datapath.apply(programmed.node, plan, None)
    assert held(programmed.node) == before


class Narrow:
    """A node whose sockets hold little, as those of an ordinary user."""

    def __init__(self, node: Netns) -> None:
        self.name, self.run, self._node = node.name, node.run, node

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that refuses to be widened by force."""
        return _NarrowSocket(fileno=self._node.socket(family, kind, protocol).detach())


class _NarrowSocket(socket.socket):
    def setsockopt(self, *given: object) -> None:  # type: ignore[override]
        if given[:2] == (socket.SOL_SOCKET, 32):
            raise PermissionError
        if given[:2] == (socket.SOL_SOCKET, socket.SO_SNDBUF):
            given = (*given[:2], 8192)
        super().setsockopt(*given)


def test_a_narrow_socket_takes_it_in_parts(node: Netns) -> None:
    target, plan = datapath({}), dumps.plan(NODE_PORTS)
    target.apply(Narrow(node), plan, None)
    assert held(node) == parsed(target.render(plan))


def test_facts_that_change_are_a_full_pass(programmed: Programmed) -> None:
    plan = NodePlan(replace(programmed.plan.facts, masquerade_all=True), programmed.plan.services)
    proxier = Proxier(programmed.plan.facts, {})
    delta = proxier.update([("Service", None, service())])
    assert programmed.datapath.apply(programmed.node, plan, delta).full
    assert held(programmed.node) == parsed(programmed.datapath.render(plan))
