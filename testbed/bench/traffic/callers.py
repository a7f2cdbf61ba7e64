"""Callers at a steady rate while something is changed: `python -m testbed.bench.traffic.callers` in a sandbox.

    request   {"ways": [{"netns", "address", "port"}, …], "rate": 200}   new connections a second, over all ways
    answer    {"standing": [true, …]}     by way; HELD connections of each are kept, and asked again and again
    request   {"stop": true}
    answer    {"attempts": [[way, began, ended, outcome], …], "held": [[way, outcome, longest pause], …]}

Times are CLOCK_MONOTONIC's in seconds. A pod's server answers the first line with its identity, then echoes.
Outcome of an attempt: answered, refused, broken, silent. Of a held connection: kept, broken, silent.
Knows sockets and namespaces; knows nothing of what is changed meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from testbed.machine.netns import Netns

PATIENCE = 3.0  # seconds without an answer; a lost SYN is sent again after one and after three (RFC 6298)
ASK_AGAIN = 0.02  # seconds between an answer on a held connection and its next question
HELD = 5  # connections of each way
QUESTION = b"?\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a reset leaves no TIME_WAIT behind

Way = Mapping[str, Any]


class Loop:
    """Sockets that wait, and things that are due."""

    def __init__(self) -> None:
        self.poll = select.epoll()
        self.waiting: dict[int, Callable[[], None]] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, task: Callable[[], None]) -> None:
        """Do it then."""
        heapq.heappush(self._due, (moment, next(self._order), task))

    def watch(self, descriptor: int, events: int, task: Callable[[], None]) -> None:
        """Do it whenever the descriptor is ready."""
        self.waiting[descriptor] = task
        self.poll.register(descriptor, events)

    def turn(self) -> None:
        """Wait for what comes first, and do it."""
        pause = max(0.0, self._due[0][0] - time.monotonic()) if self._due else 0.1
        for descriptor, _ in self.poll.poll(pause):
            if descriptor in self.waiting:
                self.waiting[descriptor]()
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()


class Call:
    """One connection: opened, asked, answered. `over` is called once, with the outcome."""

    def __init__(self, loop: Loop, way: Way, over: Callable[[str], None]) -> None:
        self.loop, self._over = loop, over
        self.began, self.connected, self.done = time.monotonic(), False, False
        family = socket.AF_INET6 if ":" in way["address"] else socket.AF_INET
        self.socket = Netns(way["netns"]).socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        loop.watch(self.socket.fileno(), select.EPOLLOUT, self._ready)
        loop.at(self.began + PATIENCE, lambda: self.finish("silent") if not self.connected else None)
        failure = self.socket.connect_ex((way["address"], way["port"]))
        if failure not in (0, errno.EINPROGRESS):
            self.finish(_outcome(failure))

    def _ready(self) -> None:
        try:
            failure = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failure:
                self.finish(_outcome(failure))
            elif not self.connected:
                self.connected = True
                self.loop.poll.modify(self.socket, select.EPOLLIN)
                self.ask()
            elif self.socket.recv(4096):
                self.heard()
            else:
                self.finish("broken")
        except BlockingIOError:
            return
        except OSError as error:
            self.finish(_outcome(error.errno or 0))

    def ask(self) -> None:
        """A question; what is not answered in time is silence."""
        asked = self.socket.send(QUESTION) and time.monotonic()
        self.loop.at(asked + PATIENCE, self._tired)

    def _tired(self) -> None:
        self.finish("silent")

    def heard(self) -> None:
        """An answer."""
        self.finish("answered")

    def finish(self, outcome: str) -> None:
        """It is over, once."""
        if not self.done:
            self.done = True
            self.loop.waiting.pop(self.socket.fileno(), None)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.socket.close()
            self._over(outcome)


class Held(Call):
    """A connection that is kept and asked again and again; silence does not end it, since it may come back."""

    def __init__(self, loop: Loop, way: Way) -> None:
        self.outcome, self.longest, self.standing = "", 0.0, False
        self._asked = 0.0  # when the question was sent that is not answered yet; 0 if there is none
        super().__init__(loop, way, self._end)

    def ask(self) -> None:
        """The next question, while it stands."""
        if not self.done:
            try:
                self._asked = time.monotonic()
                self.socket.send(QUESTION)
            except OSError as error:
                self.finish(_outcome(error.errno or 0))

    def heard(self) -> None:
        """An answer: the next question comes soon. What comes unasked is the rest of the last answer."""
        if not self._asked:
            return
        now = time.monotonic()
        self.standing, self.longest, self._asked = True, max(self.longest, now - self._asked), 0.0
        self.loop.at(now + ASK_AGAIN, self.ask)

    @property
    def waits(self) -> bool:
        """True while a question is not answered."""
        return not self.done and self._asked > 0.0

    def result(self) -> tuple[str, float]:
        """What became of it, and the longest time between a question and its answer (or now)."""
        unanswered = time.monotonic() - self._asked if self.waits else 0.0
        outcome = self.outcome or ("silent" if unanswered > PATIENCE / 2 else "kept")
        return outcome, max(self.longest, unanswered)

    def _end(self, outcome: str) -> None:
        self.outcome = "broken" if self.standing else outcome


class Callers:
    """All ways: new connections in turn, and one held connection each."""

    def __init__(self, loop: Loop, ways: Sequence[Way], rate: float) -> None:
        self.loop, self._ways, self._period = loop, ways, 1.0 / rate
        self.attempts: list[tuple[int, float, float, str]] = []
        self.held = [(number, Held(loop, way)) for number, way in enumerate(ways) for _ in range(HELD)]
        self._turns = itertools.cycle(range(len(ways)))
        self.open = 0
        self.stopped = False

    def stand(self) -> list[bool]:
        """Wait until every held connection has answered once or will not; which ones stand."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not all(held.standing or held.done for _, held in self.held):
            self.loop.turn()
        standing = {number for number, held in self.held if held.standing}
        return [number in standing for number in range(len(self._ways))]

    def begin(self) -> None:
        """New connections from now on, over the ways that stand."""
        standing = sorted({number for number, held in self.held if held.standing})
        if standing:
            self._turns = itertools.cycle(standing)
            self._tick(time.monotonic())

    def _tick(self, moment: float) -> None:
        if self.stopped:
            return
        self._call(next(self._turns))
        # Behind by much, it is no use to catch up: the machine is too busy for the rate.
        following = max(moment + self._period, time.monotonic() - 10 * self._period)
        self.loop.at(following, lambda: self._tick(following))

    def _call(self, way: int) -> None:
        began = time.monotonic()
        self.open += 1

        def over(outcome: str) -> None:
            self.open -= 1
            self.attempts.append((way, began, time.monotonic(), outcome))

        Call(self.loop, self._ways[way], over)

    def stop(self) -> dict[str, Any]:
        """No more new ones; what is under way may end."""
        self.stopped = True
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and (self.open or any(held.waits for _, held in self.held)):
            self.loop.turn()
        results = [(number, *held.result()) for number, held in self.held if held.standing]
        return {"attempts": self.attempts, "held": results}


def _outcome(failure: int) -> str:
    return "refused" if failure == errno.ECONNREFUSED else "broken"


def serve() -> None:
    """One order, one stop."""
    order = json.loads(sys.stdin.readline())
    loop = Loop()
    callers = Callers(loop, order["ways"], float(order["rate"]))
    _say({"standing": callers.stand()})
    callers.begin()
    asked = False
    os.set_blocking(0, False)
    while not asked:
        loop.turn()
        with contextlib.suppress(BlockingIOError):
            os.read(0, 4096)  # the request to stop, or the end of the input
            asked = True
    _say(callers.stop())


def _say(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve()
