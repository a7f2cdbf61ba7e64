"""Sender, taps and background load on real devices: what was sent is what was seen."""

from __future__ import annotations

import dataclasses
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from testbed.bench.traffic.background import BackgroundLoad, Load
from testbed.bench.traffic.filters import marked
from testbed.bench.traffic.frames import Frames, Headers, build, distinct_ports
from testbed.bench.traffic.pace import SECOND, Pace
from testbed.bench.traffic.sender import Sender
from testbed.bench.traffic.taps import Tap, settle
from testbed.errors import CommandFailed, KernelStateError, MeasurementInvalid
from tests.kernel.routed import GATEWAY, TARGET, Routed, open_descriptors, routed

STREAM = 4711
VERSIONS = pytest.mark.parametrize("version", [4, 6], ids=["ipv4", "ipv6"])


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Routed]:
    with routed(tmp_path) as network:
        yield network


def headers(net: Routed, version: int = 4, protocol: str = "UDP") -> Headers:
    ends = net.address(0, version), net.address(1, version)
    return Headers("02:00:00:00:00:00", GATEWAY, *ends, TARGET, protocol)


def frames(net: Routed, count: int, version: int = 4, protocol: str = "UDP") -> Frames:
    return build(headers(net, version, protocol), STREAM, distinct_ports(count, 1))


@VERSIONS
@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_the_far_end_sees_what_was_sent(net: Routed, version: int, protocol: str) -> None:
    layout = headers(net, version, protocol).layout
    with Tap(net.servers[0], "eth0", 1009, outgoing=False) as tap, Sender(net.client, "eth0") as sender:
        tap.arm(marked(layout, STREAM), 1009)
        sent = sender.send(frames(net, 1009, version, protocol))
        settle(tap.seen, 1009, 0.5)
        captures, drops = tap.read(layout)
    assert (sent.sent, sent.refused, drops) == (1009, 0, 0)
    assert captures["sequence"].tolist() == list(range(1009))
    assert captures["source_port"].tolist() == distinct_ports(1009, 1).tolist()
    assert not captures["outgoing"].any()


def test_both_ends_share_one_clock(net: Routed) -> None:
    layout = headers(net).layout
    with (
        Tap(net.client, "eth0", 500) as near, Tap(net.servers[0], "eth0", 500, outgoing=False) as far,
        Sender(net.client, "eth0") as sender,
    ):  # fmt: skip
        for tap in (near, far):
            tap.arm(marked(layout, STREAM), 500)
        sent = sender.send(frames(net, 500), Pace(5000))
        settle(far.seen, 500, 0.5)
        out, arrived = near.read(layout)[0], far.read(layout)[0]
    assert out["outgoing"].all()
    assert (arrived["time_ns"] > out["time_ns"]).all()
    assert (np.abs(out["time_ns"] - sent.actual_ns) < SECOND).all()


@VERSIONS
def test_checksums_are_right_for_a_real_receiver(net: Routed, version: int) -> None:
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    server = net.servers[0]
    with server.socket(family, socket.SOCK_DGRAM) as receiver, Sender(net.client, "eth0") as sender:
        receiver.bind((net.address(1, version), TARGET))
        receiver.settimeout(5)
        sender.send(frames(net, 23, version))
        received = [receiver.recvfrom(64) for _ in range(23)]
    assert [int.from_bytes(data[8:12], "big") for data, _ in received] == list(range(23))
    assert [peer[1] for _, peer in received] == distinct_ports(23, 1).tolist()


def test_a_full_ring_says_how_many_it_lost(net: Routed) -> None:
    layout = headers(net).layout
    with Tap(net.client, "eth0", 1) as tap, Sender(net.client, "eth0") as sender:
        tap.arm(marked(layout, STREAM), tap.capacity)
        sender.send(frames(net, tap.capacity + 23))
        captures, drops = tap.read(layout)
    assert (len(captures), drops) == (tap.capacity, 23)


def test_a_tap_goes_round_its_ring(net: Routed) -> None:
    layout = headers(net).layout
    with Tap(net.client, "eth0", 1) as tap, Sender(net.client, "eth0") as sender:
        rounds = []
        for _ in range(3):
            tap.arm(marked(layout, STREAM), 199)
            sender.send(frames(net, 199))
            rounds.append(tap.read(layout)[0]["sequence"].tolist())
    assert tap.capacity == 256
    assert rounds == [list(range(199))] * 3


def test_arming_forgets_what_came_before(net: Routed) -> None:
    layout = headers(net).layout
    with Tap(net.client, "eth0", 64) as tap, Sender(net.client, "eth0") as sender:
        tap.arm(marked(layout, STREAM), 64)
        sender.send(frames(net, 7))
        tap.arm(marked(layout, STREAM), 64)
        sender.send(frames(net, 3))
        assert len(tap.read(layout)[0]) == 3


