"""Sends a case's packets and tells what came back: a script that runs inside a lab's sandbox.

One JSON document per line on standard input, one on standard output. What it does to hosts is told in `hosts.py`:

    {"prepare": [NETNS, ...]}, {"reset": [NETNS, ...]}, {"add": [[NETNS, ADDRESS], ...]}    -> null
    {"lose": NETNS, "datapath", "options"}, {"release": true}                                      -> null
    {"addresses": [NETNS, ...]}                                        -> {NETNS: [ADDRESS, ...], ...}
    {"send": [{"netns", "address", "port", "protocol", "count", "patience", "via", "controls",
               "size", "path", "source_port", "sources", "every", "until_another", "hold"}, ...],
     "controls": [{"netns", "address", "port", "protocol"}, ...]}
        -> for each packet, for each time: [[{"outcome", "identity", "retransmitted", "note"}, ...], ...]

Silence is hard to tell from slowness on a busy machine, so it is proved: after `patience` seconds without
an answer the controls are sent, to places that must answer over the same queues and by the same servers;
only when all have answered, and this one has not after `patience` seconds more, is it silent. Held connections
stay open until `release`, or until the script ends. A datagram
is sent once; a connection whose SYN or data the kernel sent again is marked, so that a drop cannot pass for an
answer.

Knows sockets and namespaces; knows neither cases nor Kubernetes.
"""

from __future__ import annotations

import errno
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.datapaths import find
from testbed.errors import TestbedError
from testbed.machine.netns import FOLDER, Netns
from tests.net.echo import UNREACHABLE, Ping
from tests.net.hosts import Hosts
from tests.net.questions import question
from tests.waiting import until

CONTROL_PATIENCE = 20.0  # seconds; a machine slower than this cannot be judged
ENDINGS = ("silent", "unreachable", "broken")  # after these a packet is not sent again
IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h
TOTAL_RETRANS = 100  # offset of tcpi_total_retrans in struct tcp_info (linux/tcp.h), a u32
KINDS = {
    "TCP": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "UDP": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "SCTP": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),  # one-to-one style, RFC 6458
}

Json = dict[str, Any]


