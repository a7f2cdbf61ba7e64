"""The IPVS datapath on a kernel that has IPVS: the real kube-proxy's dump, others' servers, flushes, who leaves.

`test_ipvs_in_guest.py` runs these in a User Mode Linux, whatever this machine's own kernel has.
"""

from __future__ import annotations

import contextlib
import copy
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testbed.datapaths.ipvs import CHOICES, datapath, tables
from testbed.datapaths.ipvs.datapath import IpvsDatapath
from testbed.datapaths.ipvs.options import SCHEDULERS
from testbed.errors import KernelStateError
from testbed.machine.features import ThisMachine
from testbed.machine.netns import Netns
from testbed.proxier.proxier import Proxier, node_plan
from testbed.proxier.proxier import Settings as ProxierSettings
from tests.namespaces import fresh_namespace
from tests.require import require
from tests.unit.datapaths import dumps, golden_cases
from tests.unit.datapaths.ipvs import listing
from tests.unit.proxier.objects import FACTS, Object, endpoint, endpoint_slice, service
from tests.waiting import until

NODE_IP = "10.99.0.2"
PROGRAMS = {
    "ipvsadm -Sn": ["ipvsadm", "-Sn"],
    "ipset save": ["ipset", "save"],
    "kube-ipvs0": ["ip", "-br", "address", "show", "kube-ipvs0"],
}


@pytest.fixture(params=CHOICES, ids=lambda options: options["variant"])
def variant(request: pytest.FixtureRequest) -> str:
    """Each variant of iptables that this machine has."""
    found: str = request.param["variant"]
    require(*(missing.feature for missing in datapath({"variant": found}).missing(ThisMachine())))
    return found


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Netns]:
    """The node of the dumps."""
    with fresh_namespace(tmp_path) as made:
        made.run(["ip", "link", "set", "lo", "up"])
        made.run(["ip", "address", "add", f"{NODE_IP}/24", "dev", "lo"])
        yield made


@pytest.fixture
def target(variant: str) -> IpvsDatapath:
    """The datapath that a test is about."""
    return datapath({"variant": variant})


def held(node: Netns, variant: str, part: str) -> list[str]:
    """What the node's kernel holds, by the programs that operators use."""
    if part not in PROGRAMS:
        tool, _, verb = part.partition("-")
        return listing.comparable(node.run([f"{tool}-{variant}-{verb}"]).stdout)
    text = node.run(PROGRAMS[part]).stdout
    return listing.comparable("\n".join(text.split()[2:]) if part == "kube-ipvs0" else text)


def everything(node: Netns, variant: str) -> dict[str, list[str]]:
    """All parts."""
    return {part: held(node, variant, part) for part in listing.PARTS}


def rules(node: Netns, variant: str) -> tables.Tables:
    """The IPv4 rules in their order."""
    return tables.parse(node.run([f"iptables-{variant}-save"]).stdout)


def test_the_kernel_holds_what_the_real_kube_proxy_put_there(node: Netns, target: IpvsDatapath) -> None:
    target.apply(node, dumps.plan(), None)
    variant = target.options.variant
    assert everything(node, variant) == {part: listing.dump(part) for part in listing.PARTS}
    assert rules(node, variant) == tables.parse((listing.FOLDER / "iptables-save.txt").read_text())


def test_a_second_full_pass_finds_nothing_to_mend(node: Netns, target: IpvsDatapath) -> None:
    target.apply(node, dumps.plan(), None)
    assert target.apply(node, dumps.plan(), None).lines == 0


def test_a_new_agent_finds_nothing_to_mend(node: Netns, target: IpvsDatapath, variant: str) -> None:
    target.apply(node, dumps.plan(), None)
    assert datapath({"variant": variant}).apply(node, dumps.plan(), None).lines == 0


def settings(node: Netns, *names: str) -> dict[str, str]:
    """The node's settings."""
    lines = node.run(["sysctl", *names]).stdout.splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


ARP = ("net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.all.arp_announce")
IPVS = ("net.ipv4.vs.conntrack", "net.ipv4.vs.expire_nodest_conn", "net.ipv4.vs.expire_quiescent_template")


@pytest.mark.parametrize(("strict", "arp"), [(False, ["0", "0"]), (True, ["1", "2"])])
def test_settings_are_made_and_put_back(node: Netns, variant: str, strict: bool, arp: list[str]) -> None:
    target = datapath({"variant": variant, "strictARP": strict})
    before = settings(node, *ARP, *IPVS)
    target.apply(node, dumps.plan(), None)
    assert list(settings(node, *ARP).values()) == arp
    assert set(settings(node, *IPVS).values()) == {"1"}
    target.remove(node)
    assert settings(node, *ARP, *IPVS) == before


