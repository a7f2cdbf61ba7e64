"""A served API on a Unix socket, and bytes to it."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from socketserver import BaseServer
from typing import Any

from testbed.cluster.apiserver import UnixServer
from testbed.cluster.kubelet.logreading import LogReader
from testbed.kube.api.rest import Api
from testbed.kube.store import Store
from tests.unit.kube.api.builders import started

MAPS = "/api/v1/namespaces/default/configmaps"


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


def an_api(folder: Path) -> tuple[Store, Api]:
    """An API over a small cluster; its pods' logs lie in the folder."""
    store, registry = started()
    return store, Api(store, registry, LogReader(folder))


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[Store, Path]]:
    """The store behind an API, and the socket where that is served."""
    store, api = an_api(folder)
    path = folder / "kube-api.sock"
    with UnixServer(path, api) as server, running(server):
        yield store, path


@contextlib.contextmanager
def running(server: BaseServer) -> Iterator[None]:
    """Serve in a thread."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def said(path: Path, data: bytes) -> bytes:
    """Send bytes, and nothing more; everything that comes back until the server hangs up."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        with contextlib.suppress(BrokenPipeError):
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(1 << 16):
            answer += data
        return answer


def status_of(answer: bytes) -> tuple[int, Any]:
    """The code of an answer, and its JSON."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)
