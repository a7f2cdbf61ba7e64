"""The kubelet's side of the pod server: starts the process, asks it, and notices at once when it dies."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from testbed.cluster.podserver.spec import PodSpec, PortError
from testbed.errors import CommandFailed, KernelStateError
from testbed.machine.netns import FOLDER

PACKAGE_ROOT = Path(__file__).parents[3]
Answer = Mapping[str, Any]


class PodServer:
    """One pod server process. Every method may be called from any thread.

    The process lives in the namespaces of the thread that calls `start`; what it complains about goes to the
    caller's own stderr. Its pods' network namespaces are those named in `folder`.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._argv = (sys.executable, "-m", "testbed.cluster.podserver", str(folder))
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._run: _Run | None = None

    @property
    def pid(self) -> int | None:
        """The process, None while there is none."""
        run = self._run
        return run.process.pid if run is not None and run.process.returncode is None else None

    def start(self, on_exit: Callable[[int], None] | None = None) -> None:
        """Start the process unless it runs. `on_exit` gets its status (a signal as minus its number) when it
        ends, whether it was killed or stopped; it is called in a thread of its own."""
        with self._lock:
            if self._run is None or self._run.ended.is_set():
                self._run = _Run(self._argv, on_exit)

    def open(self, pods: Sequence[PodSpec]) -> Mapping[str, tuple[PortError, ...]]:
        """Open pods, all in one message. Returns, for each key with trouble, the ports that are not open.

        Raises CommandFailed if the process is dead or dies meanwhile: then none of them is open.
        """
        answer = self._ask({"open": [pod.json() for pod in pods]})
        errors: dict[str, tuple[PortError, ...]] = {}
        for error in (PortError(**fields) for fields in answer["errors"]):
            errors[error.key] = (*errors.get(error.key, ()), error)
        return errors

    def close(self, keys: Sequence[str]) -> None:
        """Close pods and break their connections. Raises CommandFailed if the process is dead."""
        self._ask({"close": {"keys": list(keys)}})

    def drain(self, keys: Sequence[str]) -> Sequence[str]:
        """Tell pods to end with their clients: each request is still answered, and is the last of its connection.

        Returns the keys that still have connections. Raises CommandFailed if the process is dead.
        """
        busy: list[str] = self._ask({"drain": {"keys": list(keys)}})["busy"]
        return busy

    def ping(self) -> None:
        """Return when the process has answered. Raises CommandFailed if it is dead."""
        self._ask({"ping": {}})

    def wait(self, timeout: float | None = None) -> int | None:
        """The status of the ended process; None if it still runs after `timeout` seconds or never ran."""
        run = self._run
        return run.process.returncode if run is not None and run.ended.wait(timeout) else None

    def stop(self, timeout: float = 2.0) -> None:
        """End the process by the end of its input, by force after `timeout` seconds; `on_exit` is called."""
        run = self._run
        if run is None:
            return
        run.hang_up()
        if not run.ended.wait(timeout):
            run.process.send_signal(signal.SIGKILL)
            run.ended.wait()

    def _ask(self, request: Answer) -> Answer:
        run = self._run
        if run is None:
            raise CommandFailed(self._argv, 127, "the pod server was not started")
        answer = run.ask(next(self._ids), request).result()
        if "error" in answer:
            raise KernelStateError(f"pod server: {answer['error']}")
        return answer


class _Run:
    """One life of the process: the requests under way, and the thread that reads the answers."""

    def __init__(self, argv: Sequence[str], on_exit: Callable[[int], None] | None) -> None:
        self._argv = argv
        self.ended = threading.Event()
        self._on_exit = on_exit
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Answer]] = {}
        self._gone: CommandFailed | None = None
        path = os.pathsep.join(filter(None, (str(PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._read, name="podserver-answers", daemon=True).start()

    def ask(self, number: int, request: Answer) -> Future[Answer]:
        """Send a request; the future gets the answer, or CommandFailed when the process ends before."""
        future: Future[Answer] = Future()
        line = json.dumps({"id": number, **request}).encode() + b"\n"
        with self._lock:
            if self._gone is not None:
                raise self._gone
            self._waiting[number] = future
            try:
                assert self.process.stdin is not None
                self.process.stdin.write(line)
                self.process.stdin.flush()
            except (OSError, ValueError):
                pass  # dying, or hung up: the reader sees the end of the answers and fails the future
        return future

    def hang_up(self) -> None:
        """End the input; the process ends by itself."""
        with self._lock:
            assert self.process.stdin is not None
            with contextlib.suppress(OSError):  # unsent bytes for a process that is gone
                self.process.stdin.close()

    def _read(self) -> None:
        """The answers until their end, which is the end of the process."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            answer = json.loads(line)
            with self._lock:
                future = self._waiting.pop(answer["id"], None)
            if future is not None:
                future.set_result(answer)
        self._bury(self.process.wait())

    def _bury(self, status: int) -> None:
        with self._lock:
            self._gone = CommandFailed(self._argv, status, "the pod server has ended")
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(self._gone)
        self.hang_up()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.ended.set()
        if self._on_exit is not None:
            self._on_exit(status)