def test_timeouts_are_those_that_ipvsadm_shows(node: Netns, variant: str) -> None:
    told = {"tcpTimeout": "1000s", "udpTimeout": "2m"}
    datapath({"variant": variant, **told}).apply(node, dumps.plan(), None)
    assert "1000 120 120" in node.run(["ipvsadm", "-l", "--timeout"]).stdout


@pytest.mark.parametrize("scheduler", ["rr", "mh", "sh", "lblcr"])
def test_what_is_shown_is_what_ipvsadm_prints(node: Netns, variant: str, scheduler: str) -> None:
    target = datapath({"variant": variant, "scheduler": scheduler})
    target.apply(node, golden_cases.plan("dual-stack"), None)
    node.run(["ipvsadm", "-A", "-t", "192.0.2.200:80", "-s", "sh", "-b", "sh-port", "-p", "60"])
    shown = target.show(node)
    assert shown.startswith(node.run(["ipvsadm", "-ln"]).stdout)
    assert f"TCP  10.96.0.10:80 {scheduler}" in shown


FOREIGN = ["-A -t 192.0.2.200:80 -s wlc", "-A -f 7 -s rr"]


def test_others_virtual_servers_and_sets_stay(node: Netns, target: IpvsDatapath) -> None:
    for line in FOREIGN:
        node.run(["ipvsadm", *line.split()])
    node.run(["ipset", "create", "mine", "hash:ip"])
    node.run(["ip", "link", "add", "mine0", "type", "dummy"])
    before = everything_else(node)
    target.apply(node, dumps.plan(), None)
    target.apply(node, golden_cases.plan("cluster-ip"), None)
    assert set(FOREIGN) <= set(held(node, target.options.variant, "ipvsadm -Sn"))
    target.remove(node)
    assert everything_else(node) == before


def everything_else(node: Netns) -> list[str]:
    """What there is on a node besides rules."""
    texts = [
        node.run(argv).stdout for argv in (["ipvsadm", "-Sn"], ["ipset", "save"], ["ip", "-br", "address"])
    ]
    return [line for text in texts for line in listing.comparable(text)]


def test_an_excluded_virtual_server_stays_though_it_stands_on_our_address(node: Netns, variant: str) -> None:
    target = datapath({"variant": variant, "excludeCIDRs": ["10.96.0.0/30"]})
    target.apply(node, dumps.plan(), None)
    for address in ("10.96.0.1", "10.96.0.10"):
        node.run(["ipvsadm", "-A", "-t", f"{address}:9999"])
    target.apply(node, dumps.plan(), None)
    stayed = [line for line in held(node, variant, "ipvsadm -Sn") if ":9999" in line]
    assert stayed == ["-A -t 10.96.0.1:9999 -s wlc"]


def test_what_an_earlier_run_left_goes_with_the_first_pass(node: Netns, target: IpvsDatapath) -> None:
    target.apply(node, dumps.plan(), None)
    variant = target.options.variant
    datapath({"variant": variant}).apply(node, golden_cases.plan("cluster-ip"), None)
    servers = held(node, variant, "ipvsadm -Sn")
    assert [line for line in servers if line.startswith("-A")] == ["-A -t 10.96.0.10:80 -s rr"]
    assert held(node, variant, "kube-ipvs0") == ["10.96.0.10/32"]


FLUSHES = {
    "ipvsadm -C": ["ipvsadm", "-C"],
    "a set": ["ipset", "flush", "KUBE-CLUSTER-IP"],
    "nat": ["iptables-{}", "-t", "nat", "-F"],
    "filter": ["iptables-{}", "-F"],
    "the device": ["ip", "link", "delete", "kube-ipvs0"],
    "the node's address": ["ip", "address", "delete", f"{NODE_IP}/24", "dev", "lo"],
}


@pytest.mark.parametrize("flush", FLUSHES.values(), ids=FLUSHES)
def test_a_flush_is_seen_and_mended(node: Netns, target: IpvsDatapath, flush: list[str]) -> None:
    target.apply(node, dumps.plan(), None)
    variant = target.options.variant
    before = everything(node, variant)
    assert target.intact(node)
    node.run([word.format(variant) for word in flush])
    assert not target.intact(node)
    if "address" in flush:
        node.run(["ip", "address", "add", f"{NODE_IP}/24", "dev", "lo"])
    target.apply(node, dumps.plan(), None)
    assert target.intact(node)
    assert everything(node, variant) == before


