"""What a TCP or SCTP connection gets: HTTP if its first bytes are a request, else the identity and an echo.

Sniffer ── a request's first bytes ──▶ http.Http
   └────── anything else ────────────▶ Echo, with the identity as the first line
port named echo ─▶ Echo     port named discard ─▶ Discard
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from testbed.cluster.podserver.sockets import address_text
from testbed.cluster.podserver.spec import DISCARD, ECHO, Identity, Port

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")  # RFC 9110, 5789
REQUEST = re.compile("|".join(METHODS).join(("(?:", ") ")).encode())
UNDECIDED_SECONDS = 0.2  # for a client that sends "GE" and then nothing


@dataclass(slots=True)
class Served:
    """One open port and its connections."""

    identity: Identity
    port: Port
    connections: set[asyncio.Transport] = field(default_factory=set)
    draining: bool = False  # about to end: an answer is the last of its connection

    def fields(self, transport: asyncio.Transport) -> dict[str, Any]:
        """The identity as this client gets it."""
        client = address_text(transport.get_extra_info("peername"))
        return {**self.identity.json(), "clientAddress": client, "port": self.port.port}


class Connection(asyncio.Protocol):
    """Known to its port while it lives; stops reading while the client does not take its answers."""

    transport: asyncio.Transport

    def __init__(self, served: Served) -> None:
        self.served = served

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the port know of it."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.served.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, asyncio's name
        """Let the port forget it."""
        self.served.connections.discard(self.transport)

    def pause_writing(self) -> None:
        """The client is slower than its own questions: read no more of them."""
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def hand_over(self, heir: Connection, data: bytes) -> None:
        """Let another protocol go on with this connection, starting with `data`."""
        heir.connection_made(self.transport)
        self.transport.set_protocol(heir)
        heir.data_received(data)


class Discard(Connection):
    """RFC 863: reads everything, answers nothing."""


class Echo(Connection):
    """Sends back every byte (RFC 862); with `identify` the pod's identity goes before them, as a line."""

    def __init__(self, served: Served, identify: bool) -> None:
        super().__init__(served)
        self._identify = identify

    def data_received(self, data: bytes) -> None:
        """Send it back, after the identity if that is due."""
        if self._identify:
            self._identify = False
            fields = {**self.served.fields(self.transport), "protocol": self.served.port.protocol}
            data = json.dumps(fields).encode() + b"\n" + data
        self.transport.write(data)


class Sniffer(Connection):
    """Waits for the first bytes, because who opens a connection and waits must not be spoken to first."""

    def __init__(self, served: Served, http: Callable[[Served], Connection]) -> None:
        super().__init__(served)
        self._http = http
        self._data = b""
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Decide as soon as the bytes allow it."""
        self._data += data
        if REQUEST.match(self._data):
            self._decide(self._http(self.served))
        elif not any(f"{method} ".encode().startswith(self._data) for method in METHODS):
            self._echo()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(UNDECIDED_SECONDS, self._echo)

    def eof_received(self) -> bool:
        """Whoever sends no more sends no request."""
        self._echo()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to decide."""
        super().connection_lost(exc)
        self._cancel()

    def _echo(self) -> None:
        self._decide(Echo(self.served, identify=True))

    def _decide(self, heir: Connection) -> None:
        self._cancel()
        self.hand_over(heir, self._data)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def protocol_for(served: Served, http: Callable[[Served], Connection]) -> Callable[[], Connection]:
    """What a new connection to this port starts with; `http` makes the protocol for a request."""
    match served.port.name:
        case name if name == DISCARD:
            return lambda: Discard(served)
        case name if name == ECHO:
            return lambda: Echo(served, identify=False)
    return lambda: Sniffer(served, http)
