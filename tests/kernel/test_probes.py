"""Probes across a real router, with and without losses that are known."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import numpy as np
import pytest

from testbed.bench.probes import connect, conntrack, distribution, established, first_packet, self_test
from testbed.bench.probes.crossing import Measured
from testbed.bench.probes.instruments import Instruments
from testbed.bench.probes.path import Endpoint, Settings
from testbed.bench.traffic.background import Load
from testbed.bench.traffic.frames import Headers, distinct_ports
from testbed.bench.worker.client import Worker
from testbed.errors import MeasurementInvalid, UsageError
from testbed.machine import netns
from tests.kernel.routed import (
    GATEWAY,
    PORT,
    SERVICE,
    SERVICE6,
    TARGET,
    Routed,
    open_descriptors,
    routed,
)  # fmt: skip

SERVICES = pytest.mark.parametrize("service", [SERVICE, SERVICE6], ids=["ipv4", "ipv6"])
FAST = Settings(count=1009, rate=20_000, warm_up=101)


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Routed]:
    with routed(tmp_path, servers=2) as network:
        network.service()
        yield network


@pytest.fixture
def tools(net: Routed) -> Iterator[Instruments]:
    with Instruments() as instruments:
        yield instruments


def refuse(net: Routed, ports: list[int], protocol: str = "udp") -> None:
    """Have the router drop what comes from these source ports."""
    rules = [f"-A FORWARD -p {protocol} --sport {port} -j DROP" for port in ports]
    net.rules("\n".join(["*filter", *rules, "COMMIT", ""]))


@contextlib.contextmanager
def listening(net: Routed, version: int) -> Iterator[None]:
    """TCP servers on every server; the kernel alone answers, nobody accepts."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with contextlib.ExitStack() as stack:
        for host, server in enumerate(net.servers, 1):
            listener = stack.enter_context(server.socket(family, socket.SOCK_STREAM))
            listener.bind((net.address(host, version), TARGET))
            listener.listen(4096)
        yield


def check_whole(measured: Measured, settings: Settings) -> None:
    """Every packet was sent, seen at both ends once, and has a time that can be."""
    samples = measured.samples
    counts = (samples.sent, samples.seen_out, samples.matched, samples.unmatched)
    assert counts == (settings.count, settings.count, settings.count, 0)
    assert (samples.duplicates, samples.tap_drops, measured.refused) == (0, 0, 0)
    assert (samples.warm_up, samples.rate) == (settings.warm_up, settings.rate)
    assert samples.achieved_rate > 0
    assert (np.diff(measured.sent_ns) >= 0).all()


@pytest.mark.parametrize("version", [4, 6])
def test_a_prime_number_is_counted_as_itself(net: Routed, tools: Instruments, version: int) -> None:
    assert self_test.prove(net.path(net.address(1, version), TARGET), tools) == 1009


def test_the_proof_fails_when_packets_are_missing(net: Routed, tools: Instruments) -> None:
    refuse(net, distinct_ports(1009, Settings().seed)[:23].tolist())
    with pytest.raises(MeasurementInvalid, match="1009 packets sent, 1009 seen out, 986 seen in"):
        self_test.prove(net.path(net.address(1), TARGET), tools)


def test_the_proof_fails_when_packets_are_seen_twice(net: Routed, tools: Instruments) -> None:
    path = net.path(net.address(1), TARGET)
    on_the_way = Endpoint("router", "veth0", net.address(1))
    with pytest.raises(MeasurementInvalid, match="1009 seen in, 1009 seen again"):
        self_test.prove(dataclasses.replace(path, endpoints=(*path.endpoints, on_the_way)), tools)


@SERVICES
def test_first_packets(net: Routed, tools: Instruments, service: str) -> None:
    measured = first_packet.measure(net.path(service, PORT), FAST, tools)
    check_whole(measured, FAST)
    assert (measured.samples.values > 0).all()
    assert set(measured.samples.endpoint.tolist()) == {0, 1}


def test_first_packets_by_crafted_syns(net: Routed, tools: Instruments) -> None:
    with listening(net, 4):
        measured = first_packet.measure(net.path(SERVICE, PORT, "TCP"), FAST, tools)
    check_whole(measured, FAST)


def test_each_first_packet_is_a_connection_of_its_own(net: Routed, tools: Instruments) -> None:
    first_packet.measure(net.path(SERVICE, PORT), FAST, tools)
    before = tracked(net)
    conntrack.flush(net.router)
    assert (before, tracked(net)) == (FAST.total, 0)


def tracked(net: Routed) -> int:
    """How many UDP connections to the service the router remembers."""
    listed = net.router.run(["conntrack", "-L", "-p", "udp", "--orig-dst", SERVICE])
    return len(listed.stdout.splitlines())


