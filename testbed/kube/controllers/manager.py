"""Runs the controllers: one thread for all, one watch for each.

Knows watches, times and failures. Knows no kind.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from testbed.errors import TestbedError
from testbed.kube.controllers.controller import Controller, Timed
from testbed.kube.store import Event, Store, Watch

RETRY_SECONDS = 0.1

logger = logging.getLogger(__name__)


class _Worker:
    """A controller with its watch, and with the events of an attempt that failed."""

    def __init__(self, store: Store, controller: Controller) -> None:
        self._store, self._controller = store, controller
        self._timed = (
            controller if isinstance(controller, Timed) else None
        )  # asked once: typing takes its time
        self._watch = store.watch(controller.kinds)
        self._events: list[Event] = []
        self.failed = False

    def step(self) -> bool:
        """Handle what there is; False if there was nothing. The transaction makes index and store equal."""
        if not self._watch.waiting and not self._events and self.wait() != 0.0:
            return False
        with self._store.transaction():
            self._events += self._watch.drain()
            if not self._events and self.wait() != 0.0:
                return False
            try:
                self._controller.handle(self._store, tuple(self._events))
            except TestbedError:
                self.failed = True
                logger.exception("controller %s failed and will try again", self._controller.name)
            else:
                self.failed = False
                self._events = []
            return True

    def wait(self) -> float | None:
        """Seconds until time alone gives the controller something to do; None if that never happens."""
        due = self._timed.due() if self._timed else None
        return None if due is None else max(0.0, due - self._store.now().timestamp())

    def close(self) -> None:
        self._watch.close()


class Manager:
    """The controllers of a lab instance, at work from `start` to `stop`."""

    def __init__(self, store: Store, controllers: Sequence[Controller]) -> None:
        self._store = store
        self._workers = [_Worker(store, controller) for controller in controllers]
        kinds = {kind for controller in controllers for kind in controller.kinds}
        self._bell: Watch = store.watch(kinds, initial=False)
        self._stopped = threading.Event()
        self._rounds = threading.Lock()  # `settle` and the thread take turns
        self._thread = threading.Thread(target=self._run, name="controllers", daemon=True)

    def start(self) -> None:
        """Begin work in a thread. A manager is started once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the watches. May be called without `start`."""
        self._stopped.set()
        self._bell.close()
        if self._thread.is_alive():
            self._thread.join()
        for worker in self._workers:
            worker.close()

    def settle(self, timeout: float) -> bool:
        """Work until nothing follows from anything any more; False if that takes over `timeout` seconds.

        Without `start` everything happens in the calling thread, as tests like it.
        """
        deadline = time.monotonic() + timeout
        while self._round():
            if time.monotonic() >= deadline:
                return False
            if self._failing():
                self._stopped.wait(RETRY_SECONDS)
        return True

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._round()
            self._bell.drain(self._patience())

    def _patience(self) -> float | None:
        """How long to sleep if nothing happens."""
        waits = [worker.wait() for worker in self._workers]
        retry = RETRY_SECONDS if self._failing() else None
        return min((seconds for seconds in (*waits, retry) if seconds is not None), default=None)

    def _round(self) -> bool:
        """One turn for each controller; False if none had anything to do."""
        with self._rounds:
            with self._store.transaction():
                pass  # who is writing ends first, so that the watches have it
            busy = [worker.step() for worker in self._workers]
            return any(busy)

    def _failing(self) -> bool:
        return any(worker.failed for worker in self._workers)
