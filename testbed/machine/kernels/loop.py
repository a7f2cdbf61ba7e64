"""An event loop of one thread: descriptors that can be read or written, and work to do at the end of a round.

Small on purpose: `enter` starts with each command, and asyncio alone would take longer to import than the command.
Knows poll(2) and epoll(7); knows nothing of what is read or written.
"""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Callable

IN, OUT, ERR, HUP = (
    select.POLLIN,
    select.POLLOUT,
    select.POLLERR,
    select.POLLHUP,
)  # epoll(7) has the same bits

Callback = Callable[[int], None]
"""Called with the event bits of its descriptor."""


class Loop:
    """Rounds of events until somebody calls `stop`.

    A descriptor with neither reader nor writer is not watched at all: the kernel tells a hang-up whether it was
    asked for or not, and a paused channel would spin.
    """

    def __init__(self, *, files: bool = False) -> None:
        """With `files`, regular files may be watched, which are always ready; epoll(7) refuses them."""
        self._poller: select.poll | select.epoll = select.poll() if files else select.epoll()
        self._second = 1000.0 if files else 1.0  # poll(2) counts milliseconds
        self._watched: dict[int, tuple[Callback | None, Callback | None]] = {}
        self._soon: list[Callable[[], None]] = []
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._running = True

    def reader(self, descriptor: int, callback: Callback | None) -> None:
        """From now on call this when there is something to read; None: nobody reads."""
        self._watch(descriptor, callback, self._watched.get(descriptor, (None, None))[1])

    def writer(self, descriptor: int, callback: Callback | None) -> None:
        """From now on call this when there is room to write; None: nobody writes."""
        self._watch(descriptor, self._watched.get(descriptor, (None, None))[0], callback)

    def forget(self, descriptor: int) -> None:
        """Watch it no more; must be called before it is closed."""
        self._watch(descriptor, None, None)

    def _watch(self, descriptor: int, reader: Callback | None, writer: Callback | None) -> None:
        before = self._watched.get(descriptor)
        if not (reader or writer):
            if before and self._watched.pop(descriptor):
                self._poller.unregister(descriptor)
            return
        self._watched[descriptor] = reader, writer
        mask = (IN if reader else 0) | (OUT if writer else 0)
        if before is None:
            self._poller.register(descriptor, mask)
        elif mask != (IN if before[0] else 0) | (OUT if before[1] else 0):
            self._poller.modify(descriptor, mask)

    def soon(self, work: Callable[[], None]) -> None:
        """Do this at the end of the round."""
        self._soon.append(work)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do this after so many seconds."""
        heapq.heappush(self._timers, (time.monotonic() + seconds, id(work), work))

    def stop(self) -> None:
        """End with this round."""
        self._running = False

    def run(self) -> None:
        """Go round until `stop` was called."""
        while self._running:
            self.round()

    def round(self) -> None:
        """Wait for events, or until a timer is due, and serve them all."""
        self._settle()  # what was asked for outside of a round
        for descriptor, events in self._poller.poll(self._patience()):
            # Asked for each time: a callback may have stopped the other one, or closed the descriptor.
            if events & ~OUT and (reader := self._watched.get(descriptor, (None, None))[0]):
                reader(events)
            if events & ~IN and (writer := self._watched.get(descriptor, (None, None))[1]):
                writer(events)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
        self._settle()

    def _patience(self) -> float | None:
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic()) * self._second

    def _settle(self) -> None:
        while self._soon:
            work, self._soon = self._soon, []
            for task in work:
                task()
