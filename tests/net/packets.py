"""Sends a case's packets and tells what came back: a script that runs inside a lab's sandbox.

One JSON document per line on standard input, one on standard output:

    {"addresses": [NETNS, ...]}
        -> {NETNS: [ADDRESS, ...], ...}
    {"send": [{"netns", "address", "port", "protocol", "count", "patience", "via", "controls"}, ...],
     "controls": [{"netns", "address", "port", "protocol"}, ...]}
        -> for each packet, for each time: [[{"outcome", "identity", "retransmitted", "note"}, ...], ...]

Silence is hard to tell from slowness on a busy machine, so it is proved: after `patience` seconds without
an answer the controls are sent, to places that must answer over the same queues and by the same servers;
only when all have answered, and this one has not after `patience` seconds more, is it silent. A datagram
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.machine.netns import FOLDER, Netns

CONTROL_PATIENCE = 20.0  # seconds; a machine slower than this cannot be judged
IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h
TOTAL_RETRANS = 100  # offset of tcpi_total_retrans in struct tcp_info (linux/tcp.h), a u32
QUESTION = b"who is there?\n"

Json = dict[str, Any]


class Attempt:
    """One packet (for TCP: one connection and one line) and what became of it."""

    def __init__(self, send: Mapping[str, Any], folder: Path) -> None:
        self.protocol, self.patience = send["protocol"], send.get("patience", CONTROL_PATIENCE)
        family = socket.AF_INET6 if ":" in send["address"] else socket.AF_INET
        kind = socket.SOCK_STREAM if self.protocol == "TCP" else socket.SOCK_DGRAM
        self.socket = Netns(send["netns"], folder).socket(family, kind)
        self.socket.setblocking(False)
        if self.protocol == "TCP":
            _report_errors(self.socket)
        self.received = b""
        self.asked = False
        self.answer: Json | None = None
        self._guarded(lambda: self.socket.connect((send["address"], send["port"])))

    def wait(self, seconds: float) -> Json | None:
        """What became of it so far, after at most `seconds`; None is silence."""
        deadline = time.monotonic() + seconds
        while self.answer is None:
            events = select.POLLIN if self.asked else select.POLLOUT
            poll = select.poll()
            poll.register(self.socket, events)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            self._guarded(self._read if self.asked else self._ask)
        return self.answer

    def close(self) -> None:
        """Reset a connection rather than close it, so that no TIME_WAIT stays behind."""
        if self.protocol == "TCP":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _ask(self) -> None:
        error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or _reported(self.socket)
        if error:
            raise OSError(error, "")
        self.socket.send(QUESTION)
        self.asked = True

    def _read(self) -> None:
        data = self.socket.recv(65536)
        self.received += data
        whole = self.protocol == "UDP" or b"\n" in self.received
        if whole:
            self.answer = self._told("answered", identity=json.loads(self.received.partition(b"\n")[0]))
        elif not data:
            self.answer = self._told("broken", note="closed before it answered")

    def _guarded(self, action: Any) -> None:
        """Do something with the socket; an error of the network is an answer too."""
        try:
            action()
        except BlockingIOError:
            return
        except ValueError as error:
            self.answer = self._told("broken", note=f"no identity: {error}")
        except OSError as error:
            self._failed(error.errno or 0)

    def _failed(self, number: int) -> None:
        if number == errno.ECONNREFUSED:
            self.answer = self._told("refused")
        elif number == errno.EPERM:
            # A node's own datagram that its rules drop on the way out: its sender is told so. To a case it
            # is a drop like any other, so go on waiting for the answer that cannot come.
            self.asked = True
        else:
            self.answer = self._told("broken", note=errno.errorcode.get(number, str(number)))

    def _told(self, outcome: str, identity: Json | None = None, note: str = "") -> Json:
        return {
            "outcome": outcome,
            "identity": identity or {},
            "retransmitted": self._retransmitted(),
            "note": note,
        }

    def _retransmitted(self) -> bool:
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


def _reported(tcp: socket.socket) -> int:
    """The error number at the head of the socket's error queue, or 0 (struct sock_extended_err, ee_errno)."""
    try:
        _, ancillary, _, _ = tcp.recvmsg(0, 512, socket.MSG_ERRQUEUE)
    except BlockingIOError:
        return 0
    return int(struct.unpack_from("I", ancillary[0][2])[0]) if ancillary else 0


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends from the namespaces that are named in `folder`."""

    folder: Path = FOLDER

    def send_all(self, request: Mapping[str, Any]) -> list[list[Json]]:
        """Every packet of a request, one after the other."""
        answers = []
        for send in request["send"]:
            if send["via"]:
                self.route(send["netns"], send["address"], send["via"])
            answers.append([*self._repeated(send, request["controls"])])
        return answers

    def _repeated(self, send: Json, controls: Sequence[Json]) -> Iterator[Json]:
        """Send a packet as often as asked, but not again after silence: that would only cost its patience again."""
        for _ in range(send["count"]):
            answer = self.send(send, controls)
            yield answer
            if answer["outcome"] in ("silent", "broken"):
                return

    def send(self, send: Json, controls: Sequence[Json]) -> Json:
        """Send one packet and wait for what becomes of it."""
        one = Attempt(send, self.folder)
        try:
            return one.wait(one.patience) or self._silence(one, [*send["controls"], *controls])
        finally:
            one.close()

    def _silence(self, one: Attempt, controls: Sequence[Json]) -> Json:
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

    def route(self, netns: str, address: str, via: str) -> None:
        """Let a client send to an address by way of a node, as a router outside a cluster would."""
        family = "-6" if ":" in address else "-4"
        Netns(netns, self.folder).run(["ip", family, "route", "replace", address, "via", via])

    def addresses(self, names: Sequence[str]) -> dict[str, list[str]]:
        """The global addresses that each namespace has."""
        return {name: self._addresses(Netns(name, self.folder)) for name in names}

    @staticmethod
    def _addresses(netns: Netns) -> list[str]:
        links = json.loads(netns.run(["ip", "-j", "address", "show", "scope", "global"]).stdout)
        # An address that the filter took out leaves an empty entry behind (iproute2 6.1).
        found = [entry for link in links for entry in link.get("addr_info", ())]
        return [entry["local"] for entry in found if entry]


def main() -> None:
    """Answer requests until the input ends."""
    sender = Sender()
    for line in sys.stdin:
        request = json.loads(line)
        answer: Any = (
            sender.addresses(request["addresses"]) if "addresses" in request else sender.send_all(request)
        )
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
