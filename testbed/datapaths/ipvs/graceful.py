"""Real servers that are on their way out: no new connections, and they go when the old ones have ended.

As kube-proxy's pkg/proxy/ipvs/graceful_termination.go: a real server of TCP with connections gets the weight 0 and
is looked at each minute; one of UDP or SCTP goes at once, and so does one without connections. Who comes back
before it has gone gets its weight again. Pure: says what is to be done, and remembers who is waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from testbed.datapaths.ipvs.items import PROTOCOLS, Real, Server
from testbed.datapaths.ipvs.netlink import genl
from testbed.datapaths.ipvs.netlink.genl import RealState
from testbed.proxier.plan import Protocol

LOOK_SECONDS = 60.0
"""rsCheckDeleteInterval."""


class Leaving:
    """Who is waited for on one node."""

    def __init__(self) -> None:
        self._waiting: dict[Server, set[Real]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def servers(self) -> tuple[Server, ...]:
        """The virtual servers with real ones that are waited for."""
        return tuple(self._waiting)

    def of(self, server: Server) -> frozenset[Real]:
        """The real servers of one that are waited for."""
        return frozenset(self._waiting.get(server, ()))

    @staticmethod
    def waits_for(server: Server) -> bool:
        """True if connections to this virtual server's real ones are waited for."""
        return server.protocol == PROTOCOLS[Protocol.TCP]

    def go(self, server: Server, reals: Mapping[Real, RealState]) -> Iterator[tuple[bytes, object]]:
        """Requests that let real servers go, now or later."""
        for real, state in reals.items():
            if self.waits_for(server) and state.active + state.inactive:
                self._waiting.setdefault(server, set()).add(real)
                if state.weight:
                    yield from genl.put_reals(genl.SET_DEST, server, [(real, 0)])
            else:
                yield from genl.del_reals(server, [real])
                self._done(server, [real])

    def stays(self, server: Server, reals: Collection[Real]) -> frozenset[Real]:
        """These are wanted again; returns those of them that were waited for, which the kernel still has."""
        back = self.of(server).intersection(reals)
        self._done(server, back)
        return back

    def forget(self, servers: Iterable[Server]) -> None:
        """These virtual servers are gone, and their real ones with them."""
        for server in servers:
            self._waiting.pop(server, None)

    def look(self, server: Server, there: Mapping[Real, RealState]) -> Iterator[tuple[bytes, object]]:
        """Requests that let go who has no connections any more; who is not there is not waited for."""
        waiting = self.of(server)
        self._done(server, [real for real in waiting if real not in there])
        yield from self.go(server, {real: state for real, state in there.items() if real in waiting})

    def _done(self, server: Server, reals: Iterable[Real]) -> None:
        waiting = self._waiting.get(server)
        if waiting is not None:
            waiting.difference_update(reals)
            if not waiting:
                del self._waiting[server]
