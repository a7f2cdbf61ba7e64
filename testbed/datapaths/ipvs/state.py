"""All that a node's kernel must hold, added up from its service ports, and the books that deltas need. Pure.

Several service ports may ask for one thing, so things are counted. Where two ask for the same virtual server (an
external IP given to both) the one whose key comes first has it, and a delta cannot tell who is next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from testbed.datapaths.ipvs import sets
from testbed.datapaths.ipvs.items import Element, Guard, Manner, Real, Server
from testbed.datapaths.ipvs.rules import Words
from testbed.datapaths.ipvs.service import Fragment, Site, fragment
from testbed.datapaths.ipvs.tables import Tables
from testbed.proxier.plan import Family, NodePlan, ServiceKey, ServicePlan

Servers = dict[Server, tuple[Manner, dict[Real, int]]]


T = TypeVar("T")


@dataclass(slots=True)
class Books:
    """How often each thing is asked for, and by that which sets are filled and which guards stand."""

    servers: Counter[Server] = field(default_factory=Counter)
    elements: Counter[Element] = field(default_factory=Counter)
    guards: Counter[Guard] = field(default_factory=Counter)
    filled: Counter[tuple[str, Family]] = field(default_factory=Counter)  # elements by set
    guarded: int = 0  # changes whenever a guard comes or goes

    def add(self, asked: Fragment) -> list[Element]:
        """Take in a fragment; returns the elements that are new."""
        self.servers.update(asked.servers.keys())
        self.guards.update(asked.guards)
        self.guarded += len(asked.guards)
        new = []
        for element in asked.elements:
            self.elements[element] += 1
            if self.elements[element] == 1:
                self.filled[element[:2]] += 1
                new.append(element)
        return new

    def drop(self, asked: Fragment) -> list[Element]:
        """Take a fragment out; returns the elements that nobody asks for any more."""
        _discount(self.servers, asked.servers)
        _discount(self.guards, asked.guards)
        self.guarded += len(asked.guards)
        gone = []
        for element in asked.elements:
            self.elements[element] -= 1
            if not self.elements[element]:
                del self.elements[element]
                self.filled[element[:2]] -= 1
                gone.append(element)
        return gone

    def shape(self) -> tuple[frozenset[tuple[str, Family]], int]:
        """What the iptables rules depend on: the same shape, the same rules."""
        return frozenset(each for each, count in self.filled.items() if count), self.guarded

    def tables(self, site: Site, family: Family) -> Tables:
        """The iptables rules of one family that go with these books."""
        filled = {name for (name, of), count in self.filled.items() if count and of is family}
        length = 4 if family is Family.IPV4 else 16
        guards = sorted(guard for guard in self.guards if len(guard.address) == length)
        return Words(family, site.facts, site.options.masquerade_bit, filled).tables(guards)


def _discount(counts: Counter[T], items: Iterable[T]) -> None:
    for item in items:
        counts[item] -= 1
        if not counts[item]:
            del counts[item]


@dataclass(slots=True)
class Wanted:
    """All of it."""

    servers: Servers
    books: Books

    def addresses(self) -> set[bytes]:
        """What is bound to kube-ipvs0."""
        return {element.address for element in self.books.elements if element.name == sets.IPVS_IPS}


def wanted(plan: NodePlan, site: Site) -> Wanted:
    """What the node's kernel must hold for a plan."""
    servers: Servers = {}
    books = Books()
    for family in Family:
        for service in plan.ordered(family):
            asked = fragment(service, site)
            books.add(asked)
            for server, how in asked.servers.items():
                servers.setdefault(server, how)
    return Wanted(servers, books)


@dataclass(slots=True)
class Changes:
    """What a delta does to the virtual servers and the elements, found service port by service port."""

    before: Servers = field(default_factory=dict)
    after: Servers = field(default_factory=dict)
    new: list[Element] = field(default_factory=list)
    gone: list[Element] = field(default_factory=list)

    def touched(self) -> Iterator[Server]:
        """The virtual servers that there are or will be, each once."""
        return iter({**self.before, **self.after})


def changes(
    before: Mapping[ServiceKey, ServicePlan],
    after: Mapping[ServiceKey, ServicePlan],
    books: Books,
    site: Site,
) -> Changes | None:
    """Take what changed into the books; None if two service ports want one virtual server, which is not for a delta
    to decide. The books are then of no use any more."""
    made = Changes()
    gone: list[Element] = []
    for service in before.values():
        asked = fragment(service, site)
        if any(books.servers[server] > 1 for server in asked.servers):
            return None
        gone += books.drop(asked)
        made.before.update(asked.servers)
    for service in after.values():
        asked = fragment(service, site)
        if any(books.servers[server] for server in asked.servers):
            return None
        made.new += books.add(asked)
        made.after.update(asked.servers)
    made.gone = [element for element in gone if element not in books.elements]
    stayed = set(gone) - set(made.gone)
    made.new = [element for element in made.new if element not in stayed]
    return made
