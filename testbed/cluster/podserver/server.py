"""The pods that are served now: opened and closed as a whole, port by port.

Knows which protocol belongs to which port. Knows nothing of the pipe through which it is asked.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from testbed.cluster.podserver import datagram
from testbed.cluster.podserver.http import Http
from testbed.cluster.podserver.sockets import BACKLOG, open_socket
from testbed.cluster.podserver.spec import DISCARD, ECHO, PodSpec, Port, PortError
from testbed.cluster.podserver.stream import Discard, Echo, Served, protocol_for
from testbed.errors import KernelStateError
from testbed.machine.netns import Netns


class OpenPod:
    """The sockets of one pod."""

    def __init__(self) -> None:
        self.streams: list[tuple[asyncio.Server, Served]] = []
        self.datagrams: list[asyncio.DatagramTransport | socket.socket] = []

    def close(self) -> None:
        """Close everything at once, as the death of a process would: connections are not flushed."""
        for server, served in self.streams:
            server.close()
            for connection in tuple(served.connections):
                connection.abort()
        for sock in self.datagrams:
            sock.close()


def _asked(stream: tuple[asyncio.Server, Served]) -> bool:
    """True if somebody may still be asking for something."""
    return any(not isinstance(each.get_protocol(), (Echo, Discard)) for each in stream[1].connections)


class Server:
    """Serves pods whose namespaces are named in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pods: dict[str, OpenPod] = {}

    async def open(self, specs: Sequence[PodSpec]) -> list[PortError]:
        """Open pods; one that is open already is closed first. Returns the ports that could not be opened."""
        self.close(spec.key for spec in specs)
        errors: list[PortError] = []
        for spec in specs:
            pod = self._pods[spec.key] = OpenPod()
            for port in spec.ports:
                try:
                    await self._open_port(pod, spec, port)
                except KernelStateError as error:
                    errors.append(PortError(spec.key, port.port, port.protocol, str(error)))
        return errors

    def close(self, keys: Iterable[str]) -> None:
        """Close pods; a key that is not open is left alone."""
        for key in keys:
            pod = self._pods.pop(key, None)
            if pod is not None:
                pod.close()

    def drain(self, keys: Iterable[str]) -> list[str]:
        """Let each connection end with its next answer; the keys of pods that still have any.

        Connections that only echo or discard do not count: nothing tells when they have come to their end.
        """
        known = {key: self._pods[key] for key in keys if key in self._pods}
        for pod in known.values():
            for _, served in pod.streams:
                served.draining = True
        return [key for key, pod in known.items() if any(map(_asked, pod.streams))]

    async def _open_port(self, pod: OpenPod, spec: PodSpec, port: Port) -> None:
        sock = open_socket(Netns(spec.netns, self._folder), port)
        loop = asyncio.get_running_loop()
        if sock.type == socket.SOCK_STREAM:
            served = Served(spec.identity, port)
            server = await loop.create_server(protocol_for(served, Http), sock=sock, backlog=BACKLOG)
            pod.streams.append((server, served))
        elif port.name == DISCARD:
            pod.datagrams.append(sock)  # the kernel drops everything; nobody ever reads
        else:
            answer = datagram.Echo() if port.name == ECHO else datagram.Identify(spec.identity, port)
            transport, _ = await loop.create_datagram_endpoint(lambda: answer, sock=sock)
            pod.datagrams.append(transport)
