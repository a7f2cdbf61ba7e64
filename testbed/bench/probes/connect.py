"""How long does a TCP connection take to open? From the SYN out to the SYN-ACK in, stamped at the client.

Real sockets connect at a stated rate (`connector.py`). A connection is known by its source port at the client
and by its initial sequence number at the endpoint: NAT changes the addresses there, never that number.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from testbed.bench.probes.connector import Connector
from testbed.bench.probes.crossing import Crossing, Measured, latencies
from testbed.bench.probes.instruments import Instruments
from testbed.bench.probes.match import Sightings, join
from testbed.bench.probes.path import Path, Settings
from testbed.bench.traffic.filters import ACK, SYN, handshakes
from testbed.bench.traffic.ring import Captures
from testbed.bench.traffic.taps import settle
from testbed.errors import UsageError

NAME = "connect"
CLIENT_ROOM, ENDPOINT_ROOM = 4, 2  # slots for each connection: SYN and SYN-ACK, and as many for repeats


def measure(path: Path, settings: Settings, tools: Instruments) -> Measured:
    """Time in ns until the SYN-ACK is back, for connections that each have a source port of their own.

    A connection without SYN-ACK (refused, dropped) is unmatched. The caller flushes connection tracking
    before. Raises UsageError for another protocol than TCP, MeasurementInvalid if an instrument failed.
    """
    if path.protocol != "TCP":
        raise UsageError(f"{NAME} measures TCP, not {path.protocol}")
    total, layout = settings.total, path.layout
    client = tools.tap(path.space(path.netns), path.device, CLIENT_ROOM * total, outgoing=True)
    ends = [
        tools.tap(path.space(end.netns), end.device, ENDPOINT_ROOM * total, outgoing=False)
        for end in path.endpoints
    ]
    for tap in (client, *ends):
        tap.arm(handshakes(layout), total)
    with path.space(path.netns).entered(), Connector(path, settings) as connector:
        sent, ports = connector.run()
        settle(client.seen, 2 * total, settings.quiet)
    seen, dropped = client.read(layout)
    read = [tap.read(layout) for tap in ends]
    sightings = sight(seen, [captures for captures, _ in read], ports)
    return latencies(NAME, Crossing(sent, sightings, (), dropped + sum(drops for _, drops in read)), settings)


def sight(client: Captures, arrivals: Sequence[Captures], ports: npt.NDArray[np.uint16]) -> Sightings:
    """Join SYNs with their SYN-ACKs at the client, and with the endpoint where they arrived.

    `ports` are the source ports in order of connecting; what belongs to no connection from them is left out.
    A SYN-ACK counts if it acknowledges the SYN's own number. `duplicates` tells of the client's tap.
    """
    flags = client["tcp_flags"] & (SYN | ACK)
    by_port = np.full(1 << 16, -1, np.int64)
    by_port[ports] = np.arange(len(ports))
    syns = client[(flags == SYN) & client["outgoing"]]
    syns, places = _ours(syns, by_port[syns["source_port"]])
    initial = np.zeros(len(ports), np.uint32)
    initial[places] = syns["sequence"]
    answers = client[(flags == (SYN | ACK)) & ~client["outgoing"]]
    answers, answered = _ours(answers, by_port[answers["destination_port"]])
    right = answers["stream"] == initial[answered] + np.uint32(1)
    departures = _numbered(syns, places)
    joined = join(departures, [_numbered(answers[right], answered[right])], len(ports))
    came = [_numbered(*_ours(captures, _by_initial(captures, initial))) for captures in arrivals]
    return dataclasses.replace(joined, endpoint=join(departures, came, len(ports)).endpoint)


def _by_initial(captures: Captures, initial: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Which connection each captured SYN opens, by its sequence number; -1 for none of ours."""
    order = np.argsort(initial)
    place = np.minimum(np.searchsorted(initial[order], captures["sequence"]), len(initial) - 1)
    found = order[place]
    ours = (initial[found] == captures["sequence"]) & (captures["tcp_flags"] & (SYN | ACK) == SYN)
    return np.where(ours, found, -1)


def _ours(captures: Captures, places: npt.NDArray[np.int64]) -> tuple[Captures, npt.NDArray[np.int64]]:
    """Only the captures that have a place among our connections, and these places."""
    return captures[places >= 0], places[places >= 0]


def _numbered(captures: Captures, places: npt.NDArray[np.int64]) -> Captures:
    """The captures with their connection's number instead of the TCP sequence number."""
    numbered = captures.copy()
    numbered["sequence"] = places
    return numbered
