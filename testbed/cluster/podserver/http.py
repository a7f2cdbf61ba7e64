"""HTTP/1.1 of a served pod: every request is answered with who answered it and what arrived.

h11 knows the protocol; this file knows what to say. Paths with a meaning: `/status/503` answers with that
status, `/delay/0.5` after that many seconds.
"""

from __future__ import annotations

import asyncio
import http
import json
import re
from typing import Any

import h11

from testbed.cluster.podserver.stream import Connection, Served

STATUS_PATH = re.compile(r"/status/([2-5]\d\d)(?:[/?]|$)")
DELAY_PATH = re.compile(r"/delay/(\d+(?:\.\d+)?)(?:[/?]|$)")
NO_BODY = frozenset({http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED})


class Http(Connection):
    """One connection: requests one after the other, each answered before the next is read."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)
        self._conn = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body_bytes = 0
        self._delay: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        self._conn.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """The end of the requests; the answer to the last one may be still to come."""
        self._conn.receive_data(b"")
        self._advance()
        return self._delay is not None  # a client that only closed its write side still gets a late answer

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for the late answer any more."""
        super().connection_lost(exc)
        if self._delay is not None:
            self._delay.cancel()

    def _advance(self) -> None:
        """Handle whole events while there are some and no answer is being held back."""
        while self._delay is None and not self.transport.is_closing():
            try:
                event = self._conn.next_event()
            except h11.RemoteProtocolError as error:
                return self._refuse(error)
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return self._welcome_body()
            self._handle(event)
        return None

    def _handle(self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]) -> None:
        match event:
            case h11.Request():
                self._request, self._body_bytes = event, 0
            case h11.Data():
                self._body_bytes += len(event.data)
            case h11.EndOfMessage():
                self._answer_in_time()
            case h11.ConnectionClosed():
                self.transport.close()

    def _welcome_body(self) -> None:
        if self._conn.they_are_waiting_for_100_continue:
            self._send(h11.InformationalResponse(status_code=100, headers=[]))

    def _answer_in_time(self) -> None:
        assert self._request is not None
        wanted = DELAY_PATH.match(self._request.target.decode("latin-1"))
        if wanted is None:
            return self._answer()
        self._delay = asyncio.get_running_loop().call_later(float(wanted.group(1)), self._late)
        return None

    def _late(self) -> None:
        self._delay = None
        self._answer()
        self._advance()

    def _answer(self) -> None:
        request = self._request
        assert request is not None
        wanted = STATUS_PATH.match(request.target.decode("latin-1"))
        status = int(wanted.group(1)) if wanted else 200
        body = b"" if status in NO_BODY else json.dumps(self._fields(request)).encode() + b"\n"
        self._respond(status, body, head=request.method == b"HEAD")

    def _fields(self, request: h11.Request) -> dict[str, Any]:
        headers: dict[str, str] = {}
        for name, value in (
            (n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw_items()
        ):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return {
            **self.served.fields(self.transport),
            "method": request.method.decode("latin-1"),
            "path": request.target.decode("latin-1"),
            "host": next((v.decode("latin-1") for n, v in request.headers if n == b"host"), ""),
            "headers": headers,
            "protocol": f"HTTP/{request.http_version.decode()}",
            "bodyBytes": self._body_bytes,
        }

    def _respond(self, status: int, body: bytes, *, head: bool = False) -> None:
        """Send a whole answer, then wait for the next request or close, as the client asked."""
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))] if body else []
        if self.served.draining:
            headers.append(("Connection", "close"))
        reason = http.HTTPStatus(status).phrase if status in http.HTTPStatus._value2member_map_ else ""
        self._send(h11.Response(status_code=status, headers=headers, reason=reason))
        if body and not head:
            self._send(h11.Data(data=body))
        self._send(h11.EndOfMessage())
        if self._conn.our_state is h11.DONE and self._conn.their_state is h11.DONE:
            self._conn.start_next_cycle()
        else:
            self.transport.close()

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """A request that is none: say so if nothing was said yet, and close."""
        if self._conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            text = json.dumps({"error": str(error)}).encode() + b"\n"
            self._respond(error.error_status_hint, text)
        self.transport.close()

    def _send(self, event: h11.Event) -> None:
        data = self._conn.send(event)
        if data:
            self.transport.write(data)
