"""Serves a daemon's verbs on its Unix socket, one thread per connection. The protocol is `rpc.py`'s."""

from __future__ import annotations

import inspect
import json
import logging
import os
import socket
import socketserver
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from testbed.cluster.rpc import Progress, error_to_json
from testbed.errors import TestbedError, UsageError

log = logging.getLogger(__name__)

Verb = Callable[..., Any]
"""Called with the request's arguments, and with `progress=` if it has such a parameter; returns JSON."""


class _Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        for line in self.rfile:
            try:
                self._reply(self._answer(line))
            except (BrokenPipeError, ConnectionResetError):
                return

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            verb, arguments = _request(line)
            if verb not in self.server.verbs:
                raise UsageError(f"the daemon knows no verb {verb!r}")
            return {"result": self._call(self.server.verbs[verb], arguments)}
        except TestbedError as error:
            return {"error": error_to_json(error)}

    def _call(self, verb: Verb, arguments: dict[str, Any]) -> Any:
        signature = inspect.signature(verb)
        if "progress" in signature.parameters:
            arguments = {**arguments, "progress": self._progress}
        try:
            signature.bind(**arguments)
        except TypeError as error:
            raise UsageError(f"{verb.__name__.removeprefix('do_')}: {error}") from error
        return verb(**arguments)

    def _progress(self, step: Mapping[str, Any]) -> None:
        self._reply({"progress": step})

    def _reply(self, reply: Mapping[str, Any]) -> None:
        self.wfile.write(json.dumps(reply).encode() + b"\n")
        self.wfile.flush()


def _request(line: bytes) -> tuple[str, dict[str, Any]]:
    """A request's verb and arguments. Raises UsageError."""
    try:
        request = json.loads(line)
    except ValueError as error:
        raise UsageError(f"a request must be JSON: {error}") from error
    match request:
        case {"verb": str(verb), "arguments": dict(arguments)}:
            return verb, arguments
    raise UsageError('a request must be {"verb": "...", "arguments": {...}}')


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The socket of one instance; only its owner may connect (mode 0600)."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, verbs: Mapping[str, Verb]) -> None:
        self.verbs = dict(verbs)
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  socketserver's signature
        """A bug: into the log; the client sees the connection end and points to the log."""
        log.exception("a verb failed")

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept; a Unix socket's peer has no name, so it gets one for the logs."""
        connection, _ = super().get_request()
        return connection, "client"


__all__ = ["Progress", "Server", "Verb"]
