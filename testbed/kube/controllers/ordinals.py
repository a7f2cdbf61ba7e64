"""Which pods of a StatefulSet are made and ended next (stateful_set_control.go, updateStatefulSet). Pure.

Knows ordinals and how each pod fares; knows no object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Member:
    """A pod of a set; `available` means Ready for minReadySeconds and not told to end."""

    available: bool
    terminating: bool = False
    ended: bool = False
    updated: bool = True  # made from the template as it is now


@dataclass(frozen=True, slots=True)
class Wish:
    """What the set wants: pods `start` to `start + replicas - 1`; those below `partition` keep the old template."""

    replicas: int
    start: int = 0
    parallel: bool = False
    partition: int = 0
    on_delete: bool = False

    @property
    def ordinals(self) -> range:
        """The ordinals that there shall be."""
        return range(self.start, self.start + self.replicas)

    def updates(self, ordinal: int) -> bool:
        """True if a new pod with this ordinal is made from the template as it is now."""
        return self.on_delete or ordinal >= self.start + self.partition


@dataclass(slots=True)
class Step:
    """Ordinals to make, and to end; the next event shows what is next."""

    create: list[int] = field(default_factory=list)
    delete: list[int] = field(default_factory=list)


def step(wish: Wish, members: Mapping[int, Member]) -> Step:
    """One pass over the set, in the order that its podManagementPolicy asks for."""
    found = Step()
    if _fill(wish, members, found) and _condemn(wish, members, found):
        _update(wish, members, found)
    return found


def _fill(wish: Wish, members: Mapping[int, Member], found: Step) -> bool:
    """Make what is missing, lowest ordinal first; False if the set must wait for a pod."""
    for ordinal in wish.ordinals:
        member = members.get(ordinal)
        if member is None:
            found.create.append(ordinal)
        elif member.ended and not member.terminating:
            found.delete.append(ordinal)
        if not wish.parallel and (member is None or not member.available):
            return False
    return True


def _condemn(wish: Wish, members: Mapping[int, Member], found: Step) -> bool:
    """End what is too much, highest ordinal first, one after the other; False if the set must wait."""
    condemned = sorted((ordinal for ordinal in members if ordinal not in wish.ordinals), reverse=True)
    if wish.parallel:
        found.delete += [ordinal for ordinal in condemned if not members[ordinal].terminating]
        return True
    if not condemned:
        return True
    first = members[condemned[0]]
    if not first.terminating:
        found.delete.append(condemned[0])
    return False


def _update(wish: Wish, members: Mapping[int, Member], found: Step) -> None:
    """Replace a pod of another template, highest ordinal first, when all above it are available."""
    if wish.on_delete:
        return
    for ordinal in reversed(wish.ordinals[min(wish.partition, wish.replicas) :]):
        member = members.get(ordinal)
        if member is None or ordinal in found.delete:
            return
        if not member.updated and not member.terminating:
            found.delete.append(ordinal)
            return
        if not member.available:
            return


def complete(wish: Wish, members: Sequence[Member]) -> bool:
    """True if the roll-out is over: every pod of the new template, and ready (`completeRollingUpdate`)."""
    return len(members) == wish.replicas and all(member.updated and member.available for member in members)
