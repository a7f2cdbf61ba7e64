"""How long does a packet of an established flow take? Connection tracking answers alone, no rule is walked.

    client                                      endpoint
       ── first packet ── NAT chosen ──────────────▶        opens the flow
       ◀───────────────── NAT undone ── reply ──────        crafted from the packet as it arrived
       ── measured packets ────────────────────────▶

The reply makes the flow established (conntrack's IPS_SEEN_REPLY), and shows that the way back works: it must
reach the client from the address that the client called.
"""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address

import numpy as np
import numpy.typing as npt

from testbed.bench.probes.crossing import Crossing, Measured, cross, latencies
from testbed.bench.probes.instruments import Instruments, new_stream
from testbed.bench.probes.path import Path, Settings
from testbed.bench.traffic.filters import marked
from testbed.bench.traffic.frames import Headers, build, distinct_ports
from testbed.bench.traffic.layout import Layout
from testbed.bench.traffic.ring import Captures
from testbed.bench.traffic.taps import settle
from testbed.errors import MeasurementInvalid, UsageError

NAME = "established"


def measure(path: Path, settings: Settings, tools: Instruments) -> Measured:
    """One-way latency in ns of packets on `settings.flows` flows, in turns, that were answered before.

    Raises UsageError for another protocol than UDP, MeasurementInvalid if a flow could not be opened or its
    reply did not come back from the address called.
    """
    if path.protocol != "UDP":
        raise UsageError(f"{NAME} measures UDP, not {path.protocol}: a made-up TCP segment has no connection")
    ports = distinct_ports(settings.flows, settings.seed)
    _establish(path, ports, settings, tools)
    crossing = cross(path, np.resize(ports, settings.total), settings, tools)
    return latencies(NAME, crossing, settings)


def _establish(path: Path, ports: npt.NDArray[np.uint16], settings: Settings, tools: Instruments) -> None:
    """Open a flow from each port and have it answered."""
    opening = dataclasses.replace(settings, count=len(ports), warm_up=0)
    crossing = cross(path, ports, opening, tools)
    opened = int(np.count_nonzero(crossing.sightings.matched))
    if opened != len(ports):
        raise MeasurementInvalid(f"{opened} of {len(ports)} flows to {path.destination} reached an endpoint")
    client, stream = tools.tap(path.space(path.netns), path.device, len(ports), outgoing=True), new_stream()
    client.arm(marked(path.layout, stream), 2 * len(ports))
    _reply(path, crossing, stream, tools)
    settle(client.seen, len(ports), settings.quiet)
    captures, _ = client.read(path.layout)
    _check(captures[~captures["outgoing"]], path, len(ports))


def _reply(path: Path, crossing: Crossing, stream: int, tools: Instruments) -> None:
    """Answer every first packet from where it arrived, with addresses, ports and MACs swapped."""
    for endpoint, arrivals in zip(path.endpoints, crossing.arrivals, strict=True):
        sender = tools.sender(path.space(endpoint.netns), endpoint.device)
        for arrival in arrivals:
            frame = build(
                answer(arrival, path.layout), stream, arrival["destination_port"].reshape(1),
                arrival["sequence"].reshape(1),
            )  # fmt: skip
            sender.send(frame)


def answer(arrival: np.void, layout: Layout) -> Headers:
    """Headers of the reply to one captured packet."""
    width = layout.address_length
    source, destination = (
        str(ip_address(arrival[end][:width].tobytes())) for end in ("source", "destination")
    )
    return Headers(
        source_mac=arrival["destination_mac"].tobytes().hex(":"),
        next_hop_mac=arrival["source_mac"].tobytes().hex(":"),
        source=destination, destination=source, port=int(arrival["source_port"]), protocol=layout.protocol,
    )  # fmt: skip


def _check(replies: Captures, path: Path, flows: int) -> None:
    """Every flow's reply came, once, from the address and port that the client called."""
    called = ip_address(path.destination).packed
    from_called = (replies["source"][:, : len(called)] == np.frombuffer(called, np.uint8)).all(axis=1)
    from_called &= replies["source_port"] == path.port
    back = len(np.unique(replies["sequence"][from_called]))
    if back != flows or len(replies) != flows:
        raise MeasurementInvalid(
            f"{flows} flows to {path.destination} port {path.port} were answered: {len(replies)} replies "
            f"came to the client, {back} of them from that address"
        )
