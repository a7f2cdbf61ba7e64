"""How a program outside of the sandbox comes to the API by TCP: it brings the listening socket itself.

    client                                         daemon, in its own network namespace
    listens on 127.0.0.1, a free port of the host
    one byte, and the socket by SCM_RIGHTS   ──→   serves the API on it, with TLS and a token
                                             ←──   {"server", "authority", "token"}, one line of JSON

client-go, and so kubectl, cannot speak to a Unix socket. A socket keeps the network namespace that it was made
in (unix(7), network_namespaces(7)), so nothing is created in the host's but what the client asked for. Nothing
listens before. A second client gets what the first one got, and its own socket is closed.
"""

from __future__ import annotations

import json
import secrets
import socket
import socketserver
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed.cluster.apiserver.http import TcpServer
from testbed.cluster.apisockets import listen
from testbed.errors import TestbedError
from testbed.kube.api.rest import Api

PATIENCE = 10.0  # seconds for an exchange; making keys takes a few milliseconds
MAX_ANSWER = 1 << 16


@dataclass(frozen=True, slots=True)
class Access:
    """What a client of the TCP server needs: its URL, the CA's certificate (PEM) and the bearer token."""

    server: str
    authority: str
    token: str


class Door(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The daemon's side, on a Unix socket of mode 0600, which is made or listens already.

    The folder that it lies in is the instance's, closed to others.
    """

    daemon_threads = True

    def __init__(self, path: Path, name: str, api: Api, listening: socket.socket | None = None) -> None:
        self._name, self._api, self._folder = name, api, path.parent
        self._access: Access | None = None
        self._lock = threading.Lock()
        super().__init__(str(path), _Visit, bind_and_activate=False)
        self.socket.close()
        self.socket = listening or listen(path)

    def open(self, listening: socket.socket) -> Access:
        """Serve on this socket; or close it, if there is one already."""
        with self._lock:
            if self._access is None:
                self._access = self._serve(listening)
            else:
                listening.close()
            return self._access

    def _serve(self, listening: socket.socket) -> Access:
        from testbed.cluster.apiserver import tls  # here, since few daemons are asked, and it is large

        keys, token = tls.make(self._name), secrets.token_urlsafe(32)
        server = TcpServer(listening, self._api, keys.context(self._folder), token)
        threading.Thread(target=server.serve_forever, name="kube-api-tcp", daemon=True).start()
        host, port = listening.getsockname()
        return Access(f"https://{host}:{port}", keys.authority.decode(), token)


class _Visit(socketserver.BaseRequestHandler):
    server: Door

    def handle(self) -> None:
        self.request.settimeout(PATIENCE)
        try:
            _, descriptors, _, _ = socket.recv_fds(self.request, 1, 1)
            sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
            if len(sockets) != 1 or not sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                self._reply({"error": "one listening socket is wanted"})
                return
            self._reply(asdict(self.server.open(sockets[0])))
        except OSError:
            return  # whoever it was has gone

    def _reply(self, told: dict[str, Any]) -> None:
        self.request.sendall(json.dumps(told).encode() + b"\n")


def knock(path: Path) -> Access:
    """The client's side: the way into the daemon whose door is at `path`. Raises TestbedError."""
    listening = socket.create_server(("127.0.0.1", 0))
    with listening, socket.socket(socket.AF_UNIX) as door:
        door.settimeout(PATIENCE)
        try:
            door.connect(str(path))
            socket.send_fds(door, [b"\0"], [listening.fileno()])
            with door.makefile("rb") as answer:
                told = json.loads(answer.readline(MAX_ANSWER) or b"{}")
        except OSError as error:
            raise TestbedError(f"no daemon answers at {path}: {error}") from error
    if told.keys() != {"server", "authority", "token"}:
        raise TestbedError(f"the daemon gives no access: {told.get('error', 'see its daemon.log')}")
    return Access(**told)
