"""The caller's side of the worker: start it inside the sandbox, ask it, close it.

Knows how to speak to the worker (`serve.py` lists the requests); knows nothing of what a scenario wants.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from testbed.bench.probes.crossing import Measured
from testbed.bench.probes.path import Path, Settings
from testbed.bench.probes.self_test import PRIME
from testbed.bench.traffic.background import Load, LoadReport
from testbed.bench.traffic.child import TIMEOUT, Child, python
from testbed.bench.worker.raw import read
from testbed.errors import KernelStateError, MeasurementInvalid, TestbedError, UsageError
from testbed.machine.netns import FOLDER

MODULE = "testbed.bench.worker"
# Errors that keep their kind across the pipe; the others carry more than a message.
ERRORS: Mapping[str, type[TestbedError]] = {
    kind.__name__: kind for kind in (UsageError, KernelStateError, MeasurementInvalid)
}


class Worker:
    """A running worker. Close it, or use it with `with`.

    `prefix` is an argv that runs what follows it inside the sandbox (`nsenter -t PID …`); `cpu` pins the
    worker. Raises CommandFailed if it cannot be started, or, in any call, if it has ended.
    """

    def __init__(self, prefix: Sequence[str] = (), cpu: int | None = None) -> None:
        options = [] if cpu is None else ["--cpu", str(cpu)]
        self._child = Child([*prefix, *python(MODULE), *options])

    def call(self, request: Mapping[str, Any], timeout: float = TIMEOUT) -> dict[str, Any]:
        """Send one request; the answer. Raises the error that the worker met, of the same kind if it can."""
        answer = self._child.ask(request, timeout)
        if not answer["ok"]:
            error = answer["error"]
            raise ERRORS.get(error["type"], TestbedError)(error["message"])
        return answer

    def measure(self, probe: str, path: Path, settings: Settings, out: FilePath) -> Measured:
        """Run a probe by its name. Its raw samples go to `out`, a path that means the same inside."""
        documents = {"path": dataclasses.asdict(path), "settings": dataclasses.asdict(settings)}
        answer = self.call({"probe": probe, **documents, "out": str(out)})
        return read(answer["summary"], out)

    def prove(self, path: Path, count: int = PRIME) -> int:
        """The self-test over a path that loses nothing; how many packets were counted."""
        asked = {"path": dataclasses.asdict(path), "count": count}
        return int(self.call({"self_test": asked})["counted"])

    def start_load(self, load: Load) -> None:
        """Start a background load; returns when its packets flow."""
        self.call({"background": {"start": dataclasses.asdict(load)}})

    def stop_load(self) -> LoadReport:
        """Stop the background load; what it really was."""
        return LoadReport(**self.call({"background": {"stop": True}})["load"])

    def flush_conntrack(self, namespaces: Sequence[str], folder: FilePath = FOLDER) -> None:
        """Forget every connection of these namespaces."""
        self.call({"flush_conntrack": list(namespaces), "folder": str(folder)})

    def facts(self) -> dict[str, Any]:
        """Facts of the machine as the worker sees it: `results.facts.Facts` as JSON."""
        facts: dict[str, Any] = self.call({"facts": True})["facts"]
        return facts

    def release(self) -> None:
        """Close the taps and senders that the worker has kept, e.g. before their namespaces are deleted."""
        self.call({"release": True})

    def close(self) -> None:
        """End the worker, and any load with it."""
        self._child.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