class Attempt:
    """One packet (for TCP: one connection and one question) and what became of it."""

    def __init__(self, send: Mapping[str, Any], folder: Path, source: str = "") -> None:
        self.protocol, self.patience = send["protocol"], send.get("patience", CONTROL_PATIENCE)
        self.question = question(self.protocol, send.get("size", 0), send.get("path", ""))
        family = socket.AF_INET6 if ":" in send["address"] else socket.AF_INET
        self.socket = Netns(send["netns"], folder).socket(family, *KINDS[self.protocol])
        self.socket.setblocking(False)
        if self.protocol == "TCP":
            _report_errors(self.socket)
        self.unsent = self.question.words
        self.connected = False
        self.retransmitted = False
        self.answer: Json | None = None
        self._guarded(
            lambda: self._connect(send["address"], send["port"], source, send.get("source_port", 0))
        )

    def wait(self, seconds: float) -> Json | None:
        """What became of it so far, after at most `seconds`; None is silence."""
        deadline = time.monotonic() + seconds
        while self.answer is None:
            poll = select.poll()
            poll.register(self.socket, select.POLLOUT if self.unsent else select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            self._guarded(self._ask if self.unsent else self._read)
        return self.answer

    def close(self) -> None:
        """Reset a connection rather than close it, so that no TIME_WAIT stays behind."""
        if self.protocol != "UDP":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _connect(self, address: str, port: int, source: str, source_port: int) -> None:
        if source_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if source_port or source:
            self.socket.bind((source, source_port))
        self.socket.connect((address, port))

    def _ask(self) -> None:
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _reported(self.socket)
        if error:
            raise OSError(error, "")
        if not self.connected:
            # Of many bytes some may be sent twice on a busy machine, which is TCP's daily work; a SYN may not.
            self.connected, self.retransmitted = True, self._sent_again()
        self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def _read(self) -> None:
        data = self.socket.recv(65536)
        identity = self.question.answered(data)
        if identity is not None:
            again = self._sent_again() if self.question.short else False
            self.answer = self._told("answered", identity=identity, retransmitted=self.retransmitted or again)
        elif not data:
            self.answer = self._told("broken", note="closed before it answered")

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something with the socket; an error of the network is an answer too."""
        try:
            action()
        except BlockingIOError:
            return
        except (ValueError, TestbedError) as error:
            self.answer = self._told("broken", note=f"no identity: {error}")
        except OSError as error:
            self._failed(error.errno or 0)

    def _failed(self, number: int) -> None:
        if number == errno.ECONNREFUSED:
            self.answer = self._told("refused")
        elif number in UNREACHABLE:
            self.answer = self._told("unreachable")
        elif number == errno.EPERM:
            # A node's own datagram that its rules drop on the way out: its sender is told so. To a case it
            # is a drop like any other, so go on waiting for the answer that cannot come.
            self.unsent = b""
        else:
            self.answer = self._told("broken", note=errno.errorcode.get(number, str(number)))

    @staticmethod
    def _told(
        outcome: str, identity: Json | None = None, note: str = "", *, retransmitted: bool = False
    ) -> Json:
        return {
            "outcome": outcome,
            "identity": identity or {},
            "retransmitted": retransmitted,
            "note": note,
        }

    def _sent_again(self) -> bool:
        if self.protocol != "TCP":
            return False
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return bool(struct.unpack_from("I", info, TOTAL_RETRANS)[0])


def _report_errors(tcp: socket.socket) -> None:
    """Have ICMP errors queued (ip(7), IP_RECVERR).

    An error that comes back at once finds the socket still owned by connect(2), which then only notes it and
    waits a second for the retransmission (net/ipv4/tcp_ipv4.c, tcp_v4_err); the queue tells it all the same.
    """
    if tcp.family == socket.AF_INET6:
        tcp.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    else:
        tcp.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def _reported(sock: socket.socket) -> int:
    """The error number at the head of the socket's error queue, or 0 (struct sock_extended_err, ee_errno)."""
    try:
        _, ancillary, _, _ = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        return 0
    return int(struct.unpack_from("I", ancillary[0][2])[0]) if ancillary else 0


@dataclass(slots=True)
class Sender:
    """Sends from the namespaces that are named in `folder`."""

    folder: Path = FOLDER
    hosts: Hosts = field(init=False)
    _held: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hosts = Hosts(self.folder)

    def send_all(self, request: Mapping[str, Any]) -> list[list[Json]]:
        """Every packet of a request, one after the other."""
        answers = []
        for send in request["send"]:
            if send["via"]:
                self.hosts.route(send["netns"], send["address"], send["via"])
            answers.append([*self._repeated(send, request["controls"])])
        return answers

    def _repeated(self, send: Json, controls: Sequence[Json]) -> Iterator[Json]:
        """Send a packet as often as asked, but not again after silence: that would only cost its patience again.

        With `until_another` no further than to the first answer of another pod than before.
        """
        pods = set()
        for number in range(send["count"]):
            if number and send.get("every"):
                _let_pass(send["every"])
            answer = self.send(send, controls, number)
            yield answer
            pods.add(answer["identity"].get("pod"))
            if answer["outcome"] in ("silent", "unreachable", "broken") or (
                send.get("until_another") and len(pods) > 1
            ):
                return

    def send(self, send: Json, controls: Sequence[Json], number: int = 0) -> Json:
        """Send one packet, the one with this number in a row, and wait for what becomes of it."""
        one = self._attempt(send, number)
        try:
            return one.wait(one.patience) or self._silence(one, [*send["controls"], *controls])
        finally:
            if send.get("hold") and isinstance(one, Attempt):
                self._held.append(one)
            else:
                one.close()

    def release(self) -> None:
        """Close what is held open."""
        while self._held:
            self._held.pop().close()

    def _attempt(self, send: Json, number: int) -> Attempt | Ping:
        if send["protocol"] == "ICMP":
            return Ping(Netns(send["netns"], self.folder), send["address"], send["patience"])
        sources = send.get("sources") or [""]
        return Attempt(send, self.folder, sources[number % len(sources)])

    def _silence(self, one: Attempt | Ping, controls: Sequence[Json]) -> Json:
        """Silent, if all controls answer and this one still does not."""
        failed = [text for text in map(self._control, controls) if text]
        if failed:
            return {"outcome": "broken", "identity": {}, "note": f"cannot be judged: {'; '.join(failed)}"}
        return one.wait(one.patience) or {"outcome": "silent", "identity": {}}

    def _control(self, send: Json) -> str:
        """Send what must be answered or refused; empty if it was, else what happened."""
        one = Attempt(send, self.folder)
        try:
            answer = one.wait(one.patience)
        finally:
            one.close()
        if answer is not None and answer["outcome"] in ("answered", "refused"):
            return ""
        what = "silent" if answer is None else f"{answer['outcome']} {answer['note']}"
        return f"control from {send['netns']} to {send['address']}:{send['port']}: {what}"

    def answer(self, request: Mapping[str, Any]) -> Any:
        """What a request asks for; see above."""
        match request:
            case {"prepare": names}:
                self.hosts.prepare(names)
            case {"reset": names}:
                self.hosts.reset(names)
            case {"release": _}:
                self.release()
            case {"add": pairs}:
                self.hosts.add_addresses(pairs)
            case {"lose": name, "datapath": datapath, "options": options}:
                find.load(datapath, options).remove(Netns(name, self.folder))
            case {"addresses": names}:
                return self.hosts.addresses(names)
            case {"send": _}:
                return self.send_all(request)
        return None


def _let_pass(seconds: float) -> None:
    """Until so much time is over: what is waited for here is the clock itself."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, f"{seconds:g} s", timeout=2 * seconds + 1)


def main() -> None:
    """Answer requests until the input ends."""
    sender = Sender()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(sender.answer(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
