"""What a UDP datagram gets: the pod's identity with the payload, or, on a port named `echo`, the payload."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

from testbed.cluster.podserver.sockets import address_text
from testbed.cluster.podserver.spec import Identity, Port


class Echo(asyncio.DatagramProtocol):
    """RFC 862."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ready."""
        # A cast, because the event loop's own class is no DatagramTransport before Python 3.12.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Answer each datagram by one."""
        self.transport.sendto(self.answer(data, addr), addr)

    def answer(self, data: bytes, _addr: tuple[Any, ...]) -> bytes:
        """What goes back to `addr`."""
        return data


class Identify(Echo):
    """Answers one JSON document: identity, `clientAddress`, and `echo`, the payload read as latin-1."""

    def __init__(self, identity: Identity, port: Port) -> None:
        self._fields = {**identity.json(), "protocol": "UDP", "port": port.port}

    def answer(self, data: bytes, addr: tuple[Any, ...]) -> bytes:
        """The identity, with the client's address and payload."""
        fields = {**self._fields, "clientAddress": address_text(addr), "echo": data.decode("latin-1")}
        return json.dumps(fields).encode()
