"""Whose elements the shared sets hold: several service ports may claim the same one. Pure.

All ports of a Service have its cluster IP in `cluster-ips`, and two Services may name one external address and
port. The first claimant in the order of service ports has it, as in `render.contents`. kube-proxy walks all
Services at each sync to find that out; here claims are remembered, so that a change costs what it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from testbed.datapaths.nftables.edit import Edit
from testbed.datapaths.nftables.model import Element
from testbed.datapaths.nftables.service import Fragment, Place
from testbed.proxier.plan import ServiceKey

Of = Callable[[ServiceKey], Fragment]
"""What a service port that has not changed adds."""


class Claims:
    """Who claims what, in the table of one family. The first claimant of a place has it."""

    __slots__ = ("_claims",)

    def __init__(self) -> None:
        self._claims: dict[Place, ServiceKey | tuple[ServiceKey, ...]] = {}  # several: sorted

    def add(self, key: ServiceKey, places: Mapping[Place, Element]) -> None:
        """A service port has these elements."""
        claims = self._claims
        for place in places:
            there = claims.get(place)
            claims[place] = key if there is None else tuple(sorted({*_several(there), key}))

    def drop(self, key: ServiceKey, places: Mapping[Place, Element]) -> None:
        """A service port no longer has these elements."""
        for place in places:
            left = tuple(each for each in _several(self._claims[place]) if each != key)
            if not left:
                del self._claims[place]
            else:
                self._claims[place] = left if len(left) > 1 else left[0]

    def _holder(self, place: Place) -> ServiceKey | None:
        there = self._claims.get(place)
        return None if there is None else _several(there)[0]

    def move(
        self,
        before: Mapping[ServiceKey, Fragment],
        after: Mapping[ServiceKey, Fragment],
        others: Of,
        edit: Edit,
    ) -> None:
        """Some service ports go from one state to another; `edit` gets the elements that change by that."""
        places = dict.fromkeys(_places(before, after))
        old = {place: self._element(place, before, others) for place in places}
        for key, part in before.items():
            self.drop(key, part.elements)
        for key, part in after.items():
            self.add(key, part.elements)
        for place in places:
            new = self._element(place, after, others)
            if new != old[place]:
                edit.taken_out += [each for each in (old[place],) if each is not None]
                edit.put_in += [each for each in (new,) if each is not None]

    def _element(self, place: Place, parts: Mapping[ServiceKey, Fragment], others: Of) -> Element | None:
        """What the holder of a place has there."""
        holder = self._holder(place)
        if holder is None:
            return None
        part = parts[holder] if holder in parts else others(holder)
        return part.elements[place]


def _several(claim: ServiceKey | tuple[ServiceKey, ...]) -> tuple[ServiceKey, ...]:
    return (claim,) if isinstance(claim, ServiceKey) else claim


def _places(*states: Mapping[ServiceKey, Fragment]) -> Iterator[Place]:
    return (place for parts in states for part in parts.values() for place in part.elements)
