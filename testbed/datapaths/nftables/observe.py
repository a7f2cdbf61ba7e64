"""From a table back to frontends: what the kernel's rules do, told in the contract's words. Pure.

Reads only a table, never a plan, so that what was applied can be checked against it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from testbed.datapaths.contract import ObservedFrontend
from testbed.datapaths.nftables import names
from testbed.datapaths.nftables.contents import Contents
from testbed.datapaths.nftables.model import (
    DnatTo,
    DnatToAny,
    Element,
    GotoAny,
    Key,
    Remember,
    Set,
    Statement,
    Verdict,
)
from testbed.proxier.plan import socket_address

_MAPS = (
    names.SERVICE_IPS,
    names.SERVICE_NODE_PORTS,
    names.NO_ENDPOINT_SERVICES,
    names.NO_ENDPOINT_NODE_PORTS,
)
"""The maps with an element for each service address; an address may be in two of them (policy Local)."""

_Place = tuple[str, str, str, int]  # key, protocol, address, port


@dataclass(slots=True)
class _Found:
    """What the chains behind an element lead to."""

    endpoints: set[str]
    affinity_seconds: int | None = None


def frontends(table: Contents) -> Iterator[ObservedFrontend]:
    """The service addresses of one family, each with every endpoint that some source can reach."""
    found: dict[_Place, _Found] = {}
    for name in _MAPS:
        for element in table.elements.get(name, {}).values():
            _merge(found, _place(element), _follow(table, element))
    for place, each in found.items():
        yield ObservedFrontend(*place, tuple(sorted(each.endpoints)), each.affinity_seconds)


def _place(element: Element) -> _Place:
    """A refusal's comment names its service port; where a packet is sent on, the chain does."""
    key = element.comment or names.told(element.verdict.chain if element.verdict else "")
    return (key, *_address(element.key))


def _address(key: Key) -> tuple[str, str, int]:
    protocol, port = key[-2:]
    address = str(key[0]) if len(key) == 3 else ""
    return str(protocol).upper(), address, int(port)


def _merge(found: dict[_Place, _Found], place: _Place, more: _Found) -> None:
    known = found.setdefault(place, more)
    known.endpoints |= more.endpoints
    known.affinity_seconds = known.affinity_seconds or more.affinity_seconds


def _follow(table: Contents, element: Element) -> _Found:
    """Walk every chain that can be reached from an element."""
    found = _Found(set())
    start = element.verdict.chain if element.verdict else ""
    todo, seen = [start], {start}
    while todo:
        for rule in table.rules.get(todo.pop(), ()):
            for statement in rule.statements:
                found.endpoints.update(_endpoints(statement))
                if isinstance(statement, Remember):
                    found.affinity_seconds = _timeout(table, statement.of)
                fresh = [chain for chain in _chains(statement) if chain not in seen]
                seen.update(fresh)
                todo += fresh
    return found


def _endpoints(statement: Statement) -> Iterator[str]:
    if isinstance(statement, DnatToAny):
        yield from (socket_address(str(address), port) for address, port in statement.endpoints)
    elif isinstance(statement, DnatTo):
        yield socket_address(str(statement.address), statement.port)


def _chains(statement: Statement) -> tuple[str, ...]:
    if isinstance(statement, GotoAny):
        return statement.chains
    return (statement.chain,) if isinstance(statement, Verdict) and statement.chain else ()


def _timeout(table: Contents, name: str) -> int | None:
    of = table.sets.get(name)
    return of.timeout if isinstance(of, Set) else None
