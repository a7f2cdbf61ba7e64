"""Traffic at a steady rate, from many hosts to many addresses: a script that runs inside a lab's sandbox.

Reads one JSON document, {"rate", "long", "nodes", "targets": [{"service", "netns", "address", "port"}, ...]},
then sends until its input ends. Writes a JSON list for each thing that is over:

    [what, target, began, ended, outcome, pod, note]        times are CLOCK_MONOTONIC's, in seconds

    what      tcp: a new connection, asked and closed   udp: a datagram from a new port
              flow: a datagram of a flow that goes on   long: a connection that goes on, asked again and again
    outcome   answered, refused, silent, broken; the note of an answered one says if something was sent twice

Knows sockets and namespaces; knows nothing of what is right.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from testbed.machine.links import sysctl
from testbed.machine.netns import Netns

PATIENCE = 5.0  # seconds
# Datagrams' source ports, one after the other: a port that comes again while the kernel still knows its last flow
# would be part of that flow, and is no new exchange. Node ports lie below.
SOURCES = range(33_000, 60_000)
PAUSE = 0.05  # seconds between two questions of a long connection or of a flow
LIFE = (3.0, 10.0)  # seconds that a long connection or a flow lasts
RETRY = 0.5  # seconds after which a long one that could not begin is tried again
ASKED = b"?\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a reset leaves no TIME_WAIT behind
TOTAL_RETRANS = 100  # offset of tcpi_total_retrans in struct tcp_info (linux/tcp.h)
# The kernel answers one host with an ICMP error once a second only, so most refusals would look like losses.
REFUSE_ALL = {"net/ipv4/icmp_ratelimit": "0", "net/ipv6/icmp/ratelimit": "0"}
RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}

Target = Mapping[str, Any]
Task = Callable[[], None]


class Loop:
    """Sockets that wait, and things that are due."""

    def __init__(self) -> None:
        self.poll = select.epoll()
        self.sources: dict[str, Iterator[int]] = {}
        self.waiting: dict[int, Attempt] = {}
        self._timers: list[tuple[float, int, Task]] = []
        self._order = itertools.count()

    def at(self, moment: float, task: Task) -> None:
        """Do it then."""
        heapq.heappush(self._timers, (moment, next(self._order), task))

    def turn(self) -> None:
        """Wait for what comes first, and do it."""
        pause = self._timers[0][0] - time.monotonic() if self._timers else PAUSE
        for descriptor, _ in self.poll.poll(max(0.0, min(pause, PAUSE))):
            if descriptor in self.waiting:
                self.waiting[descriptor].ready()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()


class Attempt:
    """One socket; what is asked of it is over when it is answered, refused, broken, or silent for too long."""

    def __init__(self, loop: Loop, number: int, target: Target, kind: int) -> None:
        self.loop, self.number = loop, number
        family = socket.AF_INET6 if ":" in target["address"] else socket.AF_INET
        self.socket = Netns(target["netns"]).socket(family, kind | socket.SOCK_NONBLOCK)
        # Without the error queue a refusal that comes back at once is only noted, and told a second later.
        self.socket.setsockopt(*RECVERR[family], 1)
        self.stream = kind == socket.SOCK_STREAM
        self.began = time.monotonic()
        if not self.stream:
            sources = loop.sources.setdefault(target["netns"], itertools.cycle(SOURCES))
            self.socket.bind(("", next(sources)))
        self.round = 0  # how many questions were asked
        self.connected = self.open = False
        with contextlib.suppress(BlockingIOError):
            self.socket.connect((target["address"], target["port"]))
        self.descriptor = self.socket.fileno()
        self.loop.waiting[self.descriptor] = self
        self.loop.poll.register(self.descriptor, select.EPOLLOUT if self.stream else select.EPOLLIN)
        self.ask() if not self.stream else self._watch()

    def ask(self) -> None:
        """Send the question; its answer or the end of patience comes later."""
        self.began, self.open = time.monotonic(), True
        try:
            self.socket.send(ASKED)
        except ConnectionRefusedError:  # of an earlier datagram
            self.finish("refused")
        except PermissionError:  # a node's own datagram that its rules drop on the way out: silence
            self._watch()
        except OSError as error:
            self.finish("broken", note=errno.errorcode.get(error.errno or 0, ""))
        else:
            self._watch()

    def _watch(self) -> None:
        self.open = True
        self.round += 1
        self.loop.at(self.began + PATIENCE, lambda mine=self.round: self._tired(mine))  # type: ignore[misc]

    def _tired(self, mine: int) -> None:
        if self.open and mine == self.round:
            self.finish("silent")

    def ready(self) -> None:
        """Something has come."""
        try:
            refused = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or self._queued()
            if refused:
                raise OSError(refused, "")
            if self.stream and not self.connected:
                self.connected = True
                self.loop.poll.modify(self.descriptor, select.EPOLLIN)
                self.socket.send(ASKED)
                return
            data = self.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "")
            if self.open or self.stream:
                self.finish("refused" if error.errno == errno.ECONNREFUSED else "broken", note=name)
        else:
            if self.open:  # else it comes too late, and was counted as silent
                self.heard(data)

    def heard(self, data: bytes) -> None:
        """An answer, or the end of a connection. The identity is in the first one."""
        if not data:
            self.finish("broken", note="closed")
            return
        self.finish("answered", json.loads(data.split(b"\n")[0])["pod"])

    def _queued(self) -> int:
        """The error at the head of the socket's queue (struct sock_extended_err, ee_errno), or 0."""
        try:
            _, ancillary, _, _ = self.socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
        except BlockingIOError:
            return 0
        return int(struct.unpack_from("I", ancillary[0][2])[0]) if ancillary else 0

    def again(self) -> str:
        """Says so if the kernel had to send something twice."""
        if not self.stream:
            return ""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return "sent again" if struct.unpack_from("I", info, TOTAL_RETRANS)[0] else ""

    def finish(self, outcome: str, pod: str = "", note: str = "") -> None:
        """It is over: write it down, close."""
        self.tell("tcp" if self.stream else "udp", outcome, pod, note or self.again())
        self.close()

    def tell(self, what: str, outcome: str, pod: str, note: str) -> None:
        """Write down what became of the question."""
        record = [what, self.number, self.began, time.monotonic(), outcome, pod, note]
        sys.stdout.write(json.dumps(record) + "\n")

    def close(self) -> None:
        """Leave nothing behind."""
        self.open = False
        self.loop.waiting.pop(self.descriptor, None)
        if self.stream:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.socket.close()


