"""HTTP/1.1 for the API: bytes to requests, responses to bytes, one thread for each connection.

Knows HTTP, its limits and who hangs up; what a request means is `kube.api.rest`'s. The machinery is Python's
own http.server. A client that sends or takes nothing for `PATIENCE` seconds is cut off.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import select
import socket
import socketserver
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from testbed.cluster.apisockets import listen
from testbed.errors import StatusError
from testbed.kube.api.rest import Api, Request, Response, status
from testbed.kube.api.rest.message import Stream, answer, dumps

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds without a byte from or to a client
LINGER = 1.0  # seconds without a byte from a client that was refused
MAX_UNREAD = 16 << 20  # bytes that it may still send
MAX_PARAMETERS = 100
MAX_CHUNK_LINE = 1024
GONE = (BrokenPipeError, ConnectionError, TimeoutError, ssl.SSLError)


class Handler(BaseHTTPRequestHandler):
    """One connection; it may carry many requests, one after the other."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "testbed", ""
    timeout = PATIENCE
    wbufsize = 1 << 16
    refused = False  # in the middle of a request: what is left of it would be taken for the next one

    def handle(self) -> None:
        """Answer until somebody hangs up."""
        with contextlib.suppress(*GONE):
            super().handle()

    def finish(self) -> None:
        """Hang up, also on who is not there any more.

        Who is refused in the middle of a request gets time to read why: a socket that is closed with something
        unread in it takes back what was sent (RFC 9112, 9.6).
        """
        with contextlib.suppress(*GONE):
            super().finish()
            if self.refused:
                self.connection.shutdown(socket.SHUT_WR)
                self.connection.settimeout(LINGER)
                for _ in range(MAX_UNREAD >> 16):
                    if not self.connection.recv(1 << 16):
                        return

    def __getattr__(self, name: str) -> Any:
        """http.server looks for do_GET and so on; every method is answered the same way."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        try:
            request = self._request()
            response = self.server.api.handle(request)
        except StatusError as error:
            self.close_connection = self.refused = True
            response = answer(error.status, error.code)
        if isinstance(response.body, bytes):
            self._send_whole(response, response.body)
        else:
            self._send_stream(response, response.body)

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────────

    def _request(self) -> Request:
        """The request whose first line and headers have been read. Raises StatusError."""
        if self.request_version == "HTTP/0.9":  # a first line of two words, and an answer without a head
            self.request_version = self.protocol_version
            raise status.bad_request("the first line of a request ends with HTTP/1.1")
        self._check_token()
        target = urlsplit(self.path)
        try:
            query = dict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
        except ValueError as error:
            raise status.bad_request(f"more than {MAX_PARAMETERS} query parameters") from error
        path = unquote(target.path, errors="replace")
        if "%2f" in target.path.lower():
            raise status.bad_request("a slash in a name cannot be escaped")
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, path, query, headers, self._body(self.server.api.max_body(path)))

    def _check_token(self) -> None:
        token = self.server.token
        given = self.headers.get("Authorization", "").encode(errors="replace")
        if token and not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise status.failure("Unauthorized", "Unauthorized")

    def _body(self, limit: int) -> bytes:
        encoding = self.headers.get("Transfer-Encoding", "").lower()
        if encoding and encoding != "chunked":
            raise status.bad_request(f"Transfer-Encoding {encoding[:40]!r}: only chunked is known")
        if encoding:
            return b"".join(self._chunks(limit))
        length = self.headers.get("Content-Length", "0").strip()
        if not (length.isascii() and length.isdecimal() and len(length) < 19):
            raise status.bad_request(f"Content-Length {length[:40]!r} is no number")
        if int(length) > limit:
            raise status.too_large(limit)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise status.bad_request("the body ended before its Content-Length")
        return body

    def _chunks(self, left: int) -> Iterator[bytes]:
        """The chunks of a body (RFC 9112, 7.1). Raises StatusError."""
        limit = left
        while True:
            size = self.rfile.readline(MAX_CHUNK_LINE).partition(b";")[0].strip()
            try:
                count = int(size, 16)
            except ValueError as error:
                raise status.bad_request("a chunk of the body has no size") from error
            left -= count
            if count < 0 or left < 0:
                raise status.too_large(limit)
            if count == 0:
                while self.rfile.readline(MAX_CHUNK_LINE).strip():
                    pass  # trailers
                return
            yield self.rfile.read(count)
            self.rfile.readline(MAX_CHUNK_LINE)

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────

    def _head(self, response: Response, *framing: str) -> None:
        self.send_response(response.code)
        self.send_header("Content-Type", response.content_type)
        self.send_header(*framing)
        for warning in response.warnings:
            escaped = warning.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "replace").decode()
            self.send_header("Warning", f'299 - "{" ".join(escaped.split())}"')
        if response.code == 401:
            self.send_header("WWW-Authenticate", 'Bearer realm="testbed"')
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_whole(self, response: Response, body: bytes) -> None:
        self._head(response, "Content-Length", str(len(body)))
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _send_stream(self, response: Response, stream: Stream) -> None:
        """In chunks. Nothing but a broken connection tells that the client has gone, so it is looked for."""
        with contextlib.closing(stream):
            self._head(response, "Transfer-Encoding", "chunked")
            self.wfile.flush()
            for data in stream:
                if data:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                    self.wfile.flush()
                elif self._hung_up():
                    return
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()

    def _hung_up(self) -> bool:
        """True if the client has closed its end."""
        poll = select.poll()
        poll.register(self.connection, select.POLLRDHUP)
        return bool(poll.poll(0))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself: a malformed or overlong first line, too many headers."""
        self.close_connection = self.refused = True
        self.request_version = self.protocol_version  # it may not have been read yet
        told = status.bad_request(message or explain or "the request cannot be understood")
        body = dumps({**told.status, "code": code}) + b"\n"
        self._send_whole(Response(code, body), body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  http.server's signature
        """Requests are not logged."""


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Threads and errors, alike for both kinds of socket. `token` must be sent if it is not empty."""

    daemon_threads = True
    block_on_close = False
    api: Api
    token = ""

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  socketserver's signature
        """A bug: into the log; the client sees the connection end."""
        log.exception("an API request failed")


class UnixServer(_Server):
    """On a Unix socket that is made (only its owner may connect, mode 0600), or that listens there already."""

    address_family = socket.AF_UNIX

    def __init__(self, path: Path, api: Api, listening: socket.socket | None = None) -> None:
        self.api = api
        super().__init__(str(path), Handler, bind_and_activate=False)  # type: ignore[arg-type]
        self.socket.close()
        self.socket = listening or listen(path)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept; a Unix socket's peer has no name."""
        connection, _ = self.socket.accept()
        return connection, ("client", 0)


class TcpServer(_Server):
    """On a TCP socket that listens already, with TLS and a bearer token."""

    def __init__(self, listening: socket.socket, api: Api, context: ssl.SSLContext, token: str) -> None:
        self.api, self.token, self._context = api, token, context
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_address = listening.getsockname()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The handshake is the connection's own thread's, so that a slow client keeps nobody else waiting."""
        try:
            request.settimeout(PATIENCE)
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = self._context.wrap_socket(request, server_side=True)
        except OSError:
            self.shutdown_request(request)
            return
        super().process_request_thread(request, client_address)


__all__ = ["Handler", "TcpServer", "UnixServer"]