def test_the_kernel_tells_of_addresses_and_of_the_device(node: Netns, target: IpvsDatapath) -> None:
    alarm = target.alarm(node)
    assert alarm is not None
    with contextlib.closing(alarm):
        target.apply(node, dumps.plan(), None)
        target.apply(node, golden_cases.plan("cluster-ip"), None)
        assert not alarm.rang()  # our own work
        node.run(["ip", "address", "add", "10.99.7.7/24", "dev", "lo"])
        assert alarm.rang()
        node.run(["ip", "link", "delete", "kube-ipvs0"])
        assert alarm.rang()


def test_a_node_port_answers_at_each_address_of_the_node(node: Netns, target: IpvsDatapath) -> None:
    node.run(["ip", "address", "add", "10.99.7.7/24", "dev", "lo"])
    target.apply(node, golden_cases.plan("node-port"), None)
    lines = held(node, target.options.variant, "ipvsadm -Sn")
    there = {line.split()[2] for line in lines if line.startswith("-A")}
    assert there == {"10.96.0.10:80", f"{NODE_IP}:30080", "10.99.7.7:30080"}


def test_who_refuses_is_named(node: Netns, target: IpvsDatapath) -> None:
    node.run(["ipset", "create", "KUBE-CLUSTER-IP", "hash:ip"])
    with pytest.raises(KernelStateError, match="ipset KUBE-CLUSTER-IP 10.96.0.10,tcp:80"):
        target.apply(node, golden_cases.plan("cluster-ip"), None)


def stepped(target: IpvsDatapath, node: Netns, proxier: Proxier, *changes: Any) -> bool:
    """Apply a delta; True if it became a full pass."""
    delta = proxier.update(changes)
    return target.apply(node, proxier.plan, delta).full


def test_a_delta_that_the_kernel_refuses_becomes_a_full_pass(node: Netns, target: IpvsDatapath) -> None:
    slice_ = endpoint_slice([endpoint("10.244.1.5")])
    proxier = Proxier(FACTS, {})
    proxier.update([("Service", None, service()), ("EndpointSlice", None, slice_)])
    target.apply(node, proxier.plan, None)
    node.run(["ipvsadm", "-D", "-t", "10.96.0.10:80"])
    more = endpoint_slice([endpoint("10.244.1.5"), endpoint("10.244.1.6")])
    assert stepped(target, node, proxier, ("EndpointSlice", slice_, more))
    (frontend,) = target.observe(node).frontends
    assert frontend.endpoints == ("10.244.1.5:8080", "10.244.1.6:8080")


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_service_s_scheduler_and_weights_change_by_deltas(
    node: Netns, target: IpvsDatapath, scheduler: str
) -> None:
    """By SET_SERVICE and SET_DEST, so that connections stay."""
    objects = service(), endpoint_slice([endpoint("10.244.1.5"), endpoint("10.244.1.6")])
    chosen, weighed = copy.deepcopy(objects)
    chosen["metadata"]["annotations"] = {"testbed.dev/ipvs-scheduler": scheduler}
    weighed["metadata"]["annotations"] = {"testbed.dev/weights": "10.244.1.5=3,10.244.1.6=0"}
    proxier = Proxier(FACTS, {})
    proxier.update([(each["kind"], None, each) for each in objects])
    target.apply(node, proxier.plan, None)
    steps = [("Service", objects[0], chosen), ("EndpointSlice", objects[1], weighed)]
    assert not any(stepped(target, node, proxier, step) for step in steps)
    flags = " -b mh-port" if scheduler == "mh" else ""
    assert held(node, target.options.variant, "ipvsadm -Sn") == [
        f"-A -t 10.96.0.10:80 -s {scheduler}{flags}",
        "-a -t 10.96.0.10:80 -r 10.244.1.5:8080 -m -w 3",
        "-a -t 10.96.0.10:80 -r 10.244.1.6:8080 -m -w 0",
    ]
    assert target.apply(node, proxier.plan, None).lines == 0


# Who leaves: a Service whose endpoint is the node itself, so that connections need no other namespace

OTHER = endpoint("10.244.1.6")


def local(*endpoints: Object) -> Object:
    """The slice of the Service."""
    return endpoint_slice(list(endpoints))


