"""Probes for real: sockets opened in the node's namespace, as kubelet's are, and commands in the pod's.

One thread with an event loop runs them all; a few more run commands. Knows how to ask; what the answers mean
for the container is `probe.Verdict` and `container.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import h11

from testbed.cluster.kubelet.contract import Cancel, Outcome, Report, Target
from testbed.cluster.kubelet.probe import Action, Exec, HttpGet, Probe, TcpSocket, Unsupported
from testbed.errors import TestbedError
from testbed.machine.netns import FOLDER, Netns

Finding = tuple[Outcome, str]
COMMANDS_AT_ONCE = 8
ANSWER_LIMIT = 10 * 1024  # bytes; kubelet reads no more of an answer either (pkg/probe/http)


class NetworkProber:
    """Probes through this machine's network namespaces, named in `folder`."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._commands = ThreadPoolExecutor(COMMANDS_AT_ONCE, "kubelet-exec")
        self._thread = threading.Thread(target=self._loop.run_forever, name="kubelet-prober", daemon=True)
        self._thread.start()

    def start(self, probe: Probe, target: Target, report: Report) -> Cancel:
        """Probe again and again; see contract.Prober."""
        return self._spawn(self._repeat(probe, target, report))

    def once(self, action: Action, target: Target, timeout: float, report: Report) -> None:
        """Do it once; see contract.Prober."""

        async def attempt() -> None:
            report(*await self._attempt(action, target, timeout))

        self._spawn(attempt())

    def stop(self) -> None:
        """End all probes; nothing is reported any more."""
        asyncio.run_coroutine_threadsafe(self._cancel_all(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._commands.shutdown()
        self._loop.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> Cancel:
        """Run it in the loop; what is returned cancels it, from any thread."""
        future = asyncio.run_coroutine_threadsafe(self._kept(work), self._loop)
        return lambda: (future.cancel(), None)[1]

    async def _kept(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await work
        finally:
            self._tasks.discard(task)

    async def _cancel_all(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, probe: Probe, target: Target, report: Report) -> None:
        """By the clock, not by the end of the last attempt, as kubelet's ticker does."""
        due = self._loop.time() + probe.initial_delay
        while True:
            await asyncio.sleep(due - self._loop.time())
            report(*await self._attempt(probe.action, target, probe.timeout))
            due = max(due + probe.period, self._loop.time())

    async def _attempt(self, action: Action, target: Target, timeout: float) -> Finding:
        try:
            async with asyncio.timeout(timeout):
                match action:
                    case Unsupported(reason):
                        return Outcome.UNKNOWN, reason
                    case Exec(argv):
                        return await self._exec(argv, target, timeout)
                    case TcpSocket():
                        return await self._tcp(action, target)
                    case HttpGet():
                        return await self._http(action, target)
        except TimeoutError:
            return Outcome.FAILURE, f"no answer within {timeout:g} s"
        except (OSError, TestbedError, ValueError, h11.ProtocolError) as error:
            return Outcome.FAILURE, _told(error)  # ValueError: a path or header that no request can carry

    async def _exec(self, argv: tuple[str, ...], target: Target, timeout: float) -> Finding:
        # timeout(1) ends the command's whole process group, and it runs inside, where a child could hide.
        seconds = max(timeout, 0.1)  # it takes 0 for "no limit"
        bounded = target.enter(("timeout", "--signal=KILL", f"{seconds}", *argv))
        run = partial(Netns(target.pod_netns, self._folder).run, bounded, check=False)
        result = await asyncio.shield(self._loop.run_in_executor(self._commands, run))
        said = (result.stdout + result.stderr).strip()[:ANSWER_LIMIT]
        return (Outcome.SUCCESS if result.status == 0 else Outcome.FAILURE), said

    async def _tcp(self, action: TcpSocket, target: Target) -> Finding:
        with await self._connect(action.host or target.ip, action.port, target):
            return Outcome.SUCCESS, ""

    async def _http(self, action: HttpGet, target: Target) -> Finding:
        host = action.host or target.ip
        sock = await self._connect(host, action.port, target)
        tls = _without_verification() if action.scheme.upper() == "HTTPS" else None
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=tls, server_hostname="" if tls else None
        )
        try:
            conn = h11.Connection(h11.CLIENT)
            writer.write(b"".join(conn.send(event) or b"" for event in _request(action, host)))
            status = await _status(conn, reader)
        finally:
            writer.close()
        good = 200 <= status < 400
        return (
            (Outcome.SUCCESS, "")
            if good
            else (Outcome.FAILURE, f"HTTP probe failed with statuscode: {status}")
        )

    async def _connect(self, ip: str, port: int, target: Target) -> socket.socket:
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        sock = Netns(target.node_netns, self._folder).socket(family, socket.SOCK_STREAM)
        with contextlib.ExitStack() as unless_connected:
            unless_connected.enter_context(sock)
            sock.setblocking(False)
            await self._loop.sock_connect(sock, (ip, port))
            unless_connected.pop_all()
        return sock


def _told(error: Exception) -> str:
    """What went wrong, in the kernel's words where the kernel said it (asyncio adds words of its own)."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, (ssl.SSLError, socket.gaierror)):
        return os.strerror(error.errno)
    return str(error)


def _request(action: HttpGet, host: str) -> tuple[h11.Request, h11.EndOfMessage]:
    """What kubelet sends (pkg/probe/http/request.go)."""
    where = f"[{host}]" if ":" in host else host
    given = {name.lower() for name, _ in action.headers}
    defaults = (("Host", f"{where}:{action.port}"), ("User-Agent", "kube-probe/1.36"), ("Accept", "*/*"))
    kept = [(name, value) for name, value in defaults if name.lower() not in given]
    headers = [*kept, *action.headers, ("Connection", "close")]
    return h11.Request(method="GET", target=action.path, headers=headers), h11.EndOfMessage()


async def _status(conn: h11.Connection, reader: asyncio.StreamReader) -> int:
    """The status of the answer; its body is nobody's concern."""
    while True:
        event = conn.next_event()
        if isinstance(event, h11.Response):
            return event.status_code
        if event is h11.NEED_DATA:
            conn.receive_data(await reader.read(ANSWER_LIMIT))


def _without_verification() -> ssl.SSLContext:
    """Kubelet does not verify a pod's certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
