"""The real API of a cluster without nodes' kernels, on a real socket, and commands that ask it.

No controller runs: what is in the store is what a test puts there.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.cli import common
from testbed.cli.main import parsed
from testbed.cluster.apiserver import UnixServer
from testbed.cluster.kubelet.logreading import LogReader
from testbed.errors import StatusError
from testbed.kube.api import Registry
from testbed.kube.api.rest import Api
from testbed.kube.client import Client
from testbed.kube.store import Store
from tests.unit.kube.api.builders import started


@dataclass(frozen=True, slots=True)
class Served:
    """One API, and who asks it."""

    store: Store
    registry: Registry
    client: Client
    logs: Path

    def run(self, *argv: str) -> int:
        """Run a command as the command line does, up to what its errors become."""
        arguments = parsed(argv)
        command = importlib.import_module(f"testbed.cli.{argv[0].replace('-', '_')}")
        try:
            return int(command.act(self.client, arguments) or 0)
        except StatusError as error:
            common.warn(common.told(error))
            return error.exit_code

    def set_status(self, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """What a controller or a kubelet would say."""
        namespace = "" if kind in ("Node", "Namespace") else "default"
        self.store.mutate(kind, namespace, name, lambda obj: {**obj, "status": {**status}})


@contextlib.contextmanager
def served(now: Callable[[], datetime.datetime] | None = None) -> Iterator[Served]:
    """An API on a socket of its own, until the end. `now` is the store's clock."""
    store, registry = started(now=now)
    with tempfile.TemporaryDirectory(prefix="tb-api-") as folder:
        logs = Path(folder)
        socket = logs / "kube-api.sock"
        with UnixServer(socket, Api(store, registry, LogReader(logs))) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            try:
                with Client(socket, 20.0, common.warn) as client:
                    yield Served(store, registry, client, logs)
            finally:
                server.shutdown()
                thread.join()