def test_losses_are_unmatched_and_no_others(net: Routed, tools: Instruments) -> None:
    ports = distinct_ports(FAST.total, FAST.seed)
    lost = ports[FAST.warm_up : FAST.warm_up + 23].tolist()
    refuse(net, lost)
    measured = first_packet.measure(net.path(SERVICE, PORT), FAST, tools)
    samples = measured.samples
    assert (samples.sent, samples.seen_out, samples.matched, samples.unmatched) == (1009, 1009, 986, 23)
    assert len(samples.values) == len(samples.endpoint) == len(measured.sent_ns) == 986


def test_losses_in_the_warm_up_are_not_counted(net: Routed, tools: Instruments) -> None:
    refuse(net, distinct_ports(FAST.total, FAST.seed)[:23].tolist())
    check_whole(first_packet.measure(net.path(SERVICE, PORT), FAST, tools), FAST)


def test_an_unreachable_service_is_all_unmatched(net: Routed, tools: Instruments) -> None:
    settings = dataclasses.replace(FAST, count=23, warm_up=0)
    samples = first_packet.measure(net.path("10.96.0.99", PORT), settings, tools).samples
    assert (samples.sent, samples.seen_out, samples.matched, samples.unmatched) == (23, 23, 0, 23)
    assert len(samples.values) == 0


@SERVICES
@pytest.mark.parametrize("flows", [1, 7])
def test_established_flows(net: Routed, tools: Instruments, service: str, flows: int) -> None:
    settings = dataclasses.replace(FAST, flows=flows)
    measured = established.measure(net.path(service, PORT), settings, tools)
    check_whole(measured, settings)
    turns = measured.samples.endpoint
    assert (turns[flows:] == turns[:-flows]).all()  # a flow stays where it went first


def test_an_established_flow_has_been_answered(net: Routed, tools: Instruments) -> None:
    established.measure(net.path(SERVICE, PORT), dataclasses.replace(FAST, flows=7), tools)
    listed = net.router.run(["conntrack", "-L", "-p", "udp", "--orig-dst", SERVICE]).stdout.splitlines()
    assert len(listed) == 7
    assert not any("UNREPLIED" in line for line in listed)


def test_an_established_flow_survives_a_rule_that_drops_new_ones(net: Routed, tools: Instruments) -> None:
    established.measure(net.path(SERVICE, PORT), FAST, tools)
    net.rules("*filter\n-A FORWARD -m conntrack --ctstate NEW -j DROP\nCOMMIT\n")
    check_whole(established.measure(net.path(SERVICE, PORT), FAST, tools), FAST)


def test_a_flow_that_cannot_be_opened_is_not_measured(net: Routed, tools: Instruments) -> None:
    net.rules("*filter\n-A FORWARD -p udp -j DROP\nCOMMIT\n")
    with pytest.raises(MeasurementInvalid, match="0 of 16 flows"):
        established.measure(net.path(SERVICE, PORT), FAST, tools)


def test_a_flow_without_answer_is_not_measured(net: Routed, tools: Instruments) -> None:
    net.rules(f"*filter\n-A FORWARD -p udp --sport {TARGET} -j DROP\nCOMMIT\n")
    with pytest.raises(MeasurementInvalid, match="0 replies"):
        established.measure(net.path(SERVICE, PORT), FAST, tools)


@SERVICES
def test_connections(net: Routed, tools: Instruments, service: str) -> None:
    settings = dataclasses.replace(FAST, rate=4000)
    with listening(net, ip_address(service).version):
        measured = connect.measure(net.path(service, PORT, "TCP"), settings, tools)
    check_whole(measured, settings)
    assert (measured.samples.values > 0).all()
    assert set(measured.samples.endpoint.tolist()) == {0, 1}


def test_connections_leave_nothing_behind(net: Routed, tools: Instruments) -> None:
    before = open_descriptors()
    settings = Settings(count=101, rate=2000, warm_up=0)
    with listening(net, 4):
        connect.measure(net.path(SERVICE, PORT, "TCP"), settings, tools)
        kept = net.client.run(["ss", "-Htan"]).stdout
    tools.close()
    assert kept == ""
    assert open_descriptors() == before


def test_connections_that_are_dropped_are_unmatched(net: Routed, tools: Instruments) -> None:
    settings = Settings(count=101, rate=2000, warm_up=0)
    refuse(net, distinct_ports(101, settings.seed)[:23].tolist(), "tcp")
    with listening(net, 4):
        samples = connect.measure(net.path(SERVICE, PORT, "TCP"), settings, tools).samples
    assert (samples.sent, samples.seen_out, samples.matched, samples.unmatched) == (101, 101, 78, 23)


