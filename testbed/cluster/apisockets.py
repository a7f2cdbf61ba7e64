"""The Kubernetes API's sockets: they listen from the start; what answers is loaded for the first client.

Whoever only deploys and sends packets never asks, and loading a web server would keep every cluster waiting.
Knows when; what answers is `apiserver`'s.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import KernelStateError

if TYPE_CHECKING:
    from testbed.kube.api.rest import Api

WAITING_CONNECTIONS = 64
API_SOCKET, DOOR_SOCKET = "kube-api.sock", "door.sock"


class ApiSockets:
    """Both sockets of an instance, in its folder; only its owner may connect (mode 0600)."""

    def __init__(self, folder: Path, name: str, make: Callable[[], Api]) -> None:
        """`make` gives the API; it is called once, if at all. Raises KernelStateError."""
        self._name, self._make = name, make
        self._api_path, self._door_path = folder / API_SOCKET, folder / DOOR_SOCKET
        self._listening = [listen(path) for path in (self._api_path, self._door_path)]

    def start(self) -> None:
        """Answer from now on; who has connected before has waited."""
        threading.Thread(target=self._run, name="kube-api", daemon=True).start()

    def _run(self) -> None:
        select.select(self._listening, (), ())
        from testbed.cluster.apiserver import Door, UnixServer

        api = self._make()
        kube, door = self._listening
        server = UnixServer(self._api_path, api, kube)
        threading.Thread(target=server.serve_forever, name="kube-api", daemon=True).start()
        Door(self._door_path, self._name, api, door).serve_forever()


def listen(path: Path) -> socket.socket:
    """A Unix socket at a path, for its owner only. Raises KernelStateError."""
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
        listening.listen(WAITING_CONNECTIONS)
    except OSError as error:
        raise KernelStateError(f"listening at {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    return listening