class Lasting(Attempt):
    """A flow or a connection that is asked again and again, each time being told of, for some seconds."""

    what = "flow"

    def __init__(self, loop: Loop, number: int, target: Target, kind: int) -> None:
        self.target, self.kind = target, kind
        self.until = time.monotonic() + random.uniform(*LIFE)
        self.pod = ""
        super().__init__(loop, number, target, kind)

    def heard(self, data: bytes) -> None:
        """A stream says only once who answers, then echoes."""
        if self.stream and self.pod and data:
            self.finish("answered", self.pod)
        else:
            super().heard(data)

    def ask(self) -> None:
        """The next question, unless the connection has ended between two."""
        if self.descriptor in self.loop.waiting or not self.round:
            super().ask()

    def finish(self, outcome: str, pod: str = "", note: str = "") -> None:
        """This question is over; there is a next one, unless the connection is."""
        what = self.what if self.pod or not self.stream else "tcp"  # until it stands, it is a new connection
        note = note or ("" if self.pod else self.again())
        self.tell(what, outcome, pod or self.pod, note)
        self.open = False
        now = time.monotonic()
        if outcome == "broken" or (self.stream and outcome != "answered") or now > self.until:
            self.close()
            pause = RETRY if outcome != "answered" else PAUSE
            self.loop.at(now + pause, self.begin_anew)
            return
        self.pod = pod or self.pod
        self.loop.at(now + PAUSE, self.ask)

    def begin_anew(self) -> None:
        """The next one of its sort."""
        type(self)(self.loop, self.number, self.target, self.kind)


class Long(Lasting):
    """A connection that goes on."""

    what = "long"


def main() -> None:
    """Send until the input ends."""
    order = json.loads(sys.stdin.readline())
    for node in order["nodes"]:
        with Netns(node).entered():
            sysctl(REFUSE_ALL)
    loop, targets = Loop(), list(enumerate(order["targets"]))
    period = 1.0 / order["rate"]
    kinds = itertools.cycle((socket.SOCK_STREAM, socket.SOCK_DGRAM))

    def tick(moment: float) -> None:
        number, target = random.choice(targets)
        Attempt(loop, number, target, next(kinds))
        # Behind by more than a second, it is no use to catch up: the machine is too busy for the rate.
        following = max(moment + period, time.monotonic() - 1.0)
        loop.at(following, lambda: tick(following))

    tick(time.monotonic())
    for _ in range(order["long"]):
        for number, target in targets:
            Lasting(loop, number, target, socket.SOCK_DGRAM)
            Long(loop, number, target, socket.SOCK_STREAM)
    input_ended(loop)
    sys.stdout.flush()


def input_ended(loop: Loop) -> None:
    """Take turns until then."""
    ended = False
    os.set_blocking(sys.stdin.fileno(), False)
    while not ended:
        loop.turn()
        with contextlib.suppress(BlockingIOError):
            ended = os.read(sys.stdin.fileno(), 1) == b""


__all__: Sequence[str] = ()

if __name__ == "__main__":
    main()
