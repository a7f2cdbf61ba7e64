"""A connection that is kept: what happens when the other side ends it between two requests."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from testbed.kube.client.http import Request, Transport

SECONDS = 10.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_a_connection_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    """As the API's server does to whoever says nothing for a minute."""
    ended = threading.Event()

    def serve(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(ANSWER)
            ended.set()

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "api.sock"))
        listening.listen()
        listening.settimeout(SECONDS)
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        transport = Transport(tmp_path / "api.sock", SECONDS, lambda _: None)
        assert transport.call(Request("GET", "/")) == {}
        assert ended.wait(SECONDS)

        assert transport.call(Request("GET", "/")) == {}
        transport.close()
        server.join()