def test_refused_connections_are_unmatched(net: Routed, tools: Instruments) -> None:
    settings = Settings(count=23, rate=2000, warm_up=0)
    samples = connect.measure(net.path(SERVICE, PORT, "TCP"), settings, tools).samples
    assert (samples.seen_out, samples.matched, samples.unmatched) == (23, 0, 23)


def test_connections_skip_a_port_in_use(net: Routed, tools: Instruments) -> None:
    settings = Settings(count=23, rate=2000, warm_up=0)
    with net.client.socket(socket.AF_INET, socket.SOCK_STREAM) as holder, listening(net, 4):
        holder.bind((net.address(0), int(distinct_ports(1, settings.seed)[0])))
        check_whole(connect.measure(net.path(SERVICE, PORT, "TCP"), settings, tools), settings)


def test_distribution_counts_every_flow(net: Routed, tools: Instruments) -> None:
    samples = distribution.measure(net.path(SERVICE, PORT), FAST, tools).samples
    assert (samples.probe, samples.unit, samples.endpoint.size) == ("distribution", "packets", 0)
    assert samples.values.shape == (2,)
    assert samples.values.sum() == samples.matched == 1009
    assert (samples.values > 300).all()  # even odds: 504 ± 16


def test_distribution_shows_an_endpoint_that_gets_nothing(net: Routed, tools: Instruments) -> None:
    samples = distribution.measure(net.path(net.address(2), TARGET), FAST, tools).samples
    assert samples.values.tolist() == [0, 1009]


@pytest.mark.parametrize(("probe", "protocol"), [(established, "TCP"), (connect, "UDP")])
def test_a_probe_refuses_the_wrong_protocol(
    net: Routed, tools: Instruments, probe: type, protocol: str
) -> None:
    with pytest.raises(UsageError, match=protocol):
        probe.measure(net.path(SERVICE, PORT, protocol), FAST, tools)


def test_a_served_port_cannot_be_a_sink(net: Routed, tools: Instruments) -> None:
    with net.servers[0].socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((net.address(1), TARGET))
        with pytest.raises(MeasurementInvalid, match="a process serves it"):
            first_packet.measure(net.path(SERVICE, PORT), FAST, tools)


def test_instruments_are_kept_and_grow(net: Routed) -> None:
    with Instruments() as tools:
        first = tools.tap(net.client, "eth0", 100, outgoing=True)
        assert tools.tap(net.client, "eth0", 50, outgoing=True) is first
        assert tools.tap(net.client, "eth0", 5000, outgoing=True).capacity >= 5000


def test_a_namespace_made_anew_gets_new_instruments(net: Routed, tmp_path: Path) -> None:
    before = open_descriptors()
    with Instruments() as tools:
        for _ in range(2):
            made = netns.create(["again"], folder=tmp_path)[0]
            sender = tools.sender(made, "lo")
            netns.delete(made)
        assert sender.mac == "00:00:00:00:00:00"
        assert open_descriptors() == before + 1  # the first sender is closed
    assert open_descriptors() == before


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker(cpu=min(os.sched_getaffinity(0))) as running:
        yield running


@pytest.mark.parametrize("probe", ["first-packet", "established", "distribution"])
def test_the_worker_measures(net: Routed, worker: Worker, tmp_path: Path, probe: str) -> None:
    measured = worker.measure(probe, net.path(SERVICE, PORT), FAST, tmp_path / "raw.npz")
    check_whole(measured, FAST)
    assert measured.samples.probe == probe


def test_the_worker_measures_connections_under_load(net: Routed, worker: Worker, tmp_path: Path) -> None:
    headers = Headers("02:00:00:00:00:00", GATEWAY, net.address(0), net.address(2), PORT)
    settings = Settings(count=101, rate=1000, warm_up=11)
    with listening(net, 4):
        worker.start_load(Load("client", "eth0", headers, 2000.0, folder=str(tmp_path)))
        measured = worker.measure("connect", net.path(SERVICE, PORT, "TCP"), settings, tmp_path / "raw.npz")
        report = worker.stop_load()
    assert measured.samples.matched == 101
    assert report.sent > 100


def test_the_worker_proves_itself_and_flushes(net: Routed, worker: Worker, tmp_path: Path) -> None:
    counted = worker.prove(net.path(net.address(1), TARGET))
    worker.measure("first-packet", net.path(SERVICE, PORT), FAST, tmp_path / "raw.npz")
    before = tracked(net)
    worker.flush_conntrack(["router"], tmp_path)
    assert (counted, before, tracked(net)) == (1009, FAST.total, 0)


def test_an_error_keeps_its_kind_across_the_pipe(net: Routed, worker: Worker) -> None:
    refuse(net, distinct_ports(1009, Settings().seed)[:23].tolist())
    with pytest.raises(MeasurementInvalid, match="986 seen in"):
        worker.prove(net.path(net.address(1), TARGET))
    worker.release()
    assert worker.facts()["cpus"] == 1