def test_nothing_is_taken_before_arming_nor_of_another_stream(net: Routed) -> None:
    layout = headers(net).layout
    with Tap(net.client, "eth0", 64) as tap, Sender(net.client, "eth0") as sender:
        sender.send(frames(net, 7))
        before = tap.seen()
        tap.arm(marked(layout, STREAM + 1), 64)
        sender.send(frames(net, 7))
        assert (before, tap.seen()) == (0, 0)


def test_a_tap_can_leave_outgoing_frames_out(net: Routed) -> None:
    layout = headers(net).layout
    with Tap(net.client, "eth0", 64, outgoing=False) as tap, Sender(net.client, "eth0") as sender:
        tap.arm(marked(layout, STREAM), 64)
        sender.send(frames(net, 7))
        assert tap.seen() == 0


def test_bypassing_the_qdisc_hides_frames_from_the_near_tap_only(net: Routed) -> None:
    layout = headers(net).layout
    with (
        Tap(net.client, "eth0", 64) as near, Tap(net.servers[0], "eth0", 64, outgoing=False) as far,
        Sender(net.client, "eth0", qdisc_bypass=True) as sender,
    ):  # fmt: skip
        for tap in (near, far):
            tap.arm(marked(layout, STREAM), 64)
        sender.send(frames(net, 23))
        settle(far.seen, 23, 0.5)
        assert (near.seen(), far.seen()) == (0, 23)


def test_asking_more_than_the_ring_holds_is_refused(net: Routed) -> None:
    with Tap(net.client, "eth0", 64) as tap, pytest.raises(MeasurementInvalid, match="room for 256"):
        tap.arm([], 257)


@pytest.mark.parametrize(
    "kind", [Sender, lambda netns, device: Tap(netns, device, 64)], ids=["sender", "tap"]
)
def test_a_device_that_is_not_there(net: Routed, kind: type[Sender]) -> None:
    before = open_descriptors()
    with pytest.raises(KernelStateError, match="eth9 in client"):
        kind(net.client, "eth9")
    assert open_descriptors() == before


def test_pacing_keeps_the_schedule(net: Routed) -> None:
    with Sender(net.client, "eth0") as sender:
        sent = sender.send(frames(net, 500), Pace(2000, 0.1, 3))
    late = sent.actual_ns - sent.intended_ns
    assert (late >= 0).all()
    assert sent.seconds >= 499 / 2000 - 0.001
    assert np.diff(sent.intended_ns).mean() == pytest.approx(500_000, rel=0.01)


def test_the_devices_mac_is_known(net: Routed) -> None:
    with Sender(net.client, "eth0") as sender:
        assert sender.mac == "02:00:00:00:00:00"


def test_frames_that_no_device_takes_are_refused_and_told(net: Routed) -> None:
    """A qdisc with room for nothing answers every frame with ENOBUFS."""
    net.client.run(["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "8bit", "burst", "1",
                    "limit", "1"])  # fmt: skip
    with Sender(net.client, "eth0") as sender:
        sent = sender.send(frames(net, 101))
    assert (sent.sent, sent.refused) == (0, 101)


def test_trying_again_has_an_end(net: Routed) -> None:
    net.client.run(["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "8bit", "burst", "1",
                    "limit", "1"])  # fmt: skip
    with Sender(net.client, "eth0", retry=True) as sender, pytest.raises(MeasurementInvalid, match="took no"):
        sender.send(frames(net, 101))


def load(net: Routed, rate: float) -> Load:
    return Load(net.client.name, "eth0", headers(net), rate, folder=str(net.client.path.parent))


def received(net: Routed) -> int:
    """Packets that the server's device has received so far."""
    shown = net.servers[0].run(["cat", "/proc/net/dev"]).stdout
    return int(next(line for line in shown.splitlines() if "eth0:" in line).split()[2])


def test_a_background_load_keeps_its_rate_and_counts_right(net: Routed) -> None:
    before = received(net)
    with BackgroundLoad(load(net, 4000.0)) as background:
        settle(lambda: received(net) - before, 1000, 2.0)
        report = background.stop()
    assert report.sent >= 1000
    assert report.refused == 0
    assert received(net) - before >= report.sent  # neighbour discovery may add a few
    assert report.achieved_rate == pytest.approx(4000, rel=0.2)


def test_a_background_load_is_seen_by_no_measuring_tap(net: Routed) -> None:
    before = received(net)
    with Tap(net.client, "eth0", 64) as tap, BackgroundLoad(load(net, 10_000.0)):
        tap.arm(marked(headers(net).layout, STREAM), 64)
        settle(lambda: received(net) - before, 500, 2.0)
        assert tap.seen() == 0


@pytest.mark.parametrize("rate", [0.01, 99_999_999.0])
def test_a_background_load_stops_at_once_at_any_rate(net: Routed, rate: float) -> None:
    with BackgroundLoad(load(net, rate)) as background:
        began = time.monotonic()
        report = background.stop()
    assert time.monotonic() - began < 2.0
    assert report.sent >= 1


def test_a_background_load_that_cannot_start_says_why(net: Routed) -> None:
    wrong = dataclasses.replace(load(net, 10.0), device="eth9")
    with pytest.raises(CommandFailed, match="eth9"):
        BackgroundLoad(wrong)
