"""Small HTTP servers in any network namespaces, all in one thread.

h11 knows the protocol; who listens says what to answer. Knows sockets and namespaces, and nothing of what is
told.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from ipaddress import IPv6Address

import h11

from testbed.errors import KernelStateError
from testbed.machine.netns import Netns
from testbed.proxier.plan import IPAddress

WAITING_CONNECTIONS = 128


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request gets."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND = Answer(b"404 page not found\n", 404, {"Content-Type": "text/plain; charset=utf-8"})

Handler = Callable[[str], Answer]
"""Called in the servers' thread with a request's path, without its query; must be quick."""


class Listener:
    """One listening socket. Closing it leaves answers under way to finish."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop, self._socket = loop, sock
        self._server: asyncio.Server | None = None
        self._closed = False

    def serve(self, handler: Handler) -> None:
        """Begin; called once."""
        asyncio.run_coroutine_threadsafe(self._serve(handler), self._loop)

    def close(self) -> None:
        """Free the port, for somebody else at once; connections that are open are served to their end.

        Not for the servers' own thread.
        """
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()

    async def _serve(self, handler: Handler) -> None:
        if not self._closed:
            self._server = await self._loop.create_server(lambda: _Exchange(handler), sock=self._socket)

    async def _close(self) -> None:
        self._closed = True
        if self._server is not None:
            self._server.close()
        self._socket.close()


class HttpServers:
    """All servers of an instance: one thread with one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kube-proxy-http", daemon=True)
        self._thread.start()

    def listen(self, netns: Netns, address: IPAddress, port: int, handler: Handler) -> Listener:
        """Serve at an address inside a namespace. Raises KernelStateError if the port is taken there."""
        try:
            sock = netns.call(partial(_listening, address, port))
        except OSError as error:
            reason = f"cannot serve {address} port {port}: {error.strerror}"
            raise KernelStateError(f"{netns.name}: {reason}") from error
        listener = Listener(self._loop, sock)
        listener.serve(handler)
        return listener

    def stop(self) -> None:
        """End the thread. Listeners are to be closed before."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _listening(address: IPAddress, port: int) -> socket.socket:
    """A socket of the calling thread's network namespace. Raises OSError."""
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    with contextlib.ExitStack() as unless_it_listens:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        unless_it_listens.enter_context(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((str(address), port))
        sock.listen(WAITING_CONNECTIONS)
        unless_it_listens.pop_all()
    return sock


class _Exchange(asyncio.Protocol):
    """One connection: requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._conn = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody asks."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        self._conn.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """The end of the requests; every answer is written by now."""
        return False

    def _advance(self) -> None:
        while not self.transport.is_closing():
            try:
                event = self._conn.next_event()
            except h11.RemoteProtocolError as error:
                if self._conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    self._send(Answer(b"400 Bad Request\n", error.error_status_hint), head=False)
                self.transport.close()
                return
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            if isinstance(event, h11.Request):
                self._request = event
            elif isinstance(event, h11.EndOfMessage):
                self._answer()

    def _answer(self) -> None:
        request = self._request
        assert request is not None
        path = request.target.decode("latin-1").partition("?")[0]
        self._send(self._handler(path), head=request.method == b"HEAD")
        if self._conn.our_state is h11.DONE and self._conn.their_state is h11.DONE:
            self._conn.start_next_cycle()
        else:
            self.transport.close()

    def _send(self, answer: Answer, *, head: bool) -> None:
        length = {"Date": formatdate(usegmt=True), "Content-Length": str(len(answer.body))}
        headers = list({**answer.headers, **length}.items())
        reason = HTTPStatus(answer.status).phrase
        events: list[h11.Event] = [h11.Response(status_code=answer.status, headers=headers, reason=reason)]
        events += [] if head else [h11.Data(data=answer.body)]
        for event in (*events, h11.EndOfMessage()):
            self.transport.write(self._conn.send(event) or b"")
