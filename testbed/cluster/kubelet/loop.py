"""One thread's list of things to do: posted from other threads, or due at a time.

All state of the kubelets is touched by one thread only. Other threads (the death of a process, a probe's
outcome, an attached batch) post a callable; nothing here needs a lock but the list itself.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TypeVar

from testbed.errors import TestbedError

Task = Callable[[], None]
T = TypeVar("T")


class Timer:
    """A task that is due once; cancel it as often as you like."""

    def __init__(self, task: Task) -> None:
        self.task: Task | None = task

    def cancel(self) -> None:
        """Never run it; harmless afterwards."""
        self.task = None


class Loop:
    """Tasks and timers. Only `post` may be called from another thread; it then calls `wake`."""

    def __init__(self, monotonic: Callable[[], float], wake: Callable[[], None]) -> None:
        self._monotonic, self._wake = monotonic, wake
        self._posted: deque[Task] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()  # equal times run in the order in which they were asked for

    def post(self, task: Task) -> None:
        """Run `task` in the loop's thread, soon."""
        self._posted.append(task)
        self._wake()

    def after(self, seconds: float, task: Task) -> Timer:
        """Run `task` in `seconds`; with 0, in the next round."""
        timer = Timer(task)
        heapq.heappush(self._timers, (self._monotonic() + seconds, next(self._order), timer))
        return timer

    def submit(
        self, executor: Executor, job: Callable[[], T], done: Callable[[T | TestbedError], None]
    ) -> None:
        """Run `job` in an executor's thread, then `done` here, with its result or its error."""

        def finish(future: Future[T]) -> None:
            outcome = _outcome(future)
            done(outcome)

        executor.submit(job).add_done_callback(lambda future: self.post(lambda: finish(future)))

    def idle(self) -> float | None:
        """Seconds until something is due: 0 if it is already, None if there is nothing to wait for."""
        if self._posted:
            return 0.0
        while self._timers and self._timers[0][2].task is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self._monotonic()) if self._timers else None

    def run_due(self) -> None:
        """One round: what was posted and what is due when it begins, and nothing that they add."""
        due = [self._posted.popleft() for _ in range(len(self._posted))]
        now, first_later = self._monotonic(), next(self._order)
        while self._timers and self._timers[0][0] <= now and self._timers[0][1] < first_later:
            timer = heapq.heappop(self._timers)[2]
            due.append(lambda timer=timer: timer.task() if timer.task else None)  # type: ignore[misc]
        for task in due:
            task()


def _outcome(future: Future[T]) -> T | TestbedError:
    try:
        return future.result()
    except TestbedError as error:
        return error