def weights(node: Netns) -> dict[str, str]:
    """The real servers' weights by their addresses."""
    lines = node.run(["ipvsadm", "-Sn"]).stdout.splitlines()
    return {line.split()[4]: line.split()[-1] for line in lines if line.startswith("-a")}


@contextlib.contextmanager
def connected(node: Netns) -> Iterator[socket.socket]:
    """A connection to the Service's only endpoint; reset when it is closed, which IPVS forgets after 10 s."""
    with node.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind((NODE_IP, 8080))
        listener.listen()
        with node.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(10.0)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.connect(("10.96.0.10", 80))
            yield client


def test_a_real_server_stays_until_its_connections_have_ended(node: Netns, target: IpvsDatapath) -> None:
    first, then = local(endpoint(NODE_IP)), local(OTHER)
    proxier = Proxier(FACTS, {})
    proxier.update([("Service", None, service()), ("EndpointSlice", None, first)])
    target.apply(node, proxier.plan, None)
    with connected(node):
        assert not stepped(target, node, proxier, ("EndpointSlice", first, then))
        assert weights(node) == {f"{NODE_IP}:8080": "0", "10.244.1.6:8080": "1"}
        target.tend(node)
        assert f"{NODE_IP}:8080" in weights(node)
        (frontend,) = target.observe(node).frontends
        assert frontend.endpoints == ("10.244.1.6:8080",)

    def gone() -> bool:
        target.tend(node)
        return weights(node) == {"10.244.1.6:8080": "1"}

    until(gone, "the last connection to end", 20.0)


def test_a_full_pass_waits_for_connections_as_well(node: Netns, target: IpvsDatapath, variant: str) -> None:
    first, then = ([service(), local(each)] for each in (endpoint(NODE_IP), OTHER))
    target.apply(node, node_plan(FACTS, ProxierSettings(), first[:1], first[1:]), None)
    with connected(node):
        again = datapath({"variant": variant})  # knows of nothing
        again.apply(node, node_plan(FACTS, ProxierSettings(), then[:1], then[1:]), None)
        assert weights(node) == {f"{NODE_IP}:8080": "0", "10.244.1.6:8080": "1"}
        again.apply(node, node_plan(FACTS, ProxierSettings(), first[:1], first[1:]), None)
        assert weights(node) == {f"{NODE_IP}:8080": "1"}  # it came back, and the other had no connections


def test_an_endpoint_that_comes_back_gets_its_weight_again(node: Netns, target: IpvsDatapath) -> None:
    first, then = local(endpoint(NODE_IP)), local(OTHER)
    proxier = Proxier(FACTS, {})
    proxier.update([("Service", None, service()), ("EndpointSlice", None, first)])
    target.apply(node, proxier.plan, None)
    with connected(node):
        assert not stepped(target, node, proxier, ("EndpointSlice", first, then))
        assert not stepped(target, node, proxier, ("EndpointSlice", then, first))
        assert weights(node) == {f"{NODE_IP}:8080": "1"}
        target.tend(node)
        assert weights(node) == {f"{NODE_IP}:8080": "1"}


def test_removal_waits_for_nobody(node: Netns, target: IpvsDatapath) -> None:
    first = [service(), local(endpoint(NODE_IP))]
    target.apply(node, node_plan(FACTS, ProxierSettings(), first[:1], first[1:]), None)
    with connected(node):
        target.remove(node)
        assert node.run(["ipvsadm", "-Sn"]).stdout == ""
        assert not target.present(node)


def test_it_is_present_in_its_own_variant_only(node: Netns, variant: str) -> None:
    every = [datapath(options) for options in CHOICES]
    assert not any(each.present(node) for each in every)
    datapath({"variant": variant}).apply(node, golden_cases.plan("cluster-ip"), None)
    assert [each.options.variant for each in every if each.present(node)] == [variant]


def test_a_delta_finds_addresses_that_the_node_has_got_since(node: Netns, target: IpvsDatapath) -> None:
    """Nobody need have looked meanwhile."""
    proxier = Proxier(FACTS, {})
    target.apply(node, proxier.plan, None)
    node.run(["ip", "address", "add", "10.99.7.7/32", "dev", "lo"])
    new = service(type="NodePort", ports=golden_cases.NODE_PORT)
    assert stepped(target, node, proxier, ("Service", None, new))
    lines = held(node, target.options.variant, "ipvsadm -Sn")
    assert "-A -t 10.99.7.7:30080 -s rr" in lines
    assert not stepped(target, node, proxier, ("Service", new, None))
