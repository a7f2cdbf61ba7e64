"""A node's connection tracking and its listening sockets, in memory: for tests of who uses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from testbed.cluster.kubeproxy.http import Answer, Handler
from testbed.errors import KernelStateError
from testbed.machine.conntrack import Flow
from testbed.proxier.plan import IPAddress


@dataclass(slots=True)
class FakeFlows:
    """See `cleanup.Flows`. Fails as long as `refuses` says why; `asked` are the ports that were asked for."""

    flows: dict[int, list[Flow]] = field(default_factory=dict)  # by address family
    refuses: str = ""
    asked: list[int | None] = field(default_factory=list)

    def udp(self, family: int, port: int | None = None) -> Iterator[Flow]:
        """The flows of a family, or those to one port."""
        if self.refuses:
            raise KernelStateError(self.refuses)
        self.asked.append(port)
        yield from [f for f in self.flows.get(family, ()) if port in (None, f.destination[1])]

    def delete(self, family: int, flows: Sequence[Flow]) -> int:
        """Forget flows; returns how many there were."""
        before = self.flows.get(family, [])
        self.flows[family] = [flow for flow in before if flow not in flows]
        return len(before) - len(self.flows[family])


@dataclass(slots=True)
class FakeSockets:
    """See `healthcheck.Listen`: what is open, by address and port. Ports in `taken` are refused."""

    open: dict[tuple[str, int], Handler] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)

    def listen(self, address: IPAddress, port: int, handler: Handler) -> FakeListener:
        """Serve; raises KernelStateError if the port is taken."""
        place = (str(address), port)
        if port in self.taken or place in self.open:
            raise KernelStateError(f"cannot serve {address} port {port}: Address already in use")
        self.open[place] = handler
        return FakeListener(self, place)

    def get(self, address: str, port: int, path: str = "/") -> Answer:
        """What a client would be answered."""
        return self.open[address, port](path)


@dataclass(frozen=True, slots=True)
class FakeListener:
    """One open socket."""

    sockets: FakeSockets
    place: tuple[str, int]

    def close(self) -> None:
        """Free the port."""
        del self.sockets.open[self.place]
