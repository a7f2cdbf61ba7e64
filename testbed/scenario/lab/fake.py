"""A learner's cluster made of dictionaries: what facts and checks ask of one, for tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from testbed.errors import NotFound
from testbed.scenario.lab.rules import Rules
from testbed.scenario.lab.running import Answer, Object, Target

Network = Callable[[str, Target], Answer]
"""What becomes of the next connection from a place to a target."""


@dataclass(slots=True)
class FakeCluster:
    """Objects by kind, iptables-save's text and remembered sources by node, addresses by place, and a network."""

    kinds: Mapping[str, Sequence[Object]] = field(default_factory=dict)
    tables: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Collection[str]]] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    network: Network = lambda *_: Answer("dropped")
    datapaths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    counter: int = 0  # of packets; one more each time that it is looked at
    pauses: list[float] = field(default_factory=list)

    def objects(self, kind: str) -> Sequence[Object]:
        """See `running.Cluster`."""
        return self.kinds.get(kind, ())

    def rules(self, node: str) -> Rules:
        """See `running.Cluster`."""
        return Rules(self.tables[node])

    def shown(self, node: str) -> str:
        """See `running.Cluster`."""
        return self.tables[node]

    def present(self, node: str) -> Sequence[str]:
        """See `running.Cluster`."""
        return self.datapaths.get(node, ())

    def counted(self, node: str, chain: str) -> int:  # noqa: ARG002 - one rule, so one counter
        """See `running.Cluster`."""
        self.counter += 1
        return self.counter - 1

    def remembered(self, node: str) -> Mapping[str, Collection[str]]:
        """See `running.Cluster`."""
        return self.sources.get(node, {})

    def address(self, place: str) -> str:
        """See `running.Cluster`."""
        if place not in self.addresses:
            raise NotFound(f"there is no {place}")
        return self.addresses[place]

    def connect(self, place: str, target: Target, count: int) -> Sequence[Answer]:
        """See `running.Cluster`."""
        return [self.network(place, target) for _ in range(count)]

    def pause(self, seconds: float) -> None:
        """Noted; no time passes."""
        self.pauses.append(seconds)
